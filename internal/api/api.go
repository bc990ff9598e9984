// Package api is the HTTP service: it decodes and checks requests, calls the domain in one transaction
// and encodes what came of it. Routes and their documents, problems, API keys, idempotency keys and the
// record of what operators did live here. Rules about orders live in order, what a job does in workers,
// which this package does not know: it only enqueues, and the kinds are passed in.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/semaphore"

	"backoffice/internal/audit"
	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/internal/store"
	"backoffice/internal/telemetry"
	"backoffice/periodic"
)

// Config is what the service is built from. All of it is needed.
type Config struct {
	Pool    *pgxpool.Pool
	Look    *pgxpool.Pool               // small, for keys and pages: they are read while every connection of Pool waits for a lock
	Jobs    *queue.Client               // of queue.NewInserter, never started
	Stores  *store.Stores               // where the artifacts of reports lie
	Kinds   []Kind                      // of this build
	Ready   func(context.Context) error // its error is logged; strangers are told ErrStopping, ErrSchema or ErrReadOnly
	Now     func() time.Time
	Log     *slog.Logger
	Version string

	// Open answers callers without a key, as long as no key was ever made. For a listener on loopback only.
	Open bool

	MaxBody      int64         // bytes of a request
	MaxBatchBody int64         // bytes of a request with many orders
	Handle       time.Duration // longest one request may be worked on, once its body has arrived
	Piece        time.Duration // longest one piece of a download may take; the whole has no limit
}

// API serves every route.
type API struct {
	Config
	mux      *http.ServeMux
	huma     huma.API
	keys     *keyring
	kinds    map[string]kindChecker
	document []byte
	pages    *pages
	placings placings
	front    http.Handler
	bodies   *semaphore.Weighted // bytes of the bodies that are at work

	downloads *semaphore.Weighted // that are at work
}

// fallback is the pattern of what no route answers.
const fallback = "/"

// New builds the service. It fails when a kind's args cannot be described.
func New(cfg Config) (*API, error) {
	strict()
	a := &API{
		Config: cfg, mux: http.NewServeMux(), keys: newKeyring(cfg.Look),
		bodies: semaphore.NewWeighted(maxBodies), downloads: semaphore.NewWeighted(maxDownloads),
	}
	a.huma = humago.New(a.mux, a.humaConfig())
	var err error
	if a.kinds, err = checkersOf(cfg.Kinds); err != nil {
		return nil, err
	}
	a.orderRoutes()
	a.reportRoutes()
	a.jobRoutes()
	a.queueRoutes()
	a.kindRoutes()
	a.workerRoutes()
	a.scheduleRoutes()
	describe(a.huma.OpenAPI())
	if a.document, err = documentOf(a.huma.OpenAPI()); err != nil {
		return nil, fmt.Errorf("write OpenAPI document: %w", err)
	}
	health := &telemetry.Health{Live: func() error { return nil }, Ready: a.ready}
	a.mux.Handle("GET /livez", health) // another method is a problem like any other
	a.mux.Handle("GET /readyz", health)
	a.mux.HandleFunc("GET /api/openapi.json", a.serveDocument)
	if err := a.pageRoutes(); err != nil {
		return nil, err
	}
	a.mux.HandleFunc(fallback, a.serveNothing)
	a.front = a.observed(a.checked(a.direct(a.mux)))
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.front.ServeHTTP(w, r) }

func (a *API) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(a.document) // who asked and left need not be told
}

// strict turns off what huma lets pass by default. Its switches are variables of the package.
var strict = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true  // "Lines" is not "lines"
	huma.DefaultArrayNullable = false // a list is never null
})

func (a *API) humaConfig() huma.Config {
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshalStrict}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Backoffice", Version: a.Version, Description: about,
				License: &huma.License{Name: "MIT", Identifier: "MIT"},
			},
			Servers: []*huma.Server{{URL: "/"}},
			Tags: []*huma.Tag{
				{Name: tagOrders, Description: "Place orders and follow them."},
				{Name: tagReports, Description: "Ask for reports, follow them and download them. A report is complete or absent."},
				{Name: tagJobs, Description: "Enqueue jobs of any kind, look at them, run one again, cancel one."},
				{Name: tagQueues, Description: "What waits, since when; pause and resume."},
				{Name: tagSchedules, Description: "The timetable: what is enqueued when. Add to it, pause, resume, run now."},
				{Name: tagProcess, Description: "What this program can do, and who does it."},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{securityScheme: {
					Type: "http", Scheme: "bearer",
					Description: "An API key, made by `backoffice api-keys create`. Each route names the scope it asks for.",
				}},
			},
		},
		Formats:                      map[string]huma.Format{jsonType: format, problemType: format},
		DefaultFormat:                jsonType,
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{clarify},
	}
}

const (
	jsonType       = "application/json"
	securityScheme = "key"

	tagOrders    = "orders"
	tagReports   = "reports"
	tagJobs      = "jobs"
	tagQueues    = "queues"
	tagSchedules = "schedules"
	tagProcess   = "process"
)

const about = `Durable background work in your Postgres: an order and its job commit together.

Work that was accepted answers 202 and the place to follow it in ` + "`Location`" + `. Every error is a problem document (RFC 9457)
whose ` + "`errors`" + ` name the fields. Amounts are strings with at most 4 decimals. A POST that creates takes an
` + "`Idempotency-Key`" + `: the same key and body again answer what the first did, for at least 24 hours; another body under the
same key is refused with 422, and 409 means that the first is still at work.`

// schemaNames tells types apart that have the same name in two packages, and names huma's own.
var schemaNames = map[reflect.Type]string{
	reflect.TypeFor[huma.ErrorModel]():  "Problem",
	reflect.TypeFor[huma.ErrorDetail](): "ProblemDetail",
	reflect.TypeFor[order.Job]():        "OrderJob",
	reflect.TypeFor[queue.Depth]():      "Queue",
	reflect.TypeFor[periodic.Run]():     "ScheduleRun",
	reflect.TypeFor[audit.Action]():     "OperatorAction",
}

func schemaName(t reflect.Type, hint string) string {
	base := t
	for base.Kind() == reflect.Pointer {
		base = base.Elem()
	}
	if name, ok := schemaNames[base]; ok {
		return name
	}
	return huma.DefaultSchemaNamer(t, hint)
}
