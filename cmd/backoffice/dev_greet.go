package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"backoffice/internal/postgres"
)

// greet says where things are and what to type next.
func (d *dev) greet(placed int) error {
	me := d.callable()
	where := d.server.URL(postgres.Database)
	extra := ""
	if d.c.Int("pg-port") > 0 {
		extra = fmt.Sprintf("\n             %s", d.server.TCPURL(postgres.Database))
	}
	samples := ""
	if placed > 0 {
		samples = fmt.Sprintf("\n  samples    %s of a small tea shop, being processed", count(placed, "order"))
	}
	return printf(d.c, `Backoffice is up, %.1f s after you asked.

  status     %[8]s in a browser: queues, failures, orders
  api        %[8]sapi/docs tells its routes%[9]s
  database   %[2]s%[3]s
  data       %[4]s (kept; delete the folder data in it to begin anew)
  worker     queues orders, reports and maintenance, and the timetable%[5]s

In another terminal:

  %[6]s orders list                     what became of the orders
  %[6]s orders show --number S-00001    the whole story of one
  %[6]s products list --waiting         what is short
  %[6]s products receive TIN 500        stock comes in, waiting orders go out
  %[6]s inspect queues                  how the queues stand
  psql '%[7]s'
  curl %[8]sapi/orders -H 'Content-Type: application/json' \
    -d '{"lines":[{"sku":"TIN","quantity":1,"unit_price":"3.20"}]}'

Ctrl-C stops it all.

`, time.Since(d.begun).Seconds(), where, extra, d.dir, samples, me, where, d.site(), d.elsewhere())
}

// callable is what other terminals type to reach this dev: a data directory that is not the usual one is named.
func (d *dev) callable() string {
	if d.c.Path("data-dir") == "" {
		return invokedAs()
	}
	dir := d.dir
	if whole, err := filepath.Abs(dir); err == nil { // the other terminal may stand elsewhere
		dir = whole
	}
	return invokedAs() + " --data-dir " + shellWord(dir)
}

// shellWord writes a word so that a shell reads it as it is.
func shellWord(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// invokedAs is what to type for the program that runs: go run leaves it in a directory of its own that is gone afterwards.
func invokedAs() string {
	if path, err := os.Executable(); err != nil || strings.Contains(path, "go-build") {
		return "go run ./cmd/backoffice"
	}
	return os.Args[0]
}
