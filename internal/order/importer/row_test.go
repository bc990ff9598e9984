package importer

import (
	"reflect"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	t.Parallel()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	p := rowParser{zone: london} // one parser for all, so that each finds another's layout remembered
	for _, tc := range []struct{ text, want string }{
		{"2010-12-01 08:26:00", "2010-12-01T08:26:00Z"},
		{"2011-07-01 08:26:00", "2011-07-01T07:26:00Z"},
		{"2011-07-01T08:26:00", "2011-07-01T07:26:00Z"},
		{"2011-07-01T08:26:00Z", "2011-07-01T08:26:00Z"},
		{"2011-07-01T08:26:00.1234567+05:30", "2011-07-01T02:56:00.123456Z"},
		{"2011-07-01 08:26", "2011-07-01T07:26:00Z"},
		{"2011-07-01", "2011-06-30T23:00:00Z"},
		{"12/1/2010 8:26", "2010-12-01T08:26:00Z"},
		{" 1/31/2011 23:59 ", "2011-01-31T23:59:00Z"},
		{"31/1/2011 23:59", ""},
		{"2011-02-30", ""},
		{"1293868800", ""},
		{"", ""},
	} {
		got, err := p.parseDate(tc.text)
		if tc.want == "" {
			if err == nil {
				t.Errorf("parseDate(%q) = %s, want an error", tc.text, got)
			}
		} else if err != nil || got.Format(time.RFC3339Nano) != tc.want {
			t.Errorf("parseDate(%q) = %s, %v, want %s", tc.text, got.Format(time.RFC3339Nano), err, tc.want)
		}
	}
}

func TestParsePrice(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"2.55", "2.5500"}, {"0.001", "0.0010"}, {"-11062.06", "-11062.0600"}, {"18", "18.0000"}, {" 5. ", "5.0000"}, {".5", "0.5000"},
		{"-0.0", "0.0000"}, {"1.230000", "1.2300"}, {"0000000000001", "1.0000"}, {"9999999999.9999", "9999999999.9999"},
		{"10000000000", ""}, {"1.00001", ""}, {"1e2", ""}, {"1E999999999", ""}, {"1,5", ""}, {"£1", ""}, {"--1", ""}, {"-", ""}, {".", ""}, {"", ""}, {"NaN", ""}, {"1.2.3", ""},
	} {
		got, err := parsePrice(tc.text)
		if tc.want == "" {
			if err == nil {
				t.Errorf("parsePrice(%q) = %s, want an error", tc.text, got)
			}
		} else if err != nil || got.String() != tc.want {
			t.Errorf("parsePrice(%q) = %s, %v, want %s", tc.text, got.String(), err, tc.want)
		}
	}
}

func TestCustomerNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"17850.0": "17850", "17850": "17850", "": "", ".0": ".0", "A1.0": "A1.0", "1.50": "1.50", "1.0.0": "1.0.0"} {
		if got := customerNumber(text); got != want {
			t.Errorf("customerNumber(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestParseColumns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		mapping string
		want    map[string]string
		failure string
	}{
		{"", map[string]string{}, ""},
		{"number=InvoiceNo, sku = Stock Code", map[string]string{"number": "InvoiceNo", "sku": "Stock Code"}, ""},
		{"number=a=b", map[string]string{"number": "a=b"}, ""},
		{"number", nil, `--map: "number" is not of the form field=column, such as sku=StockCode`},
		{"number=", nil, `--map: "number=" is not of the form field=column, such as sku=StockCode`},
		{"number=a,", nil, `--map: "" is not of the form field=column, such as sku=StockCode`},
		{"invoice=a", nil, `--map: unknown field "invoice"; the fields are number, sku, description, quantity, placed_at, unit_price, customer, country`},
		{"sku=a,sku=b", nil, `--map: field "sku" is given twice, as "a" and "b"; keep one`},
	} {
		got, err := ParseColumns(tc.mapping)
		switch {
		case tc.failure != "" && (err == nil || err.Error() != tc.failure):
			t.Errorf("ParseColumns(%q): %v, want %s", tc.mapping, err, tc.failure)
		case tc.failure == "" && (err != nil || !reflect.DeepEqual(got, tc.want)):
			t.Errorf("ParseColumns(%q) = %v, %v, want %v", tc.mapping, got, err, tc.want)
		}
	}
}
