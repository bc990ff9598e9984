package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"backoffice/internal/order"
)

func TestPlacedOrderIsStoredWithItsJobAndFollowed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := s.post("/api/orders", `{"number":"536365","customer":"17850","country":"France","currency":"EUR","placed_at":"2010-12-01T08:26:00+01:00",
		"lines":[{"sku":"85123A","quantity":6,"unit_price":"0.001","description":"heart"},{"sku":"POST","quantity":1,"unit_price":"4.5","line_no":9}]}`)
	placed := must[order.Order](s, got, http.StatusAccepted)
	location := got.header.Get("Location")
	if location != fmt.Sprintf("/api/orders/%d", placed.ID) || placed.Number != "536365" || placed.Status != order.StatusPlaced {
		t.Errorf("answered %q and %+v", location, placed)
	}
	if n := one[int](s, `select count(*) from river_job where kind = 'process_order' and args ->> 'order_id' = $1`, fmt.Sprint(placed.ID)); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
	stored := one[string](s, `
		select concat_ws(' ', o.number, c.number, o.country, o.currency, o.placed_at at time zone 'UTC', string_agg(l.sku || l.quantity || '@' || l.unit_price, ','order by line_no))
		  from orders o join customers c on c.id = customer_id join order_lines l on l.order_id = o.id group by o.id, c.id`)
	if want := "536365 17850 France EUR 2010-12-01 07:26:00 85123A6@0.0010,POST1@4.5000"; stored != want {
		t.Errorf("stored %s\nwant   %s", stored, want)
	}

	got = s.get(location)
	story := must[struct {
		order.Story
		Amount string
	}](s, got, http.StatusOK)
	if story.Order.Number != "536365" || len(story.Jobs) != 1 || story.Jobs[0].State != "available" || story.Amount != "4.506" || len(story.Order.Lines) != 2 {
		t.Errorf("story = %s", got.body)
	}
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q of an order that is not final, want 1", got.header.Get("Retry-After"))
	}
	s.exec(`update orders set status = 'processed'`)
	if again := s.get(location).header.Get("Retry-After"); again != "" {
		t.Errorf("Retry-After = %q of a final order, want none", again)
	}
	s.refused(s.get("/api/orders/77"), http.StatusNotFound, "path.id", "order 77 does not exist")
}

