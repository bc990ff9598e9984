package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/urfave/cli/v2"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

const (
	enqueueBatch   = 5000
	longestJobLine = 1 << 20
)

// jobLine is one line of --from-file.
type jobLine struct {
	Kind     string          `json:"kind"`
	Args     json.RawMessage `json:"args"`
	Queue    string          `json:"queue"`
	Priority int             `json:"priority"`
	At       string          `json:"at"`
}

// enqueueFile enqueues every line of an ndjson file in one transaction. The file is read twice, so that
// a bad last line is refused before the first is written and memory stays that of one batch.
func enqueueFile(c *cli.Context, path string) error {
	if c.Bool("wait") {
		return usagef("--wait goes with a single job, not with --from-file")
	}
	for _, flag := range []string{"at", "priority", "queue"} {
		if c.IsSet(flag) {
			return usagef("--%s goes with a single job; with --from-file, write %q in its line", flag, flag)
		}
	}
	now := time.Now()
	found, err := eachJobLine(path, now, func(jobRequest) error { return nil })
	if err != nil {
		return err
	}
	if found == 0 {
		return usagef("--from-file %s holds no job", path)
	}
	return withPool(c, func(pool *pgxpool.Pool) error {
		inserted, duplicates, err := insertFile(c, pool, path, now)
		if err != nil {
			return err
		}
		if wantsJSON(c) {
			return printJSON(c, map[string]int{"enqueued": inserted, "duplicates": duplicates})
		}
		return printf(c, "%s enqueued, %d were enqueued before and are not finished\n", count(inserted, "job"), duplicates)
	})
}

// insertFile inserts the file's jobs, all or none.
func insertFile(c *cli.Context, pool *pgxpool.Pool, path string, now time.Time) (inserted, duplicates int, err error) {
	client, err := queue.NewInserter(pool)
	if err != nil {
		return 0, 0, err
	}
	err = postgres.InTx(c.Context, pool, func(tx pgx.Tx) error {
		inserted, duplicates = 0, 0
		var batch []river.InsertManyParams
		inBatch := map[string]bool{} // a unique job twice in one insert would fail the whole of it
		flush := func() error {
			results, err := client.InsertManyTx(c.Context, tx, batch)
			for _, result := range results {
				if result.UniqueSkippedAsDuplicate {
					duplicates++
				} else {
					inserted++
				}
			}
			batch = batch[:0]
			clear(inBatch)
			return err
		}
		_, err := eachJobLine(path, now, func(request jobRequest) error {
			key := fmt.Sprintf("%s %+v", request.args.Kind(), request.args)
			if len(batch) == enqueueBatch || inBatch[key] {
				if err := flush(); err != nil {
					return err
				}
			}
			inBatch[key] = true
			batch = append(batch, river.InsertManyParams{Args: request.args, InsertOpts: &request.opts})
			return nil
		})
		if err == nil && len(batch) > 0 {
			err = flush()
		}
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("enqueue %s: %w", path, err)
	}
	return inserted, duplicates, nil
}

// eachJobLine reads and checks a file line by line and answers how many jobs it holds.
func eachJobLine(path string, now time.Time, use func(jobRequest) error) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, usagef("--from-file: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, longestJobLine)
	found := 0
	for number := 1; lines.Scan(); number++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		request, err := parseJobLine(text, now)
		if err != nil {
			return found, usagef("%s: line %d: %w", path, number, err)
		}
		if err := use(request); err != nil {
			return found, err
		}
		found++
	}
	if err := lines.Err(); err != nil {
		return found, fmt.Errorf("read %s: %w", path, err)
	}
	return found, nil
}

func parseJobLine(text []byte, now time.Time) (jobRequest, error) {
	var line jobLine
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&line); err != nil {
		return jobRequest{}, fmt.Errorf("not a job: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return jobRequest{}, errors.New("something follows the JSON object")
	}
	if len(line.Args) == 0 {
		line.Args = json.RawMessage("{}")
	}
	args, err := resolvedArgs(line.Kind, line.Args, now)
	if err != nil {
		return jobRequest{}, err
	}
	opts, err := insertOpts(args, line.Queue, line.Priority, line.At, now)
	return jobRequest{args: args, opts: opts}, err
}
