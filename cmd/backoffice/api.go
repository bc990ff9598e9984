package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/api"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/store"
	"backoffice/internal/telemetry"
	"backoffice/migrations"
	"backoffice/workers"
)

// apiPool is enough for some thousand requests a second: each holds its connection for milliseconds.
const apiPool = 16

// What api does unless told otherwise, and dev does.
const (
	apiAddr      = "127.0.0.1:8080"
	apiBody      = 1 << 20 // bytes
	apiBatchBody = 2 << 20
)

// lookPool is for /readyz, the keys and the pages, which must not wait behind requests that wait for locks.
const lookPool = 2

func apiCommand() *cli.Command {
	return &cli.Command{
		Name:  "api",
		Usage: "serve HTTP: place orders, enqueue jobs, follow and operate them",
		Description: `An order and its job commit together; the API enqueues and never works a job. Without
any API key it answers this machine only. SIGTERM lets open requests finish.
A browser shows the status at / and the routes at /api/docs; once there is a key, it
asks for one with scope read, as the password of any user.

  backoffice api
  backoffice api-keys create shop --scope enqueue --scope read
  backoffice api --addr :8080
  curl -H 'Content-Type: application/json' -d '{"lines":[{"sku":"TIN","quantity":1,"unit_price":"3.20"}]}' 127.0.0.1:8080/api/orders`,
		Flags: append(apiKeyFlags(),
			&cli.StringFlag{Name: "addr", EnvVars: []string{"BACKOFFICE_ADDR"}, Value: apiAddr,
				Usage: "`ADDRESS` to listen on; another than this machine's own wants an API key"},
			&cli.IntFlag{Name: "pool-size", EnvVars: []string{"BACKOFFICE_POOL_SIZE"}, Value: apiPool,
				Usage: "`CONNECTIONS` to Postgres at most, and 2 more for /readyz, keys and pages"},
			&cli.Int64Flag{Name: "max-body-bytes", EnvVars: []string{"BACKOFFICE_MAX_BODY_BYTES"}, Value: apiBody,
				Usage: "largest body of a request, in `BYTES`"},
			&cli.Int64Flag{Name: "max-batch-bytes", EnvVars: []string{"BACKOFFICE_MAX_BATCH_BYTES"}, Value: apiBatchBody,
				Usage: "largest body of a request with many orders, in `BYTES`"},
			storeFlag(),
			&cli.DurationFlag{Name: "read-timeout", EnvVars: []string{"BACKOFFICE_READ_TIMEOUT"}, Value: api.DefaultLimits.Read,
				Usage: "how long a request may take to arrive"},
			&cli.DurationFlag{Name: "request-timeout", EnvVars: []string{"BACKOFFICE_REQUEST_TIMEOUT"}, Value: api.DefaultLimits.Handle,
				Usage: "how long one request may be worked on"},
			&cli.DurationFlag{Name: "stop-timeout", EnvVars: []string{"BACKOFFICE_STOP_TIMEOUT"}, Value: api.DefaultLimits.Stop,
				Usage: "how long open requests may finish after a stop is asked"},
			&cli.StringFlag{Name: "profile", EnvVars: []string{"BACKOFFICE_PROFILE"},
				Usage: "write cpu-PID.pprof and allocs-PID.pprof of the whole run into this `FOLDER`, which must exist"},
		),
		Action: runAPI,
	}
}

// apiKeyFlags are read by apiKeyOf.
func apiKeyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "api-key", EnvVars: []string{"BACKOFFICE_API_KEY"},
			Usage: "`KEY` to put in use with every scope, for containers; give it in the environment, where ps does not show it"},
		&cli.PathFlag{Name: "api-key-file", EnvVars: []string{"BACKOFFICE_API_KEY_FILE"},
			Usage: "`FILE` that holds that key"},
	}
}

// apiSettings is what the flags of api say, checked.
type apiSettings struct {
	addr              string
	poolSize          int
	key               string // to put in use; empty: none
	maxBody, maxBatch int64
	store             string // where the artifacts of reports lie
	limits            api.Limits
}

func apiSettingsOf(c *cli.Context) (apiSettings, error) {
	s := apiSettings{
		addr: c.String("addr"), poolSize: c.Int("pool-size"), maxBody: c.Int64("max-body-bytes"), maxBatch: c.Int64("max-batch-bytes"),
		store: c.String("store"), limits: api.DefaultLimits,
	}
	s.limits.Read, s.limits.Handle, s.limits.Stop = c.Duration("read-timeout"), c.Duration("request-timeout"), c.Duration("stop-timeout")
	s.limits.Header = min(s.limits.Header, s.limits.Read)
	const smallest, largest = 1 << 10, 1 << 30
	for name, bytes := range map[string]int64{"max-body-bytes": s.maxBody, "max-batch-bytes": s.maxBatch} {
		if bytes < smallest || bytes > largest {
			return s, usagef("--%s %d is out of range; use %d to %d", name, bytes, smallest, largest)
		}
	}
	for _, name := range []string{"read-timeout", "request-timeout", "stop-timeout"} {
		if limit := c.Duration(name); limit <= 0 || limit > time.Hour {
			return s, usagef("--%s %s is out of range; use more than 0s, up to 1h", name, limit)
		}
	}
	if s.poolSize < 2 || s.poolSize > 10_000 {
		return s, usagef("--pool-size %d is out of range; use 2 to 10000", s.poolSize)
	}
	if err := errors.Join(checkAddr("addr", s.addr), checkStore(c)); err != nil {
		return s, err
	}
	var err error
	s.key, err = apiKeyOf(c)
	return s, err
}

