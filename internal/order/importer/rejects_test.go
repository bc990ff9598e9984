package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"backoffice/internal/pgtest"
)

// A row of a fixture, by what varies.
func shopRow(number, sku, quantity, date, price, customer, country string) string {
	return strings.Join([]string{number, sku, "THING", quantity, date, price, customer, country}, ",") + "\n"
}

func goodRow(number, sku string) string {
	return shopRow(number, sku, "1", "2011-01-04 10:00:00", "1.25", "1", "EIRE")
}

func TestRejects(t *testing.T) {
	t.Parallel()
	const day = "2011-01-04 10:00:00"
	for _, tc := range []struct {
		name   string
		rows   string
		window int
		want   []Reject
		stored []string // numbers and their lines
	}{
		{
			"a malformed row rejects its whole document and no other",
			goodRow("1", "A") + goodRow("2", "A") + shopRow("1", "B", "six", day, "1", "1", "EIRE") + goodRow("1", "C") + shopRow("1", "D", "", day, "1", "1", "EIRE"), 0,
			[]Reject{
				{2, "1", `line 4 of the file is rejected (quantity "six" is not a whole number), and an order is stored whole or not at all`},
				{4, "1", `quantity "six" is not a whole number`},
				{5, "1", `line 4 of the file is rejected (quantity "six" is not a whole number), and an order is stored whole or not at all`},
				{6, "1", `quantity is empty`},
			},
			[]string{"2 A"},
		}, {
			"a row dated more than a day ahead rejects its document",
			goodRow("1", "A") + shopRow("1", "B", "1", "2036-01-04 10:00:00", "1", "1", "EIRE") + shopRow("2", "A", "1", "2026-03-03 11:59:59", "1", "1", "EIRE") +
				shopRow("3", "A", "1", "2026-03-03 12:00:01", "1", "1", "EIRE"), 0,
			[]Reject{
				{2, "1", `line 3 of the file is rejected (placed_at 2036-01-04T10:00:00Z is more than a day ahead; correct it), and an order is stored whole or not at all`},
				{3, "1", `placed_at 2036-01-04T10:00:00Z is more than a day ahead; correct it`},
				{5, "3", `placed_at 2026-03-03T12:00:01Z is more than a day ahead; correct it`},
			},
			[]string{"2 A"},
		}, {
			"a row without a number is rejected alone",
			goodRow("1", "A") + goodRow(" ", "B") + goodRow("1", "C"), 0,
			[]Reject{{3, "", "number is empty"}},
			[]string{"1 A", "1 C"},
		}, {
			"a row that comes after its order was complete is rejected alone",
			goodRow("1", "A") + goodRow("2", "A") + goodRow("3", "A") + goodRow("4", "A") + goodRow("1", "B"), 3,
			[]Reject{{6, "1", "the row comes too late: the order was complete after 3 lines without a row of it; sort the file by number, or raise --group-window"}},
			[]string{"1 A", "2 A", "3 A", "4 A"},
		}, {
			"rows as far apart as the window allows are one document",
			goodRow("1", "A") + goodRow("2", "A") + goodRow("3", "A") + goodRow("1", "B"), 3,
			nil,
			[]string{"1 A", "1 B", "2 A", "3 A"},
		}, {
			"rows after a rejected document are rejected as late",
			shopRow("1", "A", "x", day, "1", "1", "EIRE") + goodRow("2", "A") + goodRow("3", "A") + goodRow("1", "B"), 2,
			[]Reject{
				{2, "1", `quantity "x" is not a whole number`},
				{5, "1", "the row comes too late: the order was complete after 2 lines without a row of it; sort the file by number, or raise --group-window"},
			},
			[]string{"2 A", "3 A"},
		}, {
			"an order has one customer",
			goodRow("1", "A") + shopRow("1", "B", "1", day, "1", "2", "EIRE"), 0,
			[]Reject{
				{2, "1", `line 3 of the file is rejected (customer "2" differs from customer "1" of the rows from line 2 on; an order has one customer), and an order is stored whole or not at all`},
				{3, "1", `customer "2" differs from customer "1" of the rows from line 2 on; an order has one customer`},
			},
			nil,
		}, {
			"an order has one country, and a row that names none agrees with any",
			shopRow("1", "A", "1", day, "1", "", "") + goodRow("1", "B") + shopRow("2", "A", "1", day, "1", "", "EIRE") + shopRow("2", "A", "1", day, "1", "", "France"), 0,
			[]Reject{
				{4, "2", `line 5 of the file is rejected (country "France" differs from country "EIRE" of the rows from line 4 on; an order has one country), and an order is stored whole or not at all`},
				{5, "2", `country "France" differs from country "EIRE" of the rows from line 4 on; an order has one country`},
			},
			[]string{"1 A", "1 B"},
		}, {
			"every field is checked",
			shopRow("1", "", "1", day, "1", "", "") + shopRow("2", "A", "2147483648", day, "1", "", "") + shopRow("3", "A", "1", "soon", "1", "", "") +
				shopRow("4", "A", "1", day, "1e3", "", "") + shopRow("5", "A", "1", day, "0.00001", "", "") + shopRow("6", "A", "1", day, "10000000000", "", "") +
				shopRow("7", "A", "2000000000", day, "50", "", "") + "8,A,b\n" + "9,A,\xa3 sign,1," + day + ",1,,\n" + "10,A,a \"quote\" within,1," + day + ",1,,\n" +
				"11,A,zero\x00byte,1," + day + ",1,,\n" + strings.Repeat("1", 201) + ",A,b,1," + day + ",1,,\n", 0,
			[]Reject{
				{2, "1", "sku is empty"},
				{3, "2", `quantity "2147483648" is out of range; whole numbers from -2147483648 to 2147483647 are allowed`},
				{4, "3", `placed_at "soon" is not a date; write it as 2006-01-02 15:04:05, 2006-01-02T15:04:05Z, 2006-01-02 or 1/2/2006 15:04`},
				{5, "4", `unit_price "1e3" is not a decimal number`},
				{6, "5", `unit_price "0.00001" has more than 4 decimals`},
				{7, "6", `unit_price "10000000000" is out of range; at most 10 digits may stand before the point`},
				{8, "7", `quantity 2000000000 times unit_price 50 is out of range; a line's amount is below 100000000000`},
				{9, "8", `the row has 3 fields, the header 8`},
				{10, "9", `description "\xa3 sign" is not UTF-8; convert the file, for example with iconv -f latin1 -t utf-8`},
				{11, "10", `the row is not valid csv at character 8: bare " in non-quoted-field`},
				{12, "11", `description "zero\x00byte" holds a zero byte`},
				{13, "", `number is 201 bytes long; at most 200 are allowed`},
			},
			nil,
		}, {
			"the largest figures that fit are stored",
			shopRow("1", "A", "-2147483648", day, "0.0001", "", "") + shopRow("1", "A", "1", day, "9999999999.9999", "", "") + shopRow("1", "A", "9", day, "-9999999999.99990", "", "") + shopRow("1", "A", "0", day, "1", "", ""), 0,
			nil,
			[]string{"1 A", "1 A", "1 A", "1 A"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			opts := shopOptions(t, textFile(t, shopHeader+tc.rows))
			opts.Now = func() time.Time { return time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC) }
			opts.GroupWindow = tc.window
			for _, batch := range []int{0, 1} { // the second import must find the same
				var rejects bytes.Buffer
				opts.Batch, opts.Rejects = batch, &rejects
				result := mustRun(t, pool, opts)
				wantRejects(t, rejects.String(), tc.want)
				wantTexts(t, pool, `select number || ' ' || sku from orders join order_lines on order_id = id order by number, line_no`, tc.stored...)
				if result.RejectedLines != len(tc.want) || result.LinesRead != len(tc.want)+len(tc.stored) {
					t.Errorf("result %s", resultJSON(t, result))
				}
				if want := tc.want[:min(len(tc.want), firstRejects)]; batch == 0 && !slices.Equal(result.FirstRejects, want) {
					t.Errorf("first rejects %v, want %v", result.FirstRejects, want)
				}
			}
		})
	}
}

