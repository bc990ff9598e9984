package render

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// absent is what people see where there is no value.
const absent = "–"

// people writes a value as people read it: 1,234,567.80, 12.3%, 350 ms.
func (c *Column) people(value any) string {
	switch v := value.(type) {
	case nil:
		return absent
	case int64:
		if c.Type == Seconds {
			return duration(float64(v))
		}
		return grouped(strconv.FormatInt(v, 10))
	case decimal.Decimal:
		switch c.Type {
		case Ratio:
			return percent(v.InexactFloat64())
		case Seconds:
			return duration(v.InexactFloat64())
		}
		return money(v)
	case float64:
		if c.Type == Seconds {
			return duration(v)
		}
		return percent(v)
	case time.Time:
		return v.UTC().Format(time.DateTime)
	}
	return string(appendPlain(nil, value))
}

// heading is a column's title; it says the zone of its instants.
func (c *Column) heading() string {
	title := c.Title
	if title == "" {
		title = spoken(c.Name)
	}
	if c.Type == Instant && !strings.Contains(title, "UTC") {
		title += " (UTC)"
	}
	return title
}

// title is a section's title; without one, of its name.
func (s *Section) title() string {
	if s.Title != "" {
		return s.Title
	}
	return spoken(s.Name)
}

// spoken makes a title of a machine name: "average_order_value" becomes "Average order value".
func spoken(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + strings.ReplaceAll(name[size:], "_", " ")
}

// right says that the column's values are aligned on the right.
func (c *Column) right() bool {
	return c.Type == Integer || c.Type == Money || c.Type == Ratio || c.Type == Seconds
}

// grouped puts commas between the thousands of a plain number.
func grouped(number string) string {
	whole, fraction, isFraction := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "−", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if isFraction {
		whole += "." + fraction
	}
	return sign + whole
}

// moneyDecimals is how many decimals people see of an amount at least.
const moneyDecimals = 2

func money(amount decimal.Decimal) string {
	number := amount.String()
	_, fraction, isFraction := strings.Cut(number, ".")
	if !isFraction {
		number += "."
	}
	return grouped(number + strings.Repeat("0", max(0, moneyDecimals-len(fraction))))
}

// decimals counts the places of a shown amount.
func decimals(shown string) int {
	_, fraction, _ := strings.Cut(shown, ".")
	return len(fraction)
}

func percent(ratio float64) string {
	const least = 0.0005 // below, one decimal would say zero
	switch {
	case ratio > 0 && ratio < least:
		return "<0.1%"
	case ratio < 0 && ratio > -least:
		return ">−0.1%"
	}
	return grouped(strconv.FormatFloat(ratio*100, 'f', 1, 64)) + "%"
}

// duration tells seconds in the unit that suits them.
func duration(seconds float64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	return sign + span(seconds)
}

func span(seconds float64) string {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch whole := math.Round(seconds); {
	case seconds == 0:
		return "0 s"
	case seconds < 0.00995:
		return strconv.FormatFloat(seconds*1000, 'f', 1, 64) + " ms"
	case seconds < 0.9995:
		return strconv.FormatFloat(seconds*1000, 'f', 0, 64) + " ms"
	case seconds < minute-0.05:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	case whole < hour:
		return fmt.Sprintf("%.0f min %02.0f s", math.Floor(whole/minute), math.Mod(whole, minute))
	case whole < day:
		return fmt.Sprintf("%.0f h %02.0f min", math.Floor(whole/hour), math.Floor(math.Mod(whole, hour)/minute))
	default:
		return fmt.Sprintf("%s d %02.0f h", grouped(strconv.FormatFloat(math.Floor(whole/day), 'f', 0, 64)), math.Floor(math.Mod(whole, day)/hour))
	}
}

// made says when the data was read.
func (d *Document) made() string {
	return "Data of " + d.Made.UTC().Format("2 Jan 2006 15:04:05") + " UTC"
}

// Sentences that pdf and html share.
const noRows = "No rows in this period."

func notAll(most int, rows int64) string {
	return fmt.Sprintf("The first %s of %s rows are shown; the report as xlsx or csv has all of them.", grouped(strconv.Itoa(most)), grouped(strconv.FormatInt(rows, 10)))
}
