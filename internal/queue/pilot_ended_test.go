package queue

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
)

type endedArgs struct {
	Outcome string `json:"outcome"` // completed, cancelled, error
	Output  bool   `json:"output"`  // it records one
	Alone   bool   `json:"alone"`   // by InJobTx, not in a group
}

func (endedArgs) Kind() string { return "ended" }

// endedWorker commits its outcome itself.
type endedWorker struct {
	river.WorkerDefaults[endedArgs]
	pool  *pgxpool.Pool
	group *Group[endedArgs]
}

func (w *endedWorker) Work(ctx context.Context, job *river.Job[endedArgs]) error {
	if job.Args.Output {
		if err := river.RecordOutput(ctx, map[string]int{"rows": 3}); err != nil {
			return err
		}
	}
	if job.Args.Alone {
		return InJobTx(ctx, w.pool, job.JobRow, func(tx pgx.Tx) (Outcome, error) {
			verdict := w.end(ctx, tx, job.Args)
			return verdict.Outcome, verdict.Err
		})
	}
	return w.group.Work(ctx, job.JobRow, job.Args)
}

func (w *endedWorker) end(ctx context.Context, tx pgx.Tx, args endedArgs) Verdict {
	switch args.Outcome {
	case "completed":
		_, err := tx.Exec(ctx, `insert into committed select pg_current_xact_id()::xid::text on conflict do nothing`)
		return Verdict{Outcome: Completed(), Err: err}
	case "cancelled":
		_, err := tx.Exec(ctx, `insert into committed select pg_current_xact_id()::xid::text on conflict do nothing`)
		return Verdict{Outcome: Cancelled("no use"), Err: err}
	default:
		return Verdict{Err: errors.New("no luck")}
	}
}

func (w *endedWorker) work(ctx context.Context, tx *GroupTx, items []endedArgs, _ error) ([]Verdict, error) {
	verdicts := make([]Verdict, len(items))
	for i, item := range items {
		verdicts[i] = w.end(ctx, tx, item)
	}
	return verdicts, nil
}

// An outcome that a fenced transaction has committed is told and not written again.
func TestPilotTellsWhatIsCommittedWithoutWritingItAgain(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	if _, err := pool.Exec(t.Context(), `create table committed (xid text primary key)`); err != nil {
		t.Fatal(err)
	}
	worker := &endedWorker{pool: pool}
	worker.group = NewGroup(pool, DefaultGroup(), worker.work)
	driver := newFencedDriver(pool, slog.New(slog.DiscardHandler), &gate{})
	registered := river.NewWorkers()
	river.AddWorker(registered, worker)
	client, err := river.NewClient(driver, &river.Config{
		ID: "ended", Queues: map[string]river.QueueConfig{"default": {MaxWorkers: 100}}, Workers: registered,
		Logger: slog.New(slog.DiscardHandler), Middleware: []rivertype.Middleware{&attemptToken{}}, RetryPolicy: inAnHour{},
	})
	if err != nil {
		t.Fatal(err)
	}
	events, unsubscribe := client.Subscribe(river.EventKindJobCompleted, river.EventKindJobCancelled, river.EventKindJobFailed)
	defer unsubscribe()
	const rounds = 5
	var params []river.InsertManyParams
	for range rounds {
		for _, alone := range []bool{true, false} {
			for _, output := range []bool{true, false} {
				for _, outcome := range []string{"completed", "cancelled", "error"} {
					params = append(params, river.InsertManyParams{Args: endedArgs{Outcome: outcome, Output: output, Alone: alone}})
				}
			}
		}
	}
	if _, err := client.InsertMany(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := map[river.EventKind]int{}
	for range params {
		select {
		case event := <-events:
			told[event.Kind]++
			if final := event.Job.FinalizedAt != nil; final != (event.Kind != river.EventKindJobFailed) {
				t.Errorf("%s of a job that is %s, final: %t", event.Kind, event.Job.State, final)
			}
		case <-time.After(time.Minute):
			t.Fatalf("told of %v only", told)
		}
	}
	for _, kind := range []river.EventKind{river.EventKindJobCompleted, river.EventKindJobCancelled, river.EventKindJobFailed} {
		if told[kind] != len(params)/3 {
			t.Errorf("told %d times of %s, want %d", told[kind], kind, len(params)/3)
		}
	}
	for what, sql := range map[string]string{
		"jobs without metadata were written or locked after the commit of their effects": `select count(*) from river_job where state in ('completed', 'cancelled')
			and not (args @> '{"output": true}') and (xmin::text not in (select xid from committed) or xmax not in ('0', xmin))`,
		"outputs did not reach their rows":      `select count(*) from river_job where args @> '{"output": true}' and metadata #> '{output,rows}' is distinct from '3'`,
		"jobs have not the state that was told": `select count(*) from river_job where state::text <> case args ->> 'outcome' when 'error' then 'retryable' else args ->> 'outcome' end`,
		"tokens reached the table":              `select count(*) from river_job where metadata::text like '%backoffice%'`,
	} {
		var n int
		if err := pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := client.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left := driver.pilot.held.ids(); len(left) != 0 {
		t.Errorf("%v are still held", left)
	}
}

// The outcome of an attempt that was followed by another one here leaves that one held.
func TestHeldForgetsOnlyTheAttemptThatEnded(t *testing.T) {
	t.Parallel()
	h := newHeld()
	first, second := time.Now(), time.Now().Add(time.Second)
	job := func(at time.Time) *rivertype.JobRow { return &rivertype.JobRow{ID: 7, AttemptedAt: &at} }
	h.add([]*rivertype.JobRow{job(first)})
	h.add([]*rivertype.JobRow{job(second)})
	if told := h.end(map[int64]token{7: {At: first, Ended: rivertype.JobStateCompleted}}); len(told) != 0 {
		t.Errorf("told %+v of an attempt that another followed", told[0])
	}
	h.remove([]int64{7}, []time.Time{first})
	if at := h.attempt(7); !at.Equal(second) {
		t.Errorf("held since %s, want the second attempt", at)
	}
	told := h.end(map[int64]token{7: {At: second, Ended: rivertype.JobStateCancelled}})
	if len(told) != 1 || told[0].State != rivertype.JobStateCancelled || told[0].FinalizedAt == nil {
		t.Errorf("told %+v, want the job as cancelled", told)
	}
	if left := h.ids(); len(left) != 0 {
		t.Errorf("%v are still held", left)
	}
}