// wantRejects compares line, number and reason, and that the row follows them as it stood.
func wantRejects(t *testing.T, file string, want []Reject) {
	t.Helper()
	rows := readRejects(t, file)
	if got := strings.Join(rows[0], ","); got+"\n" != "line,number,reason,"+shopHeader {
		t.Errorf("header %q", got)
	}
	var got, wanted []string
	for _, r := range rows[1:] {
		got = append(got, strings.Join(r[:3], "|"))
		if len(r) > 3 && r[1] != "" && r[3] != r[1] {
			t.Errorf("the row does not follow its reason: %q", r)
		}
	}
	for _, r := range want {
		wanted = append(wanted, fmt.Sprintf("%d|%s|%s", r.Line, r.Number, r.Reason))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("rejects\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(wanted, "\n     "))
	}
}

// TestDifferencesFromStoredOrders imports a file whose rows were stored from an earlier version of it.
func TestDifferencesFromStoredOrders(t *testing.T) {
	t.Parallel()
	const day = "2011-01-04 10:00:00"
	stored := goodRow("1", "A") + goodRow("1", "B") + goodRow("1", "C")
	for _, tc := range []struct {
		name   string
		rows   string
		change func(*Options)
		want   []Reject
	}{
		{"equal rows are accepted", stored, nil, nil},
		{"an equal row written otherwise is accepted",
			goodRow("1", "A") + shopRow("1", "B", "1", "2011-01-04T10:00:00", "1.2500", "1.0", "EIRE") + goodRow("1", "C"), nil, nil},
		{"a changed row is rejected, its siblings are not",
			goodRow("1", "A") + shopRow("1", "B", "8", day, "1.25", "1", "EIRE") + shopRow("1", "C", "1", day, "1.2501", "1", "EIRE"), nil,
			[]Reject{
				{3, "1", `line 2 of the order is stored with quantity "1", the file has "8"`},
				{4, "1", `line 3 of the order is stored with unit_price "1.2500", the file has "1.2501"`},
			}},
		{"a changed sku is named", goodRow("1", "A") + goodRow("1", "b") + goodRow("1", "C"), nil,
			[]Reject{{3, "1", `line 2 of the order is stored with sku "B", the file has "b"`}}},
		{"a changed description is named", goodRow("1", "A") + strings.Replace(goodRow("1", "B"), "THING", "", 1) + goodRow("1", "C"), nil,
			[]Reject{{3, "1", `line 2 of the order is stored with description "THING", the file has ""`}}},
		{"a row too many is rejected", stored + goodRow("1", "D"), nil,
			[]Reject{{5, "1", "the order is stored with 3 lines, this would be line 4; a placed order takes no more lines"}}},
		{"rows that are gone are no rows", goodRow("1", "A") + goodRow("1", "B"), nil, nil},
		{"another customer rejects every row",
			strings.ReplaceAll(goodRow("1", "A")+goodRow("1", "B"), ",1,EIRE", ",2,EIRE"), nil,
			[]Reject{{2, "1", `the order is stored with customer "1", the file has "2"`}, {3, "1", `the order is stored with customer "1", the file has "2"`}}},
		{"another country rejects every row", strings.ReplaceAll(goodRow("1", "A"), "EIRE", ""), nil,
			[]Reject{{2, "1", `the order is stored with country "EIRE", the file has ""`}}},
		{"another timezone with the same offset is accepted", goodRow("1", "A"), func(o *Options) { o.Timezone = time.UTC }, nil},
		{"another timezone rejects every row", goodRow("1", "A"), func(o *Options) { o.Timezone = time.FixedZone("", 3600) },
			[]Reject{{2, "1", `the order is stored with placed_at "2011-01-04T10:00:00Z", the file has "2011-01-04T09:00:00Z"`}}},
		{"another date rejects every row", strings.ReplaceAll(goodRow("1", "A"), "10:00:00", "10:00:01"), nil,
			[]Reject{{2, "1", `the order is stored with placed_at "2011-01-04T10:00:00Z", the file has "2011-01-04T10:00:01Z"`}}},
		{"another currency rejects every row", goodRow("1", "A"), func(o *Options) { o.Currency = "EUR" },
			[]Reject{{2, "1", `the order is stored with currency "GBP", the file has "EUR"`}}},
		{"another kind rejects every row", goodRow("1", "A"), func(o *Options) { o.CreditPrefix = "1" },
			[]Reject{{2, "1", `the order is stored with kind "sale", the file has "credit"`}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			mustRun(t, pool, shopOptions(t, textFile(t, shopHeader+stored)))
			before := fingerprint(t, pool)
			opts := shopOptions(t, textFile(t, shopHeader+tc.rows))
			if tc.change != nil {
				tc.change(&opts)
			}
			var rejects bytes.Buffer
			opts.Rejects = &rejects
			result := mustRun(t, pool, opts)
			wantRejects(t, rejects.String(), tc.want)
			if rows := strings.Count(tc.rows, "\n"); result.LinesRead != rows || result.RejectedLines != len(tc.want) || result.LinesNew != 0 {
				t.Errorf("result %s of %d rows", resultJSON(t, result), rows)
			}
			if after := fingerprint(t, pool); after != before {
				t.Errorf("the import changed rows:\nbefore %s\nafter  %s", before, after)
			}
		})
	}
}

func readRejects(t *testing.T, file string) [][]string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(file))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("rejects file: %v", err)
	}
	return rows
}

var errDiskFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errDiskFull }

func TestRejectsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	opts := shopOptions(t, "testdata/shop.csv")
	opts.Rejects = fullDisk{}
	if _, err := Run(t.Context(), pool, inserter(t, pool), opts); !errors.Is(err, errDiskFull) {
		t.Errorf("Run: %v, want %v", err, errDiskFull)
	}
}
