package importer

import (
	"bytes"
	"compress/gzip"
	"os"
	"slices"
	"strings"
	"testing"

	"backoffice/internal/pgtest"
)

func TestFileForms(t *testing.T) {
	t.Parallel()
	plain, err := os.ReadFile("testdata/shop.csv")
	if err != nil {
		t.Fatal(err)
	}
	packed := gzipped(t, plain)
	for _, tc := range []struct {
		name    string
		content []byte
	}{
		{"gzip is known by its content, not its name", packed},
		{"gzip of several members", append(gzipped(t, plain[:500]), gzipped(t, plain[500:])...)},
		{"a byte order mark is no part of the first column", append([]byte("\xef\xbb\xbf"), plain...)},
		{"lines may end with CRLF", bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n"))},
		{"the last line needs no end", bytes.TrimRight(plain, "\n")},
		{"empty lines are no rows", bytes.ReplaceAll(plain, []byte("France\n"), []byte("France\n\n"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			result := mustRun(t, pool, shopOptions(t, textFile(t, string(tc.content))))
			if result.LinesRead != 16 || result.RejectedLines != 0 || result.NetAmount.String() != "89.0535" {
				t.Errorf("result %s", resultJSON(t, result))
			}
		})
	}
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	plain, err := os.ReadFile("testdata/shop.csv")
	if err != nil {
		t.Fatal(err)
	}
	packed := gzipped(t, plain)
	damaged := slices.Clone(packed)
	damaged[len(damaged)-6] ^= 0xff // of the checksum
	pool := pgtest.Pool(t)
	for _, tc := range []struct {
		name, content, want string
	}{
		{"an empty file", "", "is empty; its first line must name the columns"},
		{"gzip cut off", string(packed[:len(packed)-20]), ": the file is cut off: its gzip stream ends too early; fetch it again"},
		{"gzip cut off in its header", string(packed[:5]), ": the file is cut off: its gzip stream ends too early; fetch it again"},
		{"gzip that was damaged", string(damaged), ": the file is damaged gzip (gzip: invalid checksum)"},
		{"a mapped column is missing", "InvoiceNo,Stock\n", `has no column "StockCode" (--map sku=StockCode); its columns are InvoiceNo, Stock`},
		{"a mapped column is there twice", "InvoiceNo,StockCode,StockCode\n", `has two columns "StockCode"`},
		{"a quote left open to the end", shopHeader + `1,A,"open,1,2011-01-01,1,,` + "\n2,B,b,1,2011-01-01,1,,\n", "line 2: a field is opened by a quote that is not closed properly up to line 3"},
		{"a quote left open to the next quote", shopHeader + `1,A,"open,1,2011-01-01,1,,` + "\n" + `2,B,"b",1,2011-01-01,1,,` + "\n", "line 2: a field is opened by a quote that is not closed properly up to line 3"},
		{"a quote left open to the end of a quoted field", shopHeader + `1,A,"open,1,2011-01-01,1,,` + "\n" + `2,B,b",1,2011-01-01` + "\n", "line 2: the row runs over several lines and has 5 fields, the header 8"},
		{"a row without end", shopHeader + `1,A,"` + strings.Repeat("x\n", maxRowBytes), "line 2: a row is longer than 1048576 bytes; is a quote left open in it?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Run(t.Context(), pool, inserter(t, pool), shopOptions(t, textFile(t, tc.content)))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error\n got %v\nwant %s", err, tc.want)
			}
		})
	}
	for _, tc := range []struct{ name, path, want string }{
		{"no such file", "testdata/nowhere.csv", "import orders: open testdata/nowhere.csv: no such file or directory"},
		{"a directory", "testdata", "import orders: testdata is a directory; name a csv file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Run(t.Context(), pool, inserter(t, pool), shopOptions(t, tc.path))
			if err == nil || err.Error() != tc.want {
				t.Errorf("error\n got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	below := -1
	for _, tc := range []struct {
		name, want string
		change     func(*Options)
	}{
		{"a currency", `--currency "gbp" is no currency code; give three capital letters, such as GBP`, func(o *Options) { o.Currency = "gbp" }},
		{"a group window", `--group-window -1 is below 1; give a number of lines`, func(o *Options) { o.GroupWindow = -1 }},
		{"an opening stock", `--opening-stock -1 is outside 0 to 2147483647; give a quantity, or unlimited`, func(o *Options) { o.OpeningStock = &below }},
		{"a file without a column of a field's own name", `testdata/shop.csv has no column "sku"; name the column that holds it with --map sku=COLUMN`, func(o *Options) { o.Columns = map[string]string{"number": "InvoiceNo"} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			opts := shopOptions(t, "testdata/shop.csv")
			tc.change(&opts)
			_, err := Run(t.Context(), pool, inserter(t, pool), opts)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error\n got %v\nwant %s", err, tc.want)
			}
		})
	}
}
