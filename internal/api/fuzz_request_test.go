package api_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

func sortedKeys(of map[string]any) []string { return slices.Sorted(maps.Keys(of)) }

// fuzzer makes up requests from the document. The same seed and number make the same request.
type fuzzer struct {
	spec *spec
	seed uint64
	keys map[string]string // an Authorization header by what its key may do
	most int64             // see inventor
}

// fuzzRequest is a request before it is written.
type fuzzRequest struct {
	op        *operation
	method    string
	target    string // path and query, as they are sent
	version   string
	headers   [][2]string
	body      string
	framing   string // length, chunked, or a framing that is broken
	key       string // the Idempotency-Key
	caller    string // whose key it carries
	fits      bool   // it is as the document wants it
	notHTTP   bool   // a server answers it before any route can
	endsEarly bool
}

// request makes up the request of a number. Some repeat an earlier one, byte for byte.
func (f *fuzzer) request(n uint64) fuzzRequest {
	v := &inventor{Rand: rand.New(rand.NewPCG(f.seed, n)), spec: f.spec, most: f.most}
	if n > 100 && v.odd(0.05) {
		return f.request(n - 1 - v.Uint64N(100))
	}
	if v.odd(0.5) {
		v.wild = pick(v, []float64{0.02, 0.1, 0.4})
	}
	op := pick(v, f.spec.operations)
	if v.odd(0.25) {
		op = f.spec.operations[slices.IndexFunc(f.spec.operations, func(o *operation) bool { return o.id == "placeOrder" })]
	}
	r := fuzzRequest{op: op, method: op.method, version: "HTTP/1.1", headers: [][2]string{{"Host", "127.0.0.1"}}, framing: "length", fits: v.wild == 0}
	f.aim(v, &r)
	f.authorize(v, &r)
	if op.body != nil {
		r.body = v.value("", op.body)
		r.header("Content-Type", "application/json")
	} else if v.odd(0.1) {
		aimAtPage(v, &r)
	}
	for v.wild > 0 && !r.notHTTP && v.odd(0.4) { // a later twist could mend what is not HTTP
		twists[v.IntN(len(twists))](v, &r)
	}
	return r
}

func (r *fuzzRequest) header(name, value string) {
	r.headers = slices.DeleteFunc(r.headers, func(h [2]string) bool { return h[0] == name })
	r.headers = append(r.headers, [2]string{name, value})
}

// aim fills in the path, the query and the headers that the document names.
func (f *fuzzer) aim(v *inventor, r *fuzzRequest) {
	path, query := r.op.path, url.Values{}
	for _, p := range r.op.parameters {
		name, schema := p["name"].(string), p["schema"].(map[string]any)
		value := strings.Trim(v.value(name, schema), `"`)
		switch p["in"] {
		case "path":
			if strings.HasPrefix(r.op.path, "/api/reports/") && v.odd(0.7) { // one of those that there were from the beginning, or one of the first
				value = fmt.Sprint(1 + v.IntN(2*fuzzReports))
			}
			if strings.HasPrefix(r.op.path, "/api/jobs/") && v.odd(0.1) { // theirs
				value = fmt.Sprint(1 + v.IntN(fuzzReports/2))
			}
			path = strings.Replace(path, "{"+name+"}", url.PathEscape(value), 1)
		case "query":
			if v.odd(0.3) {
				query.Set(name, value)
			}
		case "header":
			if name == "Idempotency-Key" && v.odd(0.5) {
				r.key = fmt.Sprintf("key %d", v.IntN(2000))
				r.header(name, r.key)
			}
			if conditions[name] != nil && v.odd(0.3) {
				r.header(name, pick(v, conditions[name]))
			}
		}
	}
	r.target = path
	if len(query) > 0 {
		r.target += "?" + query.Encode()
	}
}

