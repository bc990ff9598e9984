package importer

import (
	"testing"

	"backoffice/internal/pgtest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	result := mustRun(t, pool, shopOptions(t, "testdata/shop.csv"))
	want := `{"lines_read":16,"order_lines":11,"credit_lines":2,"adjustment_lines":3,"rejected_lines":0,` +
		`"orders":5,"credits":1,"adjustments":2,"net_amount":"89.0535","documents_new":8,"lines_new":16}`
	if got := resultJSON(t, result); got != want {
		t.Errorf("result\n got %s\nwant %s", got, want)
	}
	wantTexts(t, pool, `select concat_ws(' ', o.number, o.kind, o.status, coalesce(c.number, 'guest'), o.country, o.currency, o.placed_at at time zone 'UTC', o.enqueued)
		from orders o left join customers c on c.id = o.customer_id order by o.number`,
		"700001 sale placed 17850 United Kingdom GBP 2011-03-26 08:26:00 t",
		"700002 sale placed guest EIRE GBP 2011-03-28 07:28:00 t", // summer time began on the 27th
		"700003 sale placed 12345 France GBP 2011-03-28 08:00:00 t",
		"700005 adjustment placed guest United Kingdom GBP 2011-03-28 09:30:00 t",
		"700006 sale placed 12345 France GBP 2011-03-28 10:00:00 t",
		"A563185 sale placed guest United Kingdom GBP 2011-08-12 13:50:00 t",
		"A563186 adjustment placed guest United Kingdom GBP 2011-08-12 13:51:00 t",
		"C700004 credit placed 17850 United Kingdom GBP 2011-03-28 09:00:00 t",
	)
	wantTexts(t, pool, `select concat_ws('|', o.number, l.line_no, l.line_kind, l.sku, coalesce(l.description, 'null'), l.quantity, l.unit_price)
		from order_lines l join orders o on o.id = l.order_id order by o.number, l.line_no`,
		`700001|1|item|A100|HEART, WHITE "HANGING"|6|2.5500`,
		`700001|2|item|A100|HEART, WHITE "HANGING"|6|2.5500`,
		`700001|3|item|a100|LANTERN |2|3.3900`,
		`700002|1|item|B200|BUTTON|1000|0.0010`,
		`700002|2|item|B201|null|3|1.2345`,
		`700003|1|gift|C300|SAMPLE CARD|1|0.0000`,
		`700003|2|item|C301|CAKE STAND|2|10.9500`,
		`700005|1|write_off|B200|damages|-12|0.0000`,
		`700005|2|write_off|B201|?|-4|0.0000`,
		`700006|1|item|gift_0001_20|Back\slash|1|16.6700`,
		"700006|2|item|M|two\nlines\tand a tab|1|0.5000",
		`700006|3|item|POST|\N|1|18.0000`,
		`A563185|1|item|B|Adjust bad debt|1|11062.0600`,
		`A563186|1|adjustment|B|Adjust bad debt|1|-11062.0600`,
		`C700004|1|item|A100|HEART, WHITE "HANGING"|-2|2.5500`,
		`C700004|2|item|D|Discount|-1|5.0000`,
	)
	wantTexts(t, pool, `select sku || ' ' || description || ' ' || coalesce(on_hand::text, 'untracked') from products where sku in ('A100', 'a100', 'B201') order by sku`,
		`A100 HEART, WHITE "HANGING" untracked`, `B201 ? untracked`, `a100 LANTERN  untracked`)
	wantTexts(t, pool, `select count(*)::text from stock_movements`, "0")
	wantOneJobEach(t, pool)
}

func TestRunAgain(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	opts := shopOptions(t, "testdata/shop.csv")
	stock := 7
	opts.OpeningStock = &stock
	first := mustRun(t, pool, opts)
	before := fingerprint(t, pool)
	opts.Batch = 2
	again := mustRun(t, pool, opts)
	if after := fingerprint(t, pool); after != before {
		t.Errorf("the second import changed rows:\nbefore %s\nafter  %s", before, after)
	}
	first.DocumentsNew, first.LinesNew = 0, 0
	if got, want := resultJSON(t, again), resultJSON(t, first); got != want {
		t.Errorf("second result\n got %s\nwant %s", got, want)
	}
}

func TestHeaderOnly(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	result := mustRun(t, pool, shopOptions(t, textFile(t, shopHeader)))
	want := `{"lines_read":0,"order_lines":0,"credit_lines":0,"adjustment_lines":0,"rejected_lines":0,"orders":0,"credits":0,"adjustments":0,"net_amount":"0","documents_new":0,"lines_new":0}`
	if got := resultJSON(t, result); got != want {
		t.Errorf("result\n got %s\nwant %s", got, want)
	}
}

func TestColumnsUnderTheirOwnNames(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	path := textFile(t, "unit_price,quantity,sku,number,placed_at\n1.5,2,A,1,2011-01-02\n")
	mustRun(t, pool, Options{Path: path, Currency: "EUR"})
	wantTexts(t, pool, `select concat_ws(' ', number, currency, coalesce(country, 'null'), placed_at at time zone 'UTC', sku, coalesce(description, 'null'), quantity * unit_price)
		from orders join order_lines on order_id = id`, "1 EUR null 2011-01-02 00:00:00 A null 3.0000")
}

func TestOpeningStock(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	if _, err := pool.Exec(t.Context(), `insert into products (sku, description, on_hand) values ('A100', 'known', 3), ('B200', 'known', null)`); err != nil {
		t.Fatal(err)
	}
	opts := shopOptions(t, "testdata/shop.csv")
	stock := 500
	opts.OpeningStock, opts.Batch = &stock, 1
	mustRun(t, pool, opts)
	wantTexts(t, pool, `select concat_ws(' ', p.sku, coalesce(p.on_hand::text, 'untracked'), m.quantity, m.reason) from products p left join stock_movements m using (sku)
		where sku in ('A100', 'B200', 'a100', 'B201') order by p.sku`,
		"A100 3", "B200 untracked", "B201 500 500 opening", "a100 500 500 opening")
	wantTexts(t, pool, `select sku from products left join stock_movements using (sku) where sku not in ('A100', 'B200') group by sku having count(id) <> 1`)
}
