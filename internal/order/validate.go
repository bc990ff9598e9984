package order

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// Limits of what a draft may hold, in bytes. Keys stand in indexes, whose rows are limited.
const (
	maxKeyBytes  = 200  // number, customer, sku
	maxTextBytes = 1000 // country, description
)

var (
	priceLimit  = decimal.New(1, 10) // numeric(14,4) holds prices below it
	amountLimit = decimal.New(1, 11) // the table's limit for one line
	totalLimit  = decimal.New(1, 12) // numeric(16,4), the ledger's amounts, stays below it

	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
)

// ready fills in what a draft leaves to its position or its figures and refuses what cannot be stored.
func (d Draft) ready(name string) (Draft, error) {
	if err := d.check(name); err != nil {
		return Draft{}, err
	}
	lines := make([]Line, len(d.Lines))
	taken := make(map[int]bool, len(d.Lines))
	for i, l := range d.Lines {
		l = l.filled(i, d.Kind)
		if err := l.check(fmt.Sprintf("%s, line %d", name, i+1)); err != nil {
			return Draft{}, within(fmt.Sprintf("lines[%d].", i), err)
		}
		if taken[l.LineNo] {
			return Draft{}, sayOf(fmt.Sprintf("lines[%d].line_no", i), ErrInvalid, "%s: line_no %d occurs twice; number the lines 1, 2, 3 or leave line_no out of all", name, l.LineNo)
		}
		taken[l.LineNo] = true
		lines[i] = l
	}
	d.Lines = lines
	if total := Total(lines); total.Abs().GreaterThanOrEqual(totalLimit) {
		return Draft{}, sayOf("lines", ErrInvalid, "%s: the total %s is out of range; it must stay below %s either way", name, total, totalLimit)
	}
	return d, nil
}

// check refuses a header that cannot be stored.
func (d Draft) check(name string) error {
	for _, field := range []struct {
		name, value string
		limit       int
	}{
		{"number", d.Number, maxKeyBytes},
		{"customer", d.Customer, maxKeyBytes},
		{"country", d.Country, maxTextBytes},
	} {
		if err := checkText(name, field.name, field.value, field.limit); err != nil {
			return err
		}
	}
	switch {
	case d.Kind != "" && !d.Kind.known():
		return sayOf("kind", ErrInvalid, "%s: kind %q is unknown; use sale, credit or adjustment", name, d.Kind)
	case d.Currency != "" && !currencyForm.MatchString(d.Currency):
		return sayOf("currency", ErrInvalid, "%s: currency %q is not three capital letters; write it like GBP", name, d.Currency)
	case !d.PlacedAt.IsZero() && (d.PlacedAt.UTC().Year() < 1 || d.PlacedAt.UTC().Year() > 9999):
		return sayOf("placed_at", ErrInvalid, "%s: placed_at %s is out of range; give a year from 1 to 9999", name, d.PlacedAt)
	case len(d.Lines) == 0:
		return sayOf("lines", ErrInvalid, "%s: it has no lines; give at least one", name)
	}
	return nil
}

// mostAhead is what clocks and time zones may be wrong by.
const mostAhead = 24 * time.Hour

