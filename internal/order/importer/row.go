package importer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"backoffice/internal/order"
)

// What the tables can hold.
const (
	maxInt32     = math.MaxInt32
	maxKeyBytes  = 200  // of a number, sku or customer, as order.Place allows: they are index keys
	maxTextBytes = 1000 // of a description or country
)

// row is one data line of the file.
type row struct {
	line     int      // where it begins in the file
	fields   []string // as the file has them
	number   string
	customer string // "" when the row names none
	country  string // "" when the row names none
	placedAt time.Time
	item     order.Line // without LineNo and Kind, which the document decides
	price    money
	amount   money  // quantity times price
	reason   string // why the row cannot be imported; "" when it can
}

func (r *row) reject(reason string) rejectedRow {
	return rejectedRow{line: r.line, number: r.number, reason: reason, fields: r.fields}
}

// rowParser turns the fields of a line into a row.
type rowParser struct {
	layout     layout
	columns    int // of the header
	zone       *time.Location
	now        time.Time // by which a date is too far ahead
	dateLayout string    // the one that fitted the last date
	lastDate   string    // that date as it stood; the rows of an order mostly have one
	lastAt     time.Time
}

// parse never fails: a row that cannot be imported carries the reason. Its number is read first, so
// that the rest of its document is known to be incomplete.
func (p *rowParser) parse(line int, fields []string) row {
	r := row{line: line, fields: fields}
	text := p.layout.value(fields, fieldNumber)
	if err := checkKey(fieldNumber, text); err != nil {
		r.reason = err.Error()
		return r
	}
	r.number = text
	if err := p.fill(&r); err != nil {
		r.reason = err.Error()
	}
	return r
}

func (p *rowParser) fill(r *row) error {
	if len(r.fields) != p.columns {
		return fmt.Errorf("the row has %d fields, the header %d", len(r.fields), p.columns)
	}
	value := func(field string) string { return p.layout.value(r.fields, field) }
	r.item.SKU, r.item.Description = value(fieldSKU), value(fieldDescription)
	r.customer, r.country = customerNumber(value(fieldCustomer)), value(fieldCountry)
	if err := r.checkTexts(); err != nil {
		return err
	}
	var err error
	if r.item.Quantity, err = parseQuantity(value(fieldQuantity)); err != nil {
		return err
	}
	if r.price, err = parsePrice(value(fieldUnitPrice)); err != nil {
		return err
	}
	r.item.UnitPrice = r.price.decimal()
	var ok bool
	if r.amount, ok = r.price.times(r.item.Quantity); !ok {
		return fmt.Errorf("quantity %d times unit_price %s is out of range; a line's amount is below %s", r.item.Quantity, r.item.UnitPrice, money(maxLineAmount).decimal())
	}
	if r.placedAt, err = p.parseDate(value(fieldPlacedAt)); err != nil {
		return err
	}
	return order.CheckPlacedAt(r.placedAt, p.now)
}

func (r *row) checkTexts() error {
	if err := checkKey(fieldSKU, r.item.SKU); err != nil {
		return err
	}
	if r.customer != "" {
		if err := checkKey(fieldCustomer, r.customer); err != nil {
			return err
		}
	}
	if err := checkText(fieldDescription, r.item.Description); err != nil {
		return err
	}
	return checkText(fieldCountry, r.country)
}

// checkText refuses what Postgres cannot store as text.
func checkText(field, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s %q is not UTF-8; convert the file, for example with iconv -f latin1 -t utf-8", field, text)
	}
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("%s %q holds a zero byte", field, text)
	}
	if len(text) > maxTextBytes {
		return fmt.Errorf("%s is %d bytes long; at most %d are allowed", field, len(text), maxTextBytes)
	}
	return nil
}

// checkKey refuses a text that cannot name a row.
func checkKey(field, text string) error {
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("%s is empty", field)
	}
	if len(text) > maxKeyBytes {
		return fmt.Errorf("%s is %d bytes long; at most %d are allowed", field, len(text), maxKeyBytes)
	}
	return checkText(field, text)
}

// customerNumber drops the ".0" of a number that went through a spreadsheet: 17850.0 is customer 17850.
func customerNumber(text string) string {
	digits, ok := strings.CutSuffix(text, ".0")
	if ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
		return digits
	}
	return text
}

func parseQuantity(text string) (int, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	switch {
	case strings.TrimSpace(text) == "":
		return 0, fmt.Errorf("quantity is empty")
	case err != nil && !isRange(err):
		return 0, fmt.Errorf("quantity %q is not a whole number", text)
	case err != nil || n > math.MaxInt32 || n < math.MinInt32:
		return 0, fmt.Errorf("quantity %q is out of range; whole numbers from %d to %d are allowed", text, math.MinInt32, math.MaxInt32)
	}
	return int(n), nil
}

func isRange(err error) bool {
	numError, ok := err.(*strconv.NumError)
	return ok && numError.Err == strconv.ErrRange
}

// dateLayouts are the ways in which the files of shops write a date.
var dateLayouts = []string{
	"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04", "2006-01-02", "1/2/2006 15:04",
}

// parseDate reads a date in the file's timezone, unless it names a zone itself. Postgres keeps microseconds.
func (p *rowParser) parseDate(text string) (time.Time, error) {
	if text == p.lastDate && p.dateLayout != "" {
		return p.lastAt, nil
	}
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return time.Time{}, fmt.Errorf("placed_at is empty")
	}
	for _, layout := range append([]string{p.dateLayout}, dateLayouts...) {
		if at, err := time.ParseInLocation(layout, trimmed, p.zone); err == nil && layout != "" {
			p.dateLayout, p.lastDate, p.lastAt = layout, text, at.UTC().Truncate(time.Microsecond)
			return p.lastAt, nil
		}
	}
	return time.Time{}, fmt.Errorf("placed_at %q is not a date; write it as 2006-01-02 15:04:05, 2006-01-02T15:04:05Z, 2006-01-02 or 1/2/2006 15:04", text)
}