func TestRefusedOrderNamesTheFieldAndStoresNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place(`{"number":"taken","lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}`)
	line := func(fields string) string { return `{"lines":[{` + fields + `}]}` }
	with := func(field string) string {
		return `{"lines":[{"sku":"A","quantity":1,"unit_price":"1"}],` + field + `}`
	}
	for _, tc := range []struct {
		name, body string
		status     int
		at         string
		words      []string
	}{
		{"a JSON number as amount", line(`"sku":"A","quantity":1,"unit_price":2.55`), 422, "body.lines[0].unit_price", []string{"put it in quotes"}},
		{"five decimals", line(`"sku":"A","quantity":1,"unit_price":"2.55555"`), 422, "body.lines[0].unit_price", []string{"at most 4 decimals"}},
		{"an exponent", line(`"sku":"A","quantity":1,"unit_price":"1e9"`), 422, "body.lines[0].unit_price", nil},
		{"an amount out of range", line(`"sku":"A","quantity":1,"unit_price":"10000000000"`), 422, "body.lines[0].unit_price", nil},
		{"a product out of range", line(`"sku":"A","quantity":11,"unit_price":"9999999999"`), 422, "body.lines[0].quantity", []string{"out of range"}},
		{"a fraction of a unit", line(`"sku":"A","quantity":1.5,"unit_price":"1"`), 422, "body.lines[0].quantity", nil},
		{"a quantity beyond 32 bits", line(`"sku":"A","quantity":2147483648,"unit_price":"1"`), 422, "body.lines[0].quantity", nil},
		{"a quantity beyond 64 bits", line(`"sku":"A","quantity":92233720368547758080,"unit_price":"1"`), 422, "body.lines[0].quantity", nil},
		{"a quantity beyond a float", line(`"sku":"A","quantity":1e999,"unit_price":"1"`), 422, "body.lines[0].quantity", nil},
		{"quantity zero", line(`"sku":"A","quantity":0,"unit_price":"1"`), 422, "body.lines[0].quantity", []string{"orders nothing"}},
		{"a quantity as text", line(`"sku":"A","quantity":"1","unit_price":"1"`), 422, "body.lines[0].quantity", nil},
		{"no sku", line(`"quantity":1,"unit_price":"1"`), 422, "body.lines[0]", []string{"sku"}},
		{"a sku too long in bytes", line(`"sku":"` + strings.Repeat("é", 101) + `","quantity":1,"unit_price":"1"`), 422, "body.lines[0].sku", []string{"202 bytes"}},
		{"a NUL in a sku", line(`"sku":"A\u0000","quantity":1,"unit_price":"1"`), 400, "body.lines[0].sku", []string{"NUL"}},
		{"half a surrogate pair", line(`"sku":"\ud800","quantity":1,"unit_price":"1"`), 400, "body", []string{"surrogate"}},
		{"the other half", line(`"sku":"\udc00","quantity":1,"unit_price":"1"`), 400, "body", []string{"surrogate"}},
		{"a field given twice", line(`"sku":"A","sku":"B","quantity":1,"unit_price":"1"`), 400, "body.lines[0].sku", []string{"twice"}},
		{"a field in other letters", line(`"SKU":"A","quantity":1,"unit_price":"1"`), 422, "body.lines[0].SKU", nil},
		{"an unknown field", with(`"colour":"red"`), 422, "body.colour", nil},
		{"no lines", `{"lines":[]}`, 422, "body.lines", nil},
		{"lines that are null", `{"lines":null}`, 422, "body.lines", nil},
		{"a line that is null", `{"lines":[null]}`, 422, "body.lines[0]", nil},
		{"an unknown kind", with(`"kind":"gift"`), 422, "body.kind", nil},
		{"a currency in small letters", with(`"currency":"gbp"`), 422, "body.currency", nil},
		{"a placed_at that is no time", with(`"placed_at":"yesterday"`), 422, "body.placed_at", nil},
		{"a placed_at before the first year", with(`"placed_at":"0000-06-01T00:00:00Z"`), 422, "body.placed_at", nil},
		{"a placed_at that means nothing", with(`"placed_at":"0001-01-01T00:00:00Z"`), 422, "body.placed_at", nil},
		{"a placed_at ten years ahead", with(`"placed_at":"` + time.Now().AddDate(10, 0, 0).Format(time.RFC3339) + `"`), 422, "body.placed_at", []string{"more than a day ahead"}},
		{"a number that is taken", with(`"number":"taken"`), 409, "body.number", []string{"is taken", "urn:backoffice:problem:duplicate-number"}},
		{"no JSON", `order 1`, 400, "body", []string{"not valid JSON"}},
		{"half of a JSON", `{"lines":[`, 400, "body", []string{"ends too early"}},
		{"two JSON values", sale + sale, 400, "body", []string{"follows"}},
		{"a list", `[]`, 422, "body", nil},
		{"null", `null`, 422, "body", nil},
		{"deep nesting", strings.Repeat(`{"lines":[`, 5000), 400, "body.lines[0].lines[0].lines[0].lines[0]", nil},
		{"an absurdly long number", line(`"sku":"A","quantity":` + strings.Repeat("9", 5000) + `,"unit_price":"1"`), 400, "body.lines[0].quantity", []string{"5000 characters"}},
		{"bytes that are not UTF-8", line(`"sku":"` + "\xff" + `","quantity":1,"unit_price":"1"`), 400, "body", []string{"UTF-8"}},
		{"no body", "", 400, "", []string{"body is required"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := s.post("/api/orders", tc.body)
			if tc.name == "deep nesting" {
				p := must[problem](s, got, tc.status)
				if len(p.Errors) != 1 || !strings.HasPrefix(p.Errors[0].Location, tc.at) || !strings.Contains(p.Detail, "levels deep") {
					t.Errorf("problem = %s", got.body)
				}
				return
			}
			s.refused(got, tc.status, tc.at, tc.words...)
			if len(got.body) > 2000 {
				t.Errorf("the problem is %d bytes long", len(got.body))
			}
		})
	}
	if n := one[int](s, `select (select count(*) from orders) + (select count(*) from river_job)`); n != 2 {
		t.Errorf("%d orders and jobs are stored, want those of the first order only", n)
	}
	if logged := s.log.String(); strings.Contains(logged, "ERROR") {
		t.Errorf("a refusal was logged as our failure: %s", logged)
	}
}

func TestBatchIsStoredWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	bodies := func(n int) string { return `{"orders":[` + strings.TrimSuffix(strings.Repeat(sale+",", n), ",") + `]}` }
	placed := must[struct {
		Orders []struct {
			ID       int64
			Location string
		}
	}](s, s.post("/api/orders/batch", bodies(1000)), http.StatusAccepted)
	if len(placed.Orders) != 1000 || placed.Orders[999].Location != fmt.Sprintf("/api/orders/%d", placed.Orders[999].ID) {
		t.Errorf("answered %d orders, the last as %+v", len(placed.Orders), placed.Orders[999])
	}
	if n := one[int](s, `select count(*) from river_job join orders on args ->> 'order_id' = orders.id::text`); n != 1000 {
		t.Errorf("%d orders with a job, want 1000", n)
	}

	s.refused(s.post("/api/orders/batch", bodies(1001)), 422, "body.orders")
	s.refused(s.post("/api/orders/batch", `{"orders":[]}`), 422, "body.orders")
	s.refused(s.post("/api/orders/batch", `{"orders":[`+sale+`,{"lines":[{"sku":"A","quantity":0,"unit_price":"1"}]}]}`), 422, "body.orders[1].lines[0].quantity")
	s.refused(s.post("/api/orders/batch", `{"orders":[{"currency":"GBP","lines":[{"sku":"A","quantity":0,"unit_price":"1"}]}]}`), 422, "body.orders[0].lines[0].quantity")
	s.refused(s.post("/api/orders/batch", `{"orders":[`+sale+`,{"placed_at":"0001-01-01T00:00:00Z","lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}]}`), 422, "body.orders[1].placed_at")
	twice := `{"number":"7","lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}`
	s.refused(s.post("/api/orders/batch", `{"orders":[`+twice+`,`+twice+`]}`), 409, "body.orders[1].number")
	if n := one[int](s, `select count(*) from orders`); n != 1000 {
		t.Errorf("%d orders, want 1000: a refused batch left some", n)
	}

	many := s.refused(s.post("/api/orders/batch", `{"orders":[`+strings.TrimSuffix(strings.Repeat(`{"colour":1},`, 900), ",")+`]}`), 422, "body.orders[0]", "more)")
	if len(many.Errors) > 50 {
		t.Errorf("the problem lists %d places", len(many.Errors))
	}
}

func TestOrdersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for n := range 5 {
		s.place(fmt.Sprintf(`{"number":"N%d","customer":"C &%d","lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}`, n, n%2))
	}
	s.place(`{"kind":"credit","number":"K","lines":[{"sku":"A","quantity":-1,"unit_price":"1"}]}`)
	s.exec(`update orders set status = 'rejected' where number = 'N3'`)
	list := func(path string) (numbers []string) {
		for path != "" {
			got := s.get(path)
			page := must[struct {
				Orders []order.Order
				Next   string
			}](s, got, http.StatusOK)
			for _, o := range page.Orders {
				numbers = append(numbers, o.Number)
			}
			link := ""
			if page.Next != "" {
				link = "<" + page.Next + `>; rel="next"`
			}
			if got.header.Get("Link") != link {
				t.Errorf("Link = %q, want %q", got.header.Get("Link"), link)
			}
			path = page.Next
		}
		return numbers
	}
	for path, want := range map[string]string{
		"/api/orders":                           "K N4 N3 N2 N1 N0",
		"/api/orders?limit=1":                   "K N4 N3 N2 N1 N0",
		"/api/orders?limit=4":                   "K N4 N3 N2 N1 N0",
		"/api/orders?customer=C%20%261&limit=1": "N3 N1",
		"/api/orders?kind=credit":               "K",
		"/api/orders?status=rejected":           "N3",
		"/api/orders?status=placed&kind=sale":   "N4 N2 N1 N0",
		"/api/orders?customer=nobody":           "",
		"/api/orders?after=9223372036854775807": "K N4 N3 N2 N1 N0",
	} {
		if got := strings.Join(list(path), " "); got != want {
			t.Errorf("%s lists %q, want %q", path, got, want)
		}
	}
	for path, at := range map[string]string{
		"/api/orders?status=lost": "query.status", "/api/orders?kind=x": "query.kind", "/api/orders?limit=0": "query.limit", "/api/orders?limit=1001": "query.limit",
		"/api/orders?limit=x": "query.limit", "/api/orders?after=-1": "query.after", "/api/orders?after=9223372036854775808": "query.after", "/api/orders?page=2": "query.page",
		"/api/orders/x": "path.id", "/api/orders/0": "path.id", "/api/orders/9223372036854775808": "path.id",
	} {
		s.refused(s.get(path), 422, at)
	}
	for path, at := range map[string]string{
		"/api/orders?limit=1&limit=2": "query.limit", "/api/orders?customer=%00": "query.customer", "/api/orders?customer=%ff": "query.customer", "/api/orders?customer=%zz": "query",
	} {
		s.refused(s.get(path), 400, at)
	}
}

