package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/urfave/cli/v2"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/jobs"
	"backoffice/workers"
)

// enqueueFlags are the options every form of enqueue takes.
func enqueueFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "at", EnvVars: []string{"BACKOFFICE_ENQUEUE_AT"},
			Usage: "run no earlier than `TIME` (RFC 3339) or than a duration from now, such as 10m; not for a kind of which one unfinished job keeps others out"},
		&cli.IntFlag{Name: "priority", EnvVars: []string{"BACKOFFICE_ENQUEUE_PRIORITY"}, Value: 1,
			Usage: "from 1 (first) to 4 (last)"},
		&cli.StringFlag{Name: "queue", EnvVars: []string{"BACKOFFICE_ENQUEUE_QUEUE"},
			Usage: "`NAME` of another queue than the kind's own"},
		&cli.BoolFlag{Name: "wait", EnvVars: []string{"BACKOFFICE_ENQUEUE_WAIT"},
			Usage: "return when the job is final; exit 1 if it was cancelled or discarded"},
	}
}

func enqueueCommand() *cli.Command {
	return &cli.Command{
		Name:  "enqueue",
		Usage: "put jobs in a queue",
		Description: `Args are checked against the kind's contract before anything is written.

  backoffice enqueue process-order --order 123 --wait
  backoffice enqueue process-order --number 536365
  backoffice enqueue clean-up --policy temp-files --dry-run --wait
  backoffice enqueue generate-report --type sales-summary --period last-month --format pdf
  backoffice enqueue --kind process_order --args '{"order_id": 123}' --priority 4
  backoffice enqueue --from-file jobs.ndjson   one {"kind": ..., "args": {...}} a line`,
		Flags: append(enqueueFlags(),
			&cli.StringFlag{Name: "kind", EnvVars: []string{"BACKOFFICE_ENQUEUE_KIND"}, Usage: "job `KIND`; see backoffice kinds"},
			&cli.StringFlag{Name: "args", EnvVars: []string{"BACKOFFICE_ENQUEUE_ARGS"}, Value: "{}", Usage: "the job's args as a `JSON` object"},
			&cli.PathFlag{Name: "from-file", EnvVars: []string{"BACKOFFICE_ENQUEUE_FROM_FILE"},
				Usage: "enqueue every line of an ndjson `FILE` in one transaction; each line has kind and args, and may have queue, priority and at"},
		),
		Subcommands: []*cli.Command{
			enqueueProcessOrderCommand(), enqueueReconcileOrdersCommand(), enqueueGenerateReportCommand(), enqueueCleanUpCommand(),
		},
		Action: runEnqueue,
	}
}

func enqueueProcessOrderCommand() *cli.Command {
	return &cli.Command{
		Name:        "process-order",
		Usage:       "process one order",
		Description: "  backoffice enqueue process-order --number 536365 --wait",
		Flags: append(enqueueFlags(),
			&cli.Int64Flag{Name: "order", EnvVars: []string{"BACKOFFICE_ORDER"}, DefaultText: "that of --number", Usage: "`ID` of the order"},
			&cli.StringFlag{Name: "number", EnvVars: []string{"BACKOFFICE_ORDER_NUMBER"}, Usage: "`NUMBER` of the order"},
		),
		Action: func(c *cli.Context) error {
			request, err := requestOf(c, jobs.ProcessOrderArgs{})
			if err != nil {
				return err
			}
			if c.IsSet("order") == c.IsSet("number") {
				return usagef("enqueue process-order wants one of --order ID and --number NUMBER")
			}
			return withPool(c, func(pool *pgxpool.Pool) error {
				id, err := existingOrder(c, pool)
				if err != nil {
					return err
				}
				request.args = jobs.ProcessOrderArgs{OrderID: id}
				return enqueueOne(c, pool, request)
			})
		},
	}
}

// existingOrder is the id of the order that --order or --number names.
func existingOrder(c *cli.Context, pool *pgxpool.Pool) (int64, error) {
	if c.IsSet("number") {
		return order.FindByNumber(c.Context, pool, c.String("number"))
	}
	found, err := order.Get(c.Context, pool, c.Int64("order"))
	return found.ID, err
}

func enqueueReconcileOrdersCommand() *cli.Command {
	return &cli.Command{
		Name:        "reconcile-orders",
		Usage:       "look now for orders that plain SQL inserted",
		Description: "  backoffice enqueue reconcile-orders --wait",
		Flags:       enqueueFlags(),
		Action: func(c *cli.Context) error {
			request, err := requestOf(c, jobs.ReconcileOrdersArgs{})
			if err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error { return enqueueOne(c, pool, request) })
		},
	}
}

func runEnqueue(c *cli.Context) error {
	if c.IsSet("kind") == c.IsSet("from-file") {
		return usagef("enqueue wants a subcommand, --kind KIND or --from-file FILE; see backoffice enqueue --help")
	}
	if c.IsSet("from-file") {
		return enqueueFile(c, c.Path("from-file"))
	}
	args, err := resolvedArgs(c.String("kind"), []byte(c.String("args")), time.Now())
	if err != nil {
		return usagef("enqueue: %w", err)
	}
	request, err := requestOf(c, args)
	if err != nil {
		return err
	}
	return withPool(c, func(pool *pgxpool.Pool) error { return enqueueOne(c, pool, request) })
}

// resolvedArgs reads args of any kind, as they are to be enqueued now.
func resolvedArgs(kind string, encoded []byte, now time.Time) (river.JobArgs, error) {
	args, err := workers.Decode(kind, encoded)
	if err != nil {
		return nil, err
	}
	return report.Resolve(args, now)
}

// jobRequest is one job somebody asks for, checked.
type jobRequest struct {
	args river.JobArgs
	opts river.InsertOpts
}

