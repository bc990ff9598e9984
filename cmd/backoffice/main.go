// Command backoffice is the worker process, the HTTP API, the command line and the developer's environment in one
// binary. Each subcommand has a file of its own with its flags and wiring; the rules and the SQL live in
// the packages it calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // --timezone works where the machine has no time zones installed

	"backoffice/internal/api"
	"backoffice/internal/order"
	"backoffice/internal/order/importer"
	"backoffice/periodic"
)

// The exit codes, the same for every subcommand.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is the program without the process around it: it prints an error once and answers the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, arrange(app, args))
	if err != nil {
		fmt.Fprintf(stderr, "backoffice: %s\n", sentenceOf(ctx, err))
	}
	return exitCode(err)
}

// sentenceOf is what a person reads of an error: one line, and after an interrupt what it stopped rather
// than how the driver calls that.
func sentenceOf(ctx context.Context, err error) string {
	text := strings.NewReplacer("\n\t", " ", "\n", "; ").Replace(err.Error())
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return text
	}
	stopped := strings.TrimRight(strings.TrimSuffix(text, context.Canceled.Error()), ":; ")
	if stopped == "" || strings.HasSuffix(stopped, "interrupted") {
		return "interrupted"
	}
	return "interrupted: " + stopped
}

func exitCode(err error) int {
	var usage *usageError
	var option *importer.UsageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &option), errors.Is(err, order.ErrInvalid), errors.Is(err, api.ErrKeyInvalid), errors.Is(err, periodic.ErrInvalid):
		return exitUsage
	default:
		return exitFailed
	}
}
