package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/migrations"
)

const (
	sampleOrders = 200
	sampleSeed   = 1
	// stopServerWithin bounds the server's own shutdown at the end.
	stopServerWithin = 30 * time.Second
)

func devCommand() *cli.Command {
	return &cli.Command{
		Name:  "dev",
		Usage: "Postgres, schema, sample orders, API and worker in one command",
		Description: `Starts a Postgres of its own from the binaries installed on this machine, brings the
schema up to date, fills an empty database with sample orders and works them, and serves
the API and the status page. Other commands find it without DATABASE_URL. Data is kept
between runs; Ctrl-C stops it all.

  backoffice dev
  backoffice dev --addr 127.0.0.1:9000   the API and the status page there
  backoffice dev --pg-port 5433          also listen on 127.0.0.1:5433, with a password`,
		Flags: append(apiKeyFlags(),
			&cli.StringFlag{Name: "addr", EnvVars: []string{"BACKOFFICE_ADDR"},
				Usage: "`ADDRESS` of the API and the status page (default: " + apiAddr + ", or a free port when that one is taken)"},
			&cli.PathFlag{Name: "pg-bin", EnvVars: []string{"BACKOFFICE_PG_BIN"},
				Usage: "`DIR` of initdb and postgres (default: searched for)"},
			&cli.IntFlag{Name: "pg-port", EnvVars: []string{"BACKOFFICE_PG_PORT"}, DefaultText: "unix socket only",
				Usage: "also listen on this `PORT` of 127.0.0.1"},
			storeFlag(),
			timezoneFlag(),
			&cli.BoolFlag{Name: "no-samples", EnvVars: []string{"BACKOFFICE_NO_SAMPLES"},
				Usage: "leave an empty database empty"},
		),
		Action: runDev,
	}
}

func runDev(c *cli.Context) error {
	if c.String("database-url") != "" {
		return usagef("dev starts a Postgres of its own, but --database-url or DATABASE_URL names another; unset it, or use migrate up and worker")
	}
	if port := c.Int("pg-port"); port < 0 || port > 65535 {
		return usagef("--pg-port %d is no port; choose one from 1 to 65535", port)
	}
	if err := errors.Join(checkTimezone(c.String("timezone")), checkStore(c)); err != nil {
		return err
	}
	settings, err := devAPISettings(c)
	if err != nil {
		return err
	}
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	begun := time.Now()
	options := postgres.ServerOptions{Dir: dir, BinDir: c.Path("pg-bin"), Port: c.Int("pg-port"), MaxConnections: 200, Durable: true}
	if err := checkServer(c.Context, options); err != nil {
		return err
	}
	listener, err := devListen(c)
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // closed already once it was served
	server, err := postgres.StartServer(c.Context, options)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(c.Context)
	defer stop(nil)
	go func() { // a server that ends under us ends the run; it recovers at the next start
		select {
		case <-server.Exited():
			stop(fmt.Errorf("the Postgres server ended by itself; %s says why, and starting dev again recovers it", server.LogFile()))
		case <-ctx.Done():
		}
	}()
	d := &dev{c: c, server: server, listener: listener, api: settings, dir: dir, begun: begun}
	err = d.run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), stopServerWithin)
	defer cancel()
	return errors.Join(err, server.Stop(stopCtx))
}

// checkServer refuses what no server could be started with before anything is made, and before the port,
// which another dev of the same directory has as well.
func checkServer(ctx context.Context, options postgres.ServerOptions) error {
	err := postgres.Check(ctx, options)
	if errors.Is(err, postgres.ErrForeignDir) {
		return &usageError{err}
	}
	return err
}

// dev is one run of the command.
type dev struct {
	c        *cli.Context
	server   *postgres.Server
	listener net.Listener // of the API
	api      apiSettings
	dir      string
	begun    time.Time
}

func (d *dev) run(ctx context.Context) error {
	pool, err := postgres.Connect(ctx, d.server.URL(postgres.Database), postgres.Options{ApplicationName: "backoffice dev"})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool, func(string) {}); err != nil {
		return err
	}
	if err := d.tryStore(pool); err != nil {
		return err
	}
	placed, err := d.placeSamples(ctx, pool)
	if err != nil {
		return err
	}
	if err := admit(ctx, pool, d.listener.Addr(), d.api); err != nil {
		return err
	}
	if err := d.greet(placed); err != nil {
		return err
	}
	both, running := errgroup.WithContext(ctx) // neither goes on without the other
	both.Go(func() error { return d.serve(running) })
	both.Go(func() error { return d.keepWorking(running) })
	if err := both.Wait(); ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return nil // it was asked to end while it was still beginning
}

// tryStore finds out whether the store can be used, before anybody is told that all is well.
func (d *dev) tryStore(pool *pgxpool.Pool) error {
	stores, err := openStores(d.c, pool)
	if err != nil {
		return err
	}
	return stores.Close()
}

// keepWorking runs one worker after another until ctx ends.
func (d *dev) keepWorking(ctx context.Context) error {
	for {
		err := d.work(ctx)
		replaceable := errors.Is(err, queue.ErrDeclaredDead) || errors.Is(err, queue.ErrLifeUnproven)
		if !replaceable || ctx.Err() != nil {
			return err
		}
		if err := printf(d.c, "The worker ended (%v); here is another.\n", err); err != nil {
			return err
		}
	}
}

// work runs one worker until ctx ends or the worker must.
func (d *dev) work(ctx context.Context) (failed error) {
	settings := workerSettings{
		clientID: newClientID(), softStop: 10 * time.Second, hardStop: 5 * time.Second, rescueAfter: defaultRescueAfter,
		group: queue.DefaultGroup(), liveness: queue.DefaultLiveness, maxCrashRescues: 3, timezone: d.c.String("timezone"),
		artifactRetention: report.DefaultRetention,
	}
	var err error
	if settings.queues, err = parseQueues(nil); err != nil {
		return err
	}
	settings.poolSize = settings.poolNeeded()
	pool, err := postgres.Connect(ctx, d.server.URL(postgres.Database), settings.poolOptions())
	if err != nil {
		return err
	}
	defer func() {
		if !errors.Is(failed, queue.ErrJobsLeft) { // whose connections are in use until the program ends
			pool.Close()
		}
	}()
	stores, err := openStores(d.c, pool)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, stores.Close()) }()
	process, err := newWorkerProcess(ctx, pool, stores, settings, d.log())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	told := make(chan struct{})
	go func() {
		defer close(told)
		d.tell(ctx, pool, process.config)
	}()
	_, err = process.run(ctx)
	stop()
	<-told
	return err
}

// log shows trouble only, unless the flags ask for more: the account is for a person.
func (d *dev) log() *slog.Logger {
	if d.c.IsSet("log-level") {
		return logger(d.c)
	}
	return slog.New(queue.Warnings(logger(d.c).Handler()))
}

// placeSamples fills an empty database and answers the number of orders placed.
func (d *dev) placeSamples(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	if d.c.Bool("no-samples") {
		return 0, nil
	}
	existing, err := order.List(ctx, pool, order.Filter{Limit: 1})
	if err != nil || len(existing) > 0 {
		return 0, err
	}
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		for _, product := range order.SampleProducts() {
			if product.OnHand == nil {
				continue
			}
			if err := order.Track(ctx, tx, product.SKU, product.Description, *product.OnHand, now); err != nil {
				return err
			}
		}
		_, err := order.Place(ctx, tx, inserter, order.Sample(sampleOrders, sampleSeed, now)...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("place sample orders: %w", err)
	}
	return sampleOrders, nil
}
