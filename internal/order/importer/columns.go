package importer

import (
	"fmt"
	"slices"
	"strings"
)

// The fields of a row, in the order in which they are named to people.
const (
	fieldNumber      = "number"
	fieldSKU         = "sku"
	fieldDescription = "description"
	fieldQuantity    = "quantity"
	fieldPlacedAt    = "placed_at"
	fieldUnitPrice   = "unit_price"
	fieldCustomer    = "customer"
	fieldCountry     = "country"
)

var (
	allFields      = []string{fieldNumber, fieldSKU, fieldDescription, fieldQuantity, fieldPlacedAt, fieldUnitPrice, fieldCustomer, fieldCountry}
	requiredFields = []string{fieldNumber, fieldSKU, fieldQuantity, fieldPlacedAt, fieldUnitPrice}
)

// ParseColumns reads the value of --map, "number=InvoiceNo,sku=StockCode", into column names by field.
// The fields are number, sku, description, quantity, placed_at, unit_price, customer and country. A
// field left out is looked for under its own name; description, customer and country may be absent.
func ParseColumns(mapping string) (map[string]string, error) {
	columns := map[string]string{}
	if strings.TrimSpace(mapping) == "" {
		return columns, nil
	}
	for part := range strings.SplitSeq(mapping, ",") {
		field, column, found := strings.Cut(part, "=")
		field, column = strings.TrimSpace(field), strings.TrimSpace(column)
		switch {
		case !found || field == "" || column == "":
			return nil, fmt.Errorf("--map: %q is not of the form field=column, such as sku=StockCode", part)
		case !slices.Contains(allFields, field):
			return nil, fmt.Errorf("--map: unknown field %q; the fields are %s", field, strings.Join(allFields, ", "))
		case columns[field] != "":
			return nil, fmt.Errorf("--map: field %q is given twice, as %q and %q; keep one", field, columns[field], column)
		}
		columns[field] = column
	}
	return columns, nil
}

// layout maps a field to its position in a row of the file; an optional field may be absent.
type layout map[string]int

// newLayout finds the columns of the fields in the file's header.
func newLayout(path string, header []string, columns map[string]string) (layout, error) {
	positions := layout{}
	for _, field := range allFields {
		column, mapped := columns[field]
		if !mapped {
			column = field
		}
		at := slices.Index(header, column)
		switch {
		case at >= 0 && slices.Contains(header[at+1:], column):
			return nil, fmt.Errorf("%s has two columns %q; rename the one that is not the order's %s", path, column, field)
		case at >= 0:
			positions[field] = at
		case mapped:
			return nil, &UsageError{fmt.Sprintf("%s has no column %q (--map %s=%s); its columns are %s", path, column, field, column, strings.Join(header, ", "))}
		case slices.Contains(requiredFields, field):
			return nil, &UsageError{fmt.Sprintf("%s has no column %q; name the column that holds it with --map %s=COLUMN (its columns are %s)", path, field, field, strings.Join(header, ", "))}
		}
	}
	return positions, nil
}

// value is the field's text in a row, empty when the file has no such column or the row is too short.
func (l layout) value(fields []string, field string) string {
	if at, ok := l[field]; ok && at < len(fields) {
		return fields[at]
	}
	return ""
}