// checkAddr refuses an address that no machine has.
func checkAddr(flag, addr string) error {
	if err := telemetry.CheckAddr("--"+flag, addr); err != nil {
		return &usageError{err}
	}
	return nil
}

// apiKeyOf reads the key that the environment or a file holds.
func apiKeyOf(c *cli.Context) (string, error) {
	key, path := c.String("api-key"), c.Path("api-key-file")
	if key != "" && path != "" {
		return "", usagef("--api-key and --api-key-file (BACKOFFICE_API_KEY, BACKOFFICE_API_KEY_FILE) are both given; give one")
	}
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", usagef("--api-key-file: %w", err)
		}
		if key = strings.TrimSpace(string(text)); key == "" {
			return "", usagef("--api-key-file %s is empty", path)
		}
	}
	if key == "" {
		return "", nil
	}
	return key, api.CheckBootstrap(key)
}

func runAPI(c *cli.Context) (failed error) {
	settings, err := apiSettingsOf(c)
	if err != nil {
		return err
	}
	pool, err := connectPool(c, "backoffice api", settings.poolSize)
	if err != nil {
		return err
	}
	defer pool.Close()
	look, err := connectPool(c, "backoffice api look", lookPool)
	if err != nil {
		return err
	}
	defer look.Close()
	if err := requireSchema(c.Context, pool); err != nil {
		return err
	}
	listener, err := telemetry.Listen(c.Context, "--addr", settings.addr)
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // closed already once it was served
	if err := admit(c.Context, pool, listener.Addr(), settings); err != nil {
		return err
	}
	stopProfiles, err := startProfiles(c.String("profile"))
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, stopProfiles()) }()
	return serveAPI(c.Context, listener, pool, look, settings, logger(c))
}

// admit puts the given key in use, and refuses to let others call where nobody needs one.
func admit(ctx context.Context, pool *pgxpool.Pool, addr net.Addr, s apiSettings) error {
	if s.key != "" {
		return api.Bootstrap(ctx, pool, s.key)
	}
	if isLoopback(addr) {
		return nil
	}
	return requireKey(ctx, pool, s.addr)
}

// serveAPI serves on listener until ctx ends, after which it is closed.
func serveAPI(ctx context.Context, listener net.Listener, pool, look *pgxpool.Pool, s apiSettings, log *slog.Logger) error {
	open := isLoopback(listener.Addr())
	stores, err := store.Open(ctx, s.store, pool)
	if err != nil {
		return err
	}
	defer stores.Close() //nolint:errcheck // it was only read
	handler, err := newAPI(ctx, pool, look, stores, s, open, log)
	if err != nil {
		return err
	}
	if open {
		if err := warnOpen(ctx, look, log); err != nil {
			return err
		}
	}
	log.InfoContext(ctx, "api started", "address", listener.Addr().String(), "version", version())
	err = api.Serve(ctx, listener, handler, s.limits, log)
	log.InfoContext(ctx, "api stopped")
	return err
}

func newAPI(ctx context.Context, pool, look *pgxpool.Pool, stores *store.Stores, s apiSettings, open bool, log *slog.Logger) (*api.API, error) {
	client, err := queue.NewInserter(pool)
	if err != nil {
		return nil, err
	}
	var kinds []api.Kind
	for _, k := range workers.Kinds() {
		kinds = append(kinds, api.Kind{Contract: k.Contract, Args: k.Args, Decode: k.Decode})
	}
	ready := func(asked context.Context) error { return apiReady(ctx, asked, look) }
	return api.New(api.Config{
		Pool: pool, Look: look, Jobs: client, Stores: stores, Kinds: kinds, Ready: ready, Now: time.Now, Log: log, Version: version(),
		Open: open, MaxBody: s.maxBody, MaxBatchBody: s.maxBatch, Handle: s.limits.Handle, Piece: s.limits.Piece,
	})
}

// apiReady says why the API cannot serve, in words that api may pass on.
func apiReady(ctx, asked context.Context, pool *pgxpool.Pool) error {
	if ctx.Err() != nil {
		return api.ErrStopping
	}
	err := postgres.Writable(asked, pool)
	if errors.Is(err, postgres.ErrReadOnly) {
		return fmt.Errorf("%w: %w", api.ErrReadOnly, err)
	}
	if err == nil {
		err = migrations.Check(asked, pool)
	}
	if errors.Is(err, migrations.ErrOldSchema) || errors.Is(err, migrations.ErrNewerSchema) {
		return fmt.Errorf("%w: %w", api.ErrSchema, err)
	}
	return err
}

// isLoopback says whether only this machine can reach an address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// requireKey refuses to listen where others can call while nobody needs a key.
func requireKey(ctx context.Context, pool *pgxpool.Pool, addr string) error {
	keys, err := api.ListKeys(ctx, pool)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key.RevokedAt == nil {
			return nil
		}
	}
	return fmt.Errorf("--addr %q can be reached from other machines, and there is no API key yet; make one with backoffice api-keys create NAME, set BACKOFFICE_API_KEY, or listen on 127.0.0.1 only", addr)
}

// warnOpen says so when whoever reaches the address needs no key. A proxy on this machine makes that everybody,
// and not every proxy tells that it is one.
func warnOpen(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	keys, err := api.ListKeys(ctx, pool)
	if err == nil && len(keys) == 0 {
		log.WarnContext(ctx, "everybody on this machine is answered without a key; make a key before you put a proxy in front: backoffice api-keys create NAME")
	}
	return err
}