func TestCancelledOrderTakesItsJobAlong(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(sale)
	path := fmt.Sprintf("/api/orders/%d/cancel", id)
	s.refused(s.post(path, `{"reason":7}`), 422, "body.reason")
	s.refused(s.post("/api/orders/77/cancel", ""), 404, "path.id")
	cancelled := must[order.Order](s, s.post(path, `{"reason":"customer called"}`), http.StatusOK)
	if cancelled.Status != order.StatusCancelled || cancelled.Reason != "customer called" {
		t.Errorf("answered %+v", cancelled)
	}
	if got := one[string](s, `select o.status || ' ' || j.state from orders o, river_job j`); got != "cancelled cancelled" {
		t.Errorf("order and job are %s", got)
	}
	if got := one[string](s, `select concat_ws('|', actor, action, target, reason) from audit_log`); got != fmt.Sprintf("local|cancel_order|order %d|customer called", id) {
		t.Errorf("audit_log has %s", got)
	}
	late := s.refused(s.post(path, ""), http.StatusConflict, "", "is cancelled already and cannot be cancelled")
	if late.Type != "urn:backoffice:problem:too-late" {
		t.Errorf("type = %q", late.Type)
	}
	if n := one[int](s, `select count(*) from audit_log`); n != 1 {
		t.Errorf("%d rows in audit_log, want 1: what was refused is no action", n)
	}
}

func TestFilterThatNothingMatchesReadsNoMoreThanAWindow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const window = order.ListWindow
	s.exec(`insert into orders (number, kind) select n::text, case n when 1 then 'credit' else 'sale' end from generate_series(1, $1::int + 10) n`, window)
	s.exec(`insert into river_job (id, kind, queue, args, state, max_attempts) overriding system value
	        select n, case n when 1 then 'rare' else 'a' end, 'q', '{}', 'available', 1 from generate_series(1, $1::int + 10) n`, window)
	type list struct {
		Orders, Jobs []struct{ ID int64 }
		Next         string
	}
	for path, cursor := range map[string]string{"/api/orders?kind=credit&limit=5": "/api/orders?after=11&kind=credit&limit=5", "/api/jobs?kind=rare&limit=5": "/api/jobs?after=11&kind=rare&limit=5"} {
		first := must[list](s, s.get(path), http.StatusOK)
		if len(first.Orders)+len(first.Jobs) != 0 || first.Next != cursor {
			t.Fatalf("%s: %+v, want nothing and the next page %s", path, first, cursor)
		}
		if second := must[list](s, s.get(first.Next), http.StatusOK); len(second.Orders)+len(second.Jobs) != 1 || second.Next != "" {
			t.Errorf("%s: %+v, want the one there is, and no next page", first.Next, second)
		}
	}
}

func TestCustomerOfLongAgoIsFoundOnTheFirstPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`with known as (insert into customers (number) values ('17850') returning id) insert into orders (number, kind, customer_id) select kind, kind, id from known, unnest('{credit,sale}'::text[]) kind`)
	s.exec(`insert into orders (number) select n::text from generate_series(1, $1::int + 10) n`, order.ListWindow)
	type list struct {
		Orders []struct{ Number string }
		Next   string
	}
	for path, want := range map[string]string{
		"/api/orders?customer=17850":             "[{sale} {credit}]",
		"/api/orders?customer=17850&kind=credit": "[{credit}]",
		"/api/orders?customer=17851":             "[]",
	} {
		if page := must[list](s, s.get(path), http.StatusOK); fmt.Sprint(page.Orders) != want || page.Next != "" {
			t.Errorf("%s: %v, next %q; want %s and no next page", path, page.Orders, page.Next, want)
		}
	}
}
