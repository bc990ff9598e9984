package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/urfave/cli/v2"

	"backoffice/internal/api"
	"backoffice/internal/postgres"
	"backoffice/internal/telemetry"
)

// devAPISettings are those of an API that has this machine for itself.
func devAPISettings(c *cli.Context) (apiSettings, error) {
	if addr := c.String("addr"); addr != "" {
		if err := checkAddr("addr", addr); err != nil {
			return apiSettings{}, err
		}
	}
	key, err := apiKeyOf(c)
	return apiSettings{addr: c.String("addr"), key: key, maxBody: apiBody, maxBatch: apiBatchBody, store: c.String("store"), limits: api.DefaultLimits}, err
}

// devListen listens where the API is to be. An address that was asked for must be free; in place of the
// usual one any other port of this machine will do.
func devListen(c *cli.Context) (net.Listener, error) {
	if addr := c.String("addr"); addr != "" {
		return telemetry.Listen(c.Context, "--addr", addr)
	}
	listener, err := telemetry.Listen(c.Context, "--addr", apiAddr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return telemetry.Listen(c.Context, "--addr", "127.0.0.1:0")
	}
	return listener, err
}

// serve serves the API until ctx ends.
func (d *dev) serve(ctx context.Context) error {
	pool, err := postgres.Connect(ctx, d.server.URL(postgres.Database), postgres.Options{ApplicationName: "backoffice api", MaxConns: apiPool})
	if err != nil {
		return err
	}
	defer pool.Close()
	look, err := postgres.Connect(ctx, d.server.URL(postgres.Database), postgres.Options{ApplicationName: "backoffice api look", MaxConns: lookPool})
	if err != nil {
		return err
	}
	defer look.Close()
	return serveAPI(ctx, d.listener, pool, look, d.api, d.log())
}

// site is the address of the status page, as a browser takes it.
func (d *dev) site() string {
	host, port, err := net.SplitHostPort(d.listener.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// elsewhere says why the API is not where one looks for it.
func (d *dev) elsewhere() string {
	if d.api.addr != "" || d.listener.Addr().String() == apiAddr {
		return ""
	}
	return fmt.Sprintf("\n             (another program has %s; --addr chooses)", apiAddr)
}
