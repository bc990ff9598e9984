package api_test

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// pagePaths are the pages and what they are made of, which the document does not list.
var pagePaths = regexp.MustCompile(`^(/|/orders|/orders/[^/]*|/reports|/reports/[^/]*|/reports/[^/]*/download|/jobs/[^/]*|/search|/api/docs|/assets/[a-z.]+)$`)

// aimAtPage makes a request one for a page, as a browser or somebody who plays with its address sends it.
func aimAtPage(v *inventor, r *fuzzRequest) {
	query := url.Values{}
	for _, name := range []string{"q", "status", "after"} {
		if v.odd(0.5) {
			query.Set(name, pick(v, []string{v.id(), "#" + v.id(), "N-" + v.id(), "placed", "processed", "none", "", "-1", "\x00", "\xff", strings.Trim(v.nonsense(), `"`)}))
		}
	}
	r.method, r.fits = http.MethodGet, false
	r.target = pick(v, []string{"/", "/orders", "/orders/" + v.id(), "/orders/" + v.id(), "/jobs/" + v.id(), "/search", "/search", "/api/docs", "/reports", "/reports/" + v.id(), fmt.Sprintf("/reports/%d/download", 1+v.IntN(fuzzReports)), "/reports/x/download", "/orders/0", "/jobs/x", "/assets/page.css"})
	if len(query) > 0 {
		r.target += "?" + query.Encode()
	}
	if v.odd(0.1) {
		r.header("Authorization", pick(v, []string{"Basic", "Basic YTpi", "Basic \xff", "Basic " + strings.Repeat("a", 3000)}))
		r.caller = "malformed"
	}
}

// checkPage says what is wrong with an answer where a page was asked for: it is HTML, a problem or a way
// to go on, and what callers have stored is text in it.
func checkPage(method string, got answer) error {
	media, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	switch {
	case strings.Contains(got.body, "<script>alert(1)") && media == "text/html":
		return fmt.Errorf("the page holds a script that a caller wrote")
	case got.status == http.StatusSeeOther:
		if to := got.header.Get("Location"); !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
			return fmt.Errorf("the page leads to %q", to)
		}
	case got.status >= 400 && media == problemMedia && method != http.MethodHead:
		return checkProblem(got)
	case strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment"): // a report
		return nil
	case got.status == http.StatusOK && !slices.Contains([]string{"text/html", "text/css", "text/javascript", "image/svg+xml"}, media),
		got.status != http.StatusOK && media != "text/html" && media != problemMedia:
		return fmt.Errorf("a page of type %q", media)
	}
	return nil
}