// requestOf reads the options that every form of enqueue takes.
func requestOf(c *cli.Context, args river.JobArgs) (jobRequest, error) {
	opts, err := insertOpts(args, c.String("queue"), c.Int("priority"), c.String("at"), time.Now())
	if err != nil {
		return jobRequest{}, usagef("enqueue %s: %w", args.Kind(), err)
	}
	return jobRequest{args: args, opts: opts}, nil
}

// insertOpts checks what a caller may choose about one job: "" and 0 leave it to the kind.
func insertOpts(args river.JobArgs, queueName string, priority int, at string, now time.Time) (river.InsertOpts, error) {
	opts := river.InsertOpts{Queue: queueName, Priority: priority}
	if known := knownQueues(); queueName != "" && !slices.Contains(known, queueName) {
		return opts, fmt.Errorf("queue %q is none of this build; known are %s", queueName, strings.Join(known, ", "))
	}
	if priority < 0 || priority > 4 {
		return opts, fmt.Errorf("priority %d is not from 1 (first) to 4 (last)", priority)
	}
	if at == "" {
		return opts, nil
	}
	if jobs.UniqueUnfinished(args) {
		return opts, fmt.Errorf("a job of kind %s cannot be put off to %q, because it would keep out every other for the same thing until then; leave the time out", args.Kind(), at)
	}
	if wait, err := time.ParseDuration(at); err == nil {
		opts.ScheduledAt = now.Add(wait)
		return opts, nil
	}
	instant, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return opts, fmt.Errorf("at %q is neither a time like 2026-01-31T08:00:00Z nor a duration like 10m", at)
	}
	opts.ScheduledAt = instant
	return opts, nil
}

// enqueuedJob is what the command prints of a job.
type enqueuedJob struct {
	JobID     int64              `json:"job_id"`
	Kind      string             `json:"kind"`
	Queue     string             `json:"queue"`
	State     rivertype.JobState `json:"state"`
	Duplicate bool               `json:"duplicate"` // an unfinished job for the same thing was there already
	Error     string             `json:"error,omitempty"`
}

func enqueueOne(c *cli.Context, pool *pgxpool.Pool, request jobRequest) error {
	answer, err := putInQueue(c, pool, request)
	if err != nil {
		return err
	}
	if err := printEnqueued(c, answer); err != nil {
		return err
	}
	return answer.failure(c)
}

// putInQueue enqueues one job and, with --wait, waits for its end.
func putInQueue(c *cli.Context, pool *pgxpool.Pool, request jobRequest) (enqueuedJob, error) {
	client, err := queue.NewInserter(pool)
	if err != nil {
		return enqueuedJob{}, err
	}
	var inserted *rivertype.JobInsertResult
	err = postgres.InTx(c.Context, pool, func(tx pgx.Tx) (err error) {
		inserted, err = client.InsertTx(c.Context, tx, request.args, &request.opts)
		return err
	})
	if err != nil {
		return enqueuedJob{}, fmt.Errorf("enqueue %s: %w", request.args.Kind(), err)
	}
	return answerOf(inserted.Job, inserted.UniqueSkippedAsDuplicate).awaited(c, client)
}

func answerOf(job *rivertype.JobRow, duplicate bool) enqueuedJob {
	answer := enqueuedJob{JobID: job.ID, Kind: job.Kind, Queue: job.Queue, State: job.State, Duplicate: duplicate}
	if failed := len(job.Errors); failed > 0 && job.State != rivertype.JobStateCompleted {
		answer.Error = job.Errors[failed-1].Error
	}
	return answer
}

// awaited is the job as it is in the end with --wait, and as it is without.
func (j enqueuedJob) awaited(c *cli.Context, client *queue.Client) (enqueuedJob, error) {
	if !c.Bool("wait") {
		return j, nil
	}
	job, err := waitFinal(c, client, j.JobID)
	if err != nil {
		return enqueuedJob{}, err
	}
	return answerOf(job, j.Duplicate), nil
}

// failure is the error of a job that --wait saw end otherwise than completed.
func (j enqueuedJob) failure(c *cli.Context) error {
	if c.Bool("wait") && j.State != rivertype.JobStateCompleted {
		return fmt.Errorf("job %d was %s: %s", j.JobID, j.State, j.Error)
	}
	return nil
}

func printEnqueued(c *cli.Context, job enqueuedJob) error {
	if wantsJSON(c) {
		return printJSON(c, job)
	}
	note := ""
	if job.Duplicate {
		note = " (it was enqueued before and is not finished)"
	}
	return printf(c, "job %d of kind %s in queue %s is %s%s\n", job.JobID, job.Kind, job.Queue, job.State, note)
}

const (
	waitPoll = 100 * time.Millisecond
	// waitQuietly is how long --wait says nothing about a job that nobody fetches.
	waitQuietly = 5 * time.Second
)

// waitFinal answers the job once it is completed, cancelled or discarded.
func waitFinal(c *cli.Context, client *river.Client[pgx.Tx], id int64) (*rivertype.JobRow, error) {
	ctx, hint := c.Context, time.After(waitQuietly)
	for {
		job, err := client.JobGet(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("wait for job %d: %w", id, err)
		}
		switch job.State {
		case rivertype.JobStateCompleted, rivertype.JobStateCancelled, rivertype.JobStateDiscarded:
			return job, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("job %d is still %s; it goes on without this command", id, job.State)
		case <-hint:
			if job.State == rivertype.JobStateAvailable {
				fmt.Fprintf(c.App.ErrWriter, "job %d is still available; does a backoffice worker run for queue %s?\n", id, job.Queue)
			}
		case <-time.After(waitPoll):
		}
	}
}
