package periodic

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// set holds the numbers, below 64, that a field of a cron line names.
type set uint64

func (s set) has(n int) bool { return s>>n&1 == 1 }

// from is the first number, from n on, that is named.
func (s set) from(n int) (first int, found bool) {
	rest := uint64(s >> n)
	return n + bits.TrailingZeros64(rest), rest != 0
}

// fieldRule is what a field of a cron line may hold.
type fieldRule struct {
	name     string
	min, max int
	names    []string // in place of numbers, from min on
}

const (
	minuteField = iota
	hourField
	dayField
	monthField
	weekdayField
)

var fieldRules = [...]fieldRule{
	minuteField:  {"minute", 0, 59, nil},
	hourField:    {"hour", 0, 23, nil},
	dayField:     {"day-of-month", 1, 31, nil},
	monthField:   {"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	weekdayField: {"day-of-week", 0, otherSunday, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// otherSunday is how Sunday may be written beside 0.
const otherSunday = 7

// parse reads one field: * or a number, a name, a range of them, each range with a step if one is wanted,
// or a list of all these.
func (r fieldRule) parse(text string) (set, error) {
	var all set
	for item := range strings.SplitSeq(text, ",") {
		some, err := r.parseItem(item)
		if err != nil {
			return 0, fmt.Errorf("the %s %q %w", r.name, text, err)
		}
		all |= some
	}
	if r.max == otherSunday && all.has(otherSunday) {
		all = all&^(1<<otherSunday) | 1
	}
	return all, nil
}

func (r fieldRule) parseItem(item string) (set, error) {
	span, stepText, stepped := strings.Cut(item, "/")
	low, high, err := r.parseSpan(span, stepped)
	if err != nil {
		return 0, err
	}
	step := 1
	if stepped {
		if step, err = number(stepText); err != nil || step < 1 || step > r.max-r.min {
			return 0, fmt.Errorf("has the step %q; take a number from 1 to %d", stepText, r.max-r.min)
		}
	}
	var some set
	for n := low; n <= high; n += step {
		some |= 1 << n
	}
	return some, nil
}

// parseSpan reads what stands before a step: *, one value, or a range.
func (r fieldRule) parseSpan(text string, stepped bool) (low, high int, err error) {
	if text == "*" {
		return r.min, r.max, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if low, err = r.value(from); err != nil {
		return 0, 0, err
	}
	if !ranged {
		if stepped {
			return 0, 0, fmt.Errorf("has a step after a single value; write a range such as %s-%d/2", from, r.max)
		}
		return low, low, nil
	}
	if high, err = r.value(to); err != nil {
		return 0, 0, err
	}
	if r.max == otherSunday && high == 0 && low > 0 { // FRI-SUN
		high = otherSunday
	}
	if low > high {
		return 0, 0, fmt.Errorf("has a range that ends before it begins; write it in two, such as %s-%d,%d-%s", from, r.max, r.min, to)
	}
	return low, high, nil
}

func (r fieldRule) value(text string) (int, error) {
	for i, name := range r.names {
		if strings.EqualFold(text, name) {
			return r.min + i, nil
		}
	}
	n, err := number(text)
	if err != nil || n < r.min || n > r.max {
		return 0, fmt.Errorf("names %q; take %s", text, r.values())
	}
	return n, nil
}

// values says what may be written.
func (r fieldRule) values() string {
	numbers := fmt.Sprintf("%d to %d", r.min, r.max)
	if r.names == nil {
		return numbers
	}
	return fmt.Sprintf("%s or %s to %s", numbers, r.names[0], r.names[len(r.names)-1])
}

// number reads plain digits: no sign, no space.
func number(text string) (int, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return strconv.Atoi(text)
}