// CheckPlacedAt refuses, with ErrInvalid, an order placed more than a day after now: a slip of whoever wrote the
// date. The zero time, which means now, is none. Place has no clock, so whoever takes orders in asks here.
func CheckPlacedAt(placedAt, now time.Time) error {
	if placedAt.After(now.Add(mostAhead)) {
		return sayOf("placed_at", ErrInvalid, "placed_at %s is more than a day ahead; correct it", placedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// filled completes a line: its place i in the draft, its kind by its figures, a price without an
// exponent that only a zero can carry unharmed.
func (l Line) filled(i int, kind Kind) Line {
	if l.LineNo == 0 {
		l.LineNo = i + 1
	}
	if l.UnitPrice.IsZero() {
		l.UnitPrice = decimal.Zero
	}
	if l.Kind == "" {
		l.Kind = LineKindOf(kind == KindCredit, l.Quantity, l.UnitPrice)
	}
	return l
}

// check refuses a line that cannot be stored or says nothing.
func (l Line) check(name string) error {
	if l.SKU == "" {
		return sayOf("sku", ErrInvalid, "%s: sku is empty; name the product", name)
	}
	if err := checkText(name, "sku", l.SKU, maxKeyBytes); err != nil {
		return err
	}
	if err := checkText(name, "description", l.Description, maxTextBytes); err != nil {
		return err
	}
	if err := checkPrice(name, l.UnitPrice); err != nil {
		return err
	}
	switch {
	case l.LineNo < 1 || l.LineNo > math.MaxInt32:
		return sayOf("line_no", ErrInvalid, "%s: line_no %d is out of range; number the lines 1, 2, 3 or leave line_no out of all", name, l.LineNo)
	case !l.Kind.known():
		return sayOf("kind", ErrInvalid, "%s: kind %q is unknown; use item, gift, write_off or adjustment", name, l.Kind)
	case l.Quantity == 0:
		return sayOf("quantity", ErrInvalid, "%s: quantity 0 orders nothing; give another or leave the line out", name)
	case l.Quantity < math.MinInt32 || l.Quantity > math.MaxInt32:
		return sayOf("quantity", ErrInvalid, "%s: quantity %d is out of range; it must lie between %d and %d", name, l.Quantity, math.MinInt32, math.MaxInt32)
	case l.Kind == LineWriteOff && l.Quantity > 0:
		return sayOf("quantity", ErrInvalid, "%s: quantity %d of a write-off is above zero; write it as -%d", name, l.Quantity, l.Quantity)
	case (l.Kind == LineGift || l.Kind == LineWriteOff) && !l.UnitPrice.IsZero():
		return sayOf("unit_price", ErrInvalid, "%s: unit_price %s of a %s is not zero; it moves no money", name, l.UnitPrice, l.Kind)
	}
	if amount := l.UnitPrice.Mul(decimal.NewFromInt(int64(l.Quantity))); amount.Abs().GreaterThanOrEqual(amountLimit) {
		return sayOf("quantity", ErrInvalid, "%s: quantity %d times unit_price %s is out of range; the product must stay below %s either way", name, l.Quantity, l.UnitPrice, amountLimit)
	}
	return nil
}

// checkPrice refuses what numeric(14,4) would round or refuse. The exponent is looked at first: a
// number like 1e999999999 must not be written out to be compared.
func checkPrice(name string, price decimal.Decimal) error {
	const sane = 100
	switch {
	case price.Exponent() < -sane || (price.Exponent() <= sane && !price.Equal(price.Truncate(4))):
		return sayOf("unit_price", ErrInvalid, "%s: unit_price %s has more than 4 decimals; round it", name, brief(price))
	case price.Exponent() > sane || price.Abs().GreaterThanOrEqual(priceLimit):
		return sayOf("unit_price", ErrInvalid, "%s: unit_price %s is out of range; it must stay below %s either way", name, brief(price), priceLimit)
	}
	return nil
}

// brief writes a price of any size in few characters.
func brief(price decimal.Decimal) string {
	if e := price.Exponent(); e < -20 || e > 20 {
		return fmt.Sprintf("%se%d", price.Coefficient(), e)
	}
	return price.String()
}

// checkText refuses what Postgres cannot store as text, or not in an index.
func checkText(name, field, value string, limit int) error {
	switch {
	case len(value) > limit:
		return sayOf(field, ErrInvalid, "%s: %s %q is %d bytes long; use at most %d", name, field, value[:20]+"...", len(value), limit)
	case !storable(value):
		return sayOf(field, ErrInvalid, "%s: %s %q is not valid UTF-8 text; remove the offending bytes", name, field, value)
	}
	return nil
}

// storable reports whether Postgres can hold value as text. What cannot be stored is not found either.
func storable(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsRune(value, 0)
}

func (k Kind) known() bool {
	return k == KindSale || k == KindCredit || k == KindAdjustment
}

func (k LineKind) known() bool {
	return k == LineItem || k == LineGift || k == LineWriteOff || k == LineAdjustment
}

func (s Status) known() bool {
	return s == StatusPlaced || s == StatusAwaitingStock || s.Final()
}