// conditions are what the headers of a download may say.
var conditions = map[string][]string{
	"Range":         {"bytes=0-9", "bytes=5-", "bytes=-3", "bytes=0-", "bytes=999999999-", "bytes=9-1", "bytes=0-1,4-5", "rows=1-2", "bytes", "bytes=-", "bytes=99999999999999999999-"},
	"If-Range":      {`"` + sumOf(fuzzReport) + `"`, `"other"`, "W/\"x\"", "Wed, 04 Mar 2026 12:00:00 GMT", "x"},
	"If-Match":      {`"` + sumOf(fuzzReport) + `"`, `"other"`, "*", ",", "\""},
	"If-None-Match": {`"` + sumOf(fuzzReport) + `"`, `"other", W/"` + sumOf(fuzzReport) + `"`, "*", ",", "\""},
}

// authorize sends a key that mostly fits.
func (f *fuzzer) authorize(v *inventor, r *fuzzRequest) {
	r.caller = "all"
	if v.odd(0.1) {
		r.caller = pick(v, []string{"none", "revoked", "unknown", "enqueue", "read", "operate"})
	}
	if header := f.keys[r.caller]; header != "" {
		r.header("Authorization", header)
	}
}

// text is the request as it goes over the wire.
func (r *fuzzRequest) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", r.method, r.target, r.version)
	for _, h := range r.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	switch r.framing {
	case "chunked":
		half := len(r.body) / 2
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for _, chunk := range []string{r.body[:half], r.body[half:]} {
			if chunk != "" {
				fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
			}
		}
		b.WriteString("0\r\n\r\n")
	case "broken chunks":
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nzz\r\n", len(r.body), r.body)
	case "breaks off":
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body)+10, r.body)
	case "none":
		b.WriteString("\r\n")
	default:
		if r.body != "" || r.op.body != nil {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
		}
		b.WriteString("\r\n" + r.body)
	}
	return b.String()
}

