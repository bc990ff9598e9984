package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func probeCommand() *cli.Command {
	return &cli.Command{
		Name:      "probe",
		Usage:     "ask a running process whether it is ready, for health checks of containers",
		ArgsUsage: "[URL]",
		Description: `Exit code 0: it answered 200. Without URL it asks the API of this machine. The image
holds nothing but this program, so it brings what curl would be used for.

  backoffice probe
  backoffice probe http://127.0.0.1:8081/readyz     a worker with --health-addr :8081`,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "timeout", EnvVars: []string{"BACKOFFICE_PROBE_TIMEOUT"}, Value: 4 * time.Second,
				Usage: "how long the answer may take"},
		},
		Action: func(c *cli.Context) error {
			target := c.Args().First()
			if target == "" {
				target = "http://" + apiAddr + "/readyz"
			}
			if u, err := url.Parse(target); err != nil || u.Scheme != "http" || u.Host == "" {
				return usagef("%q is no URL to ask; write it like http://127.0.0.1:8080/readyz", target)
			}
			ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
			defer cancel()
			return probe(ctx, target)
		},
	}
}

// probe answers nil when the process at the URL says that it is ready.
func probe(ctx context.Context, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("probe %s: %w", target, err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy of the environment: it asks its own machine
	answer, err := transport.RoundTrip(request)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("probe %s: no answer in time", target)
	}
	if err != nil {
		return fmt.Errorf("probe %s: %w", target, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	const most = 500
	text, _ := io.ReadAll(io.LimitReader(answer.Body, most)) // what can be had
	return fmt.Errorf("probe %s: %s: %s", target, answer.Status, strings.TrimSpace(string(text)))
}
