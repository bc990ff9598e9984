package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/workers"
)

// shop is the API on a database of the test's own, behind real HTTP.
type shop struct {
	t    *testing.T
	pool *pgxpool.Pool
	url  string
	log  *logs
}

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newShop(t *testing.T, changes ...func(*api.Config)) *shop {
	t.Helper()
	s := &shop{t: t, pool: pgtest.Pool(t), log: &logs{}}
	s.serve(s.api(changes...))
	return s
}

// serve puts a service behind the shop's address from now on.
func (s *shop) serve(service http.Handler) {
	server := httptest.NewServer(service)
	s.t.Cleanup(server.Close)
	s.url = server.URL
}

// api builds the service on the shop's database.
func (s *shop) api(changes ...func(*api.Config)) *api.API {
	s.t.Helper()
	client, err := queue.NewInserter(s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := api.Config{
		Pool: s.pool, Look: s.pool, Jobs: client, Ready: func(context.Context) error { return nil }, Now: time.Now,
		Log: s.logger(), Version: "test", Open: true,
		MaxBody: 64 << 10, MaxBatchBody: 1 << 20, Handle: 30 * time.Second, Piece: 30 * time.Second, Stores: s.stores(),
	}
	for _, k := range workers.Kinds() {
		cfg.Kinds = append(cfg.Kinds, api.Kind{Contract: k.Contract, Args: k.Args, Decode: k.Decode})
	}
	for _, change := range changes {
		change(&cfg)
	}
	handler, err := api.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return handler
}

func (s *shop) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(s.log, nil)) }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; headers alternate names and values. A body is JSON unless a header says otherwise.
func (s *shop) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	got, err := s.try(method, path, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func (s *shop) try(method, path, body string, headers ...string) (answer, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, s.url+path, reader)
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

func (s *shop) get(path string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, path, "", headers...)
}

func (s *shop) post(path, body string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, path, body, headers...)
}

// must is an answer of the wanted status, read into a value.
func must[T any](s *shop, got answer, status int) T {
	s.t.Helper()
	var into T
	if got.status != status {
		s.t.Fatalf("status = %d, want %d: %s", got.status, status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &into); err != nil {
		s.t.Fatalf("%v in %s", err, got.body)
	}
	return into
}

// problem is what every refusal looks like.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
		Value    any    `json:"value"`
	} `json:"errors"`
}

// refused checks that an answer is a problem of a status, about a place of the request ("" for none),
// whose text holds the given words.
func (s *shop) refused(got answer, status int, at string, words ...string) problem {
	s.t.Helper()
	p := must[problem](s, got, status)
	if media := got.header.Get("Content-Type"); media != "application/problem+json" {
		s.t.Errorf("content type = %q", media)
	}
	if p.Status != status || p.Title == "" || p.Detail == "" {
		s.t.Errorf("problem lacks status, title or detail: %s", got.body)
	}
	var places []string
	for _, e := range p.Errors {
		places = append(places, e.Location)
	}
	if at == "" && len(places) > 0 || at != "" && !strings.Contains(" "+strings.Join(places, " ")+" ", " "+at+" ") {
		s.t.Errorf("problem is about %q, want %q: %s", places, at, got.body)
	}
	for _, word := range words {
		if !strings.Contains(got.body, word) {
			s.t.Errorf("%q is missing in %s", word, got.body)
		}
	}
	return p
}

// one is the only value of a query.
func one[T any](s *shop, sql string, args ...any) (value T) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), sql, args...).Scan(&value); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// sale is the body of an order of one line.
const sale = `{"lines":[{"sku":"TIN","quantity":2,"unit_price":"3.2"}]}`

// place stores an order by the API and answers its id.
func (s *shop) place(body string) int64 {
	s.t.Helper()
	return must[struct{ ID int64 }](s, s.post("/api/orders", body), http.StatusAccepted).ID
}

// key makes an API key with scopes and answers its header.
func (s *shop) key(name string, scopes ...api.Scope) []string {
	s.t.Helper()
	secret, _, err := api.CreateKey(s.t.Context(), s.pool, name, scopes)
	if err != nil {
		s.t.Fatal(err)
	}
	return []string{"Authorization", "Bearer " + secret}
}
