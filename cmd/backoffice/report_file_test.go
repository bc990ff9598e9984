package main

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"backoffice/internal/report"
	"backoffice/internal/store"
)

// publishedTotals are the figures that are known of the file: by month of Europe/London, by country and by
// product, "" for all of it.
var publishedTotals = map[string]string{
	"": "3706827.641", "2010-12": "748957.02", "2011-01": "560000.26", "2011-02": "498062.65", "2011-03": "683267.08", "2011-04": "493207.121", "2011-05": "723333.51",
	"United Kingdom": "3117720.121", "Netherlands": "112906.68", "Germany": "91688.25", "EIRE": "84635.69", "France": "71756.53", "Australia": "55667.48",
	"22423": "92434.67", "85123A": "51204.69",
}

func TestExportOfTheRealFileComesToItsPublishedTotals(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.importRealFile()
	s.text("worker", "--once", "--log-level", "error")
	id := s.askForReport("csv")
	s.text("worker", "--once", "--queue", "reports", "--log-level", "error")
	made := s.complete(id)
	if made.Rows != 209_029 {
		t.Errorf("%d rows, want 209,029", made.Rows)
	}
	stores, err := store.Open(t.Context(), defaultStore, s.pool)
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close()
	content, _, err := report.Open(t.Context(), s.pool, stores, id, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	sum := sha256.New()
	totals := totalsOf(t, io.TeeReader(content, sum))
	maps.DeleteFunc(totals, func(of string, _ string) bool { return publishedTotals[of] == "" })
	if diff := cmp.Diff(publishedTotals, totals); diff != "" {
		t.Errorf("totals (-published +exported):\n%s", diff)
	}
	if hex.EncodeToString(sum.Sum(nil)) != made.SHA256 {
		t.Error("the bytes are not those of the manifest")
	}
	s.conserves()
}

// totalsOf adds up the amounts of an export: in all, by month, country and sku.
func totalsOf(t *testing.T, content io.Reader) map[string]string {
	t.Helper()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	rows := csv.NewReader(content)
	header, err := rows.Read()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	sums := map[string]decimal.Decimal{}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		placed, err := time.Parse(time.RFC3339, row[at["placed_at"]])
		if err != nil {
			t.Fatal(err)
		}
		amount := decimal.RequireFromString(row[at["amount"]])
		for _, of := range []string{"", placed.In(london).Format("2006-01"), row[at["country"]], row[at["sku"]]} {
			sums[of] = sums[of].Add(amount)
		}
	}
	totals := map[string]string{}
	for of, sum := range sums {
		totals[of] = sum.String()
	}
	return totals
}
