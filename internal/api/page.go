package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

//go:embed page
var pageFiles embed.FS

// pages are what a browser is shown: read only, rendered here, without anything from elsewhere.
type pages struct {
	templates map[string]*template.Template // by the name of their file, without .html
	reading   singleflight.Group            // of the status: however many look at it, one connection reads
}

// view is one page. Times on it are UTC.
type view struct {
	Title   string
	Section string // which link of the header leads here: status, orders, reports or docs
	Query   string // stands in the search field
	Refresh int    // seconds until the page asks again; 0: it does not change
	At      time.Time
	Version string
	Content any

	template string
	status   int    // 0: 200
	moved    string // the path of another page, which is answered instead
}

// pagePolicy lets a page use our own files and its forms lead to us; scripts and styles in the HTML are refused.
const pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// assets are the files that a page refers to.
var assets = map[string]string{
	"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
}

func (a *API) pageRoutes() error {
	a.pages = &pages{templates: map[string]*template.Template{}}
	layout, err := template.New("layout").Funcs(pageFuncs).ParseFS(pageFiles, "page/layout.html")
	if err != nil {
		return fmt.Errorf("read page layout: %w", err)
	}
	for _, name := range []string{"status", "orders", "order", "reports", "report", "job", "found", "problem", "docs"} {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(pageFiles, "page/"+name+".html")
		}
		if err != nil {
			return fmt.Errorf("read page %s: %w", name, err)
		}
		a.pages.templates[name] = page
	}
	for name, media := range assets {
		if err := a.assetRoute(name, media); err != nil {
			return err
		}
	}
	a.mux.Handle("GET /{$}", a.page(a.statusPage))
	a.mux.Handle("GET /orders", a.page(a.ordersPage))
	a.mux.Handle("GET /orders/{id}", a.page(a.orderPage))
	a.mux.Handle("GET /reports", a.page(a.reportsPage))
	a.mux.Handle("GET /reports/{id}", a.page(a.reportPage))
	a.mux.HandleFunc("GET /reports/{id}/download", a.pageDownload)
	a.mux.Handle("GET /jobs/{id}", a.page(a.jobPage))
	a.mux.Handle("GET /search", a.page(a.searchPage))
	a.mux.HandleFunc("GET /api/docs", a.serveDocs)
	return nil
}

// assetRoute serves one file, which the browser keeps until it has changed. It needs no key: there is
// nothing in it.
func (a *API) assetRoute(name, media string) error {
	content, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	digest := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(digest[:8]) + `"`
	a.mux.HandleFunc("GET /assets/"+name, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", media)
		w.Header().Set("Cache-Control", "no-cache") // keep it, and ask whether it is still the same
		w.Header().Set("ETag", tag)
		for _, condition := range []string{"Range", "If-Match", "If-Unmodified-Since"} { // nobody needs them of so small a file
			r.Header.Del(condition)
		}
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
	return nil
}

// page answers with what show makes of a request, if the caller may look.
func (a *API) page(show func(*http.Request) (view, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), a.Handle)
		defer cancel()
		r = r.WithContext(ctx)
		if !a.mayLook(w, r) {
			return
		}
		v, err := show(r)
		switch {
		case err != nil:
			a.renderError(w, r, err)
		case v.moved != "":
			http.Redirect(w, r, v.moved, http.StatusSeeOther)
		default:
			a.render(w, r, v)
		}
	})
}

// mayLook lets callers pass who have scope read, by a browser's Basic authentication, whose password is
// the API key, or by Bearer. The routes below /api know Bearer only: what a browser sends on its own
// cannot change anything.
func (a *API) mayLook(w http.ResponseWriter, r *http.Request) bool {
	known := r
	if _, password, given := r.BasicAuth(); given {
		known = r.Clone(r.Context())
		known.Header.Set("Authorization", "Bearer "+password)
	}
	caller, p, err := a.identify(known)
	if err != nil {
		a.renderError(w, r, err)
		return false
	}
	callOf(r.Context()).caller = caller
	if p != nil && p.Status == http.StatusForbidden { // no key would help who comes by another name
		a.render(w, r, a.problemPage(p.Status, sentenceOf(p.Detail)))
		return false
	}
	refused := ""
	switch {
	case p != nil && known != r:
		refused = "This API key is unknown or was revoked."
	case p != nil:
		refused = "An API key is needed here."
	case caller.KeyID != 0 && !slices.Contains(caller.scopes, string(ScopeRead)):
		refused = "Key " + caller.Name + " has no scope read." // 401 all the same: after 403 a browser would never ask again
	default:
		return true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="backoffice", charset="UTF-8"`)
	a.render(w, r, a.problemPage(http.StatusUnauthorized, refused+" Give it as the password, with any user name; it needs scope read: backoffice api-keys create NAME --scope read"))
	return false
}

// render writes a page as a whole or not at all.
func (a *API) render(w http.ResponseWriter, r *http.Request, v view) {
	v.At, v.Version = a.Now().UTC(), a.Version
	var html bytes.Buffer
	if err := a.pages.templates[v.template].ExecuteTemplate(&html, "layout", v); err != nil {
		a.Log.ErrorContext(r.Context(), "page not rendered", "request_id", callOf(r.Context()).id, "page", v.template, "error", err)
		v = a.problemPage(http.StatusInternalServerError, "This page cannot be shown; the log tells more under request id "+callOf(r.Context()).id+".")
		html.Reset()
		_ = a.pages.templates[v.template].ExecuteTemplate(&html, "layout", v) // text only: it cannot fail
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	if v.status != 0 {
		w.WriteHeader(v.status)
	}
	_, _ = w.Write(html.Bytes()) // who asked and left need not be told
}

// pageProblem is the content of a page that says what is wrong.
type pageProblem struct {
	Status       int
	Title, About string
}

func (a *API) problemPage(status int, about string) view {
	return view{
		Title: title(status), template: "problem", status: status, At: a.Now().UTC(), Version: a.Version,
		Content: pageProblem{status, title(status), about},
	}
}

// renderError answers an error as problemOf does, for people. When it may pass, the page tries again.
func (a *API) renderError(w http.ResponseWriter, r *http.Request, err error) {
	p := asModel(a.problemOf(r.Context(), err))
	about := p.Detail
	refresh := 0
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
		about, refresh = "The database does not answer in time. This page tries again.", 5
	}
	v := a.problemPage(p.Status, sentenceOf(about))
	v.Refresh = refresh
	if errors.Is(err, context.Canceled) {
		v.Refresh = 0
	}
	a.render(w, r, v)
}

// sentenceOf makes a problem's detail begin as a sentence on a page does.
func sentenceOf(detail string) string {
	if detail == "" {
		return ""
	}
	return strings.ToUpper(detail[:1]) + detail[1:]
}