// twists are ways of getting a request wrong, or merely strange.
var twists = []func(v *inventor, r *fuzzRequest){
	func(v *inventor, r *fuzzRequest) {
		r.method = pick(v, []string{http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, "BREW", "get"})
	},
	func(v *inventor, r *fuzzRequest) {
		path, _, _ := strings.Cut(r.target, "?")
		r.target = pick(v, []string{path + "/", path + "/more", "/" + path, path + "%2f", path + "%00", path + "%ff", path + "/../orders", path + "/./", path + ";a=b",
			strings.ToUpper(path), "/api/nothing", "/nothing", "/api/" + strings.Repeat("a", 3000), "/livez", "/readyz", "/api/openapi.json", "http://elsewhere.test" + path, path + "\xc3\xa9"})
	},
	func(v *inventor, r *fuzzRequest) { // an id of another shape
		odd := pick(v, []string{"0", "-1", "9223372036854775807", "9223372036854775808", "1e3", "abc", "%20", "%EF%BC%91", "+1", "01", "1.0", "%27", "%5C", "{id}", "null"})
		r.target = strings.Replace(r.op.path, "{id}", odd, 1)
		r.target = strings.Replace(r.target, "{name}", odd, 1)
	},
	func(v *inventor, r *fuzzRequest) {
		joint := "?"
		if strings.Contains(r.target, "?") {
			joint = "&"
		}
		r.target += joint + pick(v, []string{"unknown=1", "limit=0", "limit=1001", "limit=99999999999999999999", "limit=", "limit=1&limit=2", "after=-1", "after=x", "status=", "status=none", "kind=%00", "kind=%ff",
			"customer=%27%20or%201%3D1", "customer=" + strings.Repeat("x", 5000), "state=running", "all=maybe", "a=1;b=2", "%", "%zz=1", "=", "&&", "limit=1.0", "limit=1e2", "queue=%E6%BC%A2", "LIMIT=1", "customer=%ED%A0%80"})
	},
	func(v *inventor, r *fuzzRequest) {
		r.header("Authorization", pick(v, []string{"", "Bearer", "Bearer ", "Basic YTpi", "bearer nothing", "Bearer " + strings.Repeat("k", 4000), "Bearer \xff", "Bearer a b c", "Token x"}))
		r.caller = "malformed"
	},
	func(v *inventor, r *fuzzRequest) {
		r.header("Content-Type", pick(v, []string{"", "text/plain", "application/xml", "application/json; charset=latin1", "application/json; charset=UTF-8", "application/json;", "application/json; q", "APPLICATION/JSON",
			"application/problem+json", "application/cbor", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ";;;", "application/json, text/plain", strings.Repeat("a", 5000)}))
	},
	func(v *inventor, r *fuzzRequest) {
		r.header("Content-Encoding", pick(v, []string{"gzip", "br", "identity", "deflate, gzip", "nothing", ""}))
		if v.odd(0.5) {
			r.body = gzipped(r.body)
		}
	},
	func(v *inventor, r *fuzzRequest) { // another encoding, or bytes before and after
		r.body = pick(v, []string{inUTF16(r.body), "\xef\xbb\xbf" + r.body, r.body + "\x00", r.body + r.body, r.body + " ", "\n\t " + r.body, r.body + "\xff", strings.Replace(r.body, `:"`, ":\"\xff", 1), "", v.nonsense(), r.body[:len(r.body)/2]})
	},
	func(v *inventor, r *fuzzRequest) { // too much
		if v.odd(0.4) {
			r.body = strings.Repeat(" ", pick(v, []int{fuzzMaxBody, fuzzMaxBatch})) + r.body
		}
	},
	func(v *inventor, r *fuzzRequest) {
		r.framing = pick(v, []string{"chunked", "chunked", "broken chunks", "breaks off", "none"})
		r.endsEarly = r.framing != "chunked"
	},
	func(v *inventor, r *fuzzRequest) {
		name := pick(v, []string{"Accept", "Accept-Encoding", "Accept-Language", "X-Request-Id", "If-None-Match", "Range", "Prefer", "User-Agent", "Cookie", "X-HTTP-Method-Override", "X-Forwarded-For", "Forwarded", "Referer"})
		r.header(name, pick(v, []string{"", "*/*;q=0", "application/xml", "text/html", "gzip", "bytes=0-1", "DELETE", "\xff\xfe", strings.Repeat("x", 9000), "'; drop table orders; --", "a\tb", "127.0.0.1", ",,,;"}))
	},
	func(v *inventor, r *fuzzRequest) { // a page of another site
		r.header("Origin", pick(v, []string{"https://elsewhere.test", "null", "http://127.0.0.1"}))
		r.header("Sec-Fetch-Site", pick(v, []string{"cross-site", "same-origin", "none", "junk"}))
	},
	func(v *inventor, r *fuzzRequest) {
		r.key = pick(v, []string{"", strings.Repeat("k", 255), strings.Repeat("k", 256), "é", "\xff", "a\tb", " ", `"quoted"`})
		r.header("Idempotency-Key", r.key)
	},
	func(v *inventor, r *fuzzRequest) {
		r.headers = append(r.headers, [2]string{pick(v, []string{"Idempotency-Key", "Authorization", "Content-Type", "Content-Encoding"}), "second"})
	},
	func(v *inventor, r *fuzzRequest) {
		r.header("Expect", "100-continue")
	},
	func(v *inventor, r *fuzzRequest) { // what no route can read; every route is to meet it, and there are many
		path, _, _ := strings.Cut(r.target, "?")
		r.target = path + "?" + pick(v, []string{"kind=%00", "kind=%ff", "%zz=1"})
	},
	func(v *inventor, r *fuzzRequest) { // more headers than are read
		r.header("X-Long", strings.Repeat("x", 40<<10))
	},
	func(v *inventor, r *fuzzRequest) { // not HTTP
		if v.odd(0.5) {
			return
		}
		r.notHTTP, r.endsEarly = true, true
		*pick(v, []*string{&r.version, &r.target, &r.method}) += pick(v, []string{"\x00", " \x01 ", "\x7f "})
		r.headers = append(r.headers, pick(v, [][2]string{{"X-Nul", "a\x00b"}, {"No Token", "x"}, {"Host", "twice"}, {"Content-Length", "-1"}, {"Expect", "nothing"}}))
	},
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // to memory: it cannot fail
	_ = w.Close()
	return b.String()
}

func inUTF16(text string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}
