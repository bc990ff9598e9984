package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// run is one policy's run under way: the row of cleanup_runs and what is known of it here.
type run struct {
	*Cleaner
	policy   Policy
	dry      bool
	deadline time.Time

	id       int64
	cutoff   time.Time
	checked  bool // the safety cap lets it delete, or has no say in it
	counted  counted
	stores   []string // that a run of orphans goes through
	at       cursor
	markedAt *string // key of the last marked row that was looked at; nil: the old rows come first
}

// counted is how many objects the safety cap's check has counted so far, and how many no row names.
type counted struct{ objects, orphans int64 }

// cursor is the age and the key of the last row that was looked at, so that rows that stay are not read
// again and again.
type cursor struct {
	age pgtype.Timestamptz
	key string
}

// beginning is before every row.
var beginning = pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}

// refusedError says why a run was refused by its safety cap.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

const findRunSQL = `
select /* cleanup.Run */ id, cutoff, finished_at is not null, refused, coalesce(error, ''),
       checked, counted, counted_orphans, coalesce(stores, $3::text[]), coalesce(cursor_at, '-infinity'), cursor_key, marked_key
  from cleanup_runs
 where job_id = $1
   and policy = $2
   and not job_done
 order by id desc
 limit 1`

// The policy's row decides, as it stands when the run begins: a share that is set later must not be asked for in
// the midst of deletion. A dry run is not refused: it is what one looks at then.
const beginRunSQL = `
insert /* cleanup.Run */ into cleanup_runs (policy, target, job_id, dry_run, cutoff, checked, stores)
select name, target, nullif($2::bigint, 0), $3, least(now() - age, $4::timestamptz), $3 or max_share >= 1, $5
  from retention_policies
 where name = $1
returning id, cutoff, checked`

// begin makes the run's row, or finds the one that this job has begun, and tells whether that is finished;
// one that was refused answers its refusal again. A cutoff that is not nil spares what is younger.
func (r *run) begin(ctx context.Context, cutoff *time.Time) (finished bool, err error) {
	r.at.age = beginning
	if r.policy.Target == orphans {
		r.stores = r.Stores.Names()
	}
	var refused bool
	var text string
	err = r.Fence(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, findRunSQL, r.JobID, r.policy.Name, r.stores).
			Scan(&r.id, &r.cutoff, &finished, &refused, &text, &r.checked, &r.counted.objects, &r.counted.orphans, &r.stores, &r.at.age, &r.at.key, &r.markedAt)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return tx.QueryRow(ctx, beginRunSQL, r.policy.Name, r.JobID, r.dry, cutoff, r.stores).Scan(&r.id, &r.cutoff, &r.checked)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, say(ErrNotFound, "policy %q was deleted meanwhile", r.policy.Name)
	case err == nil && refused:
		return true, &refusedError{text}
	}
	return finished, err
}

// gone is what a transaction adds to the run.
type gone struct {
	rows, bytes, held, errors int64
	hash                      setHash
	oldest, newest            *pgtype.Timestamptz
	sample                    []string
	failed                    error // the first error
	at                        *cursor
	markedAt                  *string
}

// sampleSize is how many rows a run names.
const sampleSize = 10

// add counts a row in.
func (g *gone) add(target string, row row) {
	g.rows++
	g.bytes += row.bytes
	g.hash.add(target, row.key)
	if g.oldest == nil { // rows come by age
		g.oldest = &row.age
	}
	g.newest = &row.age
	if len(g.sample) < sampleSize {
		g.sample = append(g.sample, row.String())
	}
}

// fail counts a row that could not be deleted.
func (g *gone) fail(row row, err error) {
	g.errors++
	if g.failed == nil {
		g.failed = fmt.Errorf("%s: %w", row, err)
	}
}

// The error of an attempt that failed is none of a row, and is over: the run goes on.
const recordSQL = `
update /* cleanup.Run */ cleanup_runs
   set rows = rows + $2,
       bytes = bytes + $3,
       held = held + $4,
       errors = errors + $5,
       error = case when errors > 0 then error else $6 end,
       set_hash = set_hash + $7::text::numeric,
       oldest = least(oldest, $8::timestamptz, $9::timestamptz),
       newest = greatest(newest, $8::timestamptz, $9::timestamptz),
       sample = (sample || $10::text[])[1:$11],
       cursor_at = coalesce($12::timestamptz, cursor_at),
       cursor_key = coalesce($13, cursor_key),
       marked_key = coalesce($14, marked_key)
 where id = $1`

// record queues what adds to the run's row, in the transaction of what it tells of.
func (r *run) record(changes *pgx.Batch, g gone) {
	var failed, key *string
	if g.failed != nil {
		failed = new(g.failed.Error())
	}
	var age *pgtype.Timestamptz
	if g.at != nil {
		age, key = &g.at.age, &g.at.key
	}
	sample := g.sample
	if sample == nil {
		sample = []string{}
	}
	changes.Queue(recordSQL, r.id, g.rows, g.bytes, g.held, g.errors, failed, g.hash.String(), g.oldest, g.newest, sample, sampleSize, age, key, g.markedAt)
}

// The first row's error says more than that of an attempt, which its job tells as well.
const endRunSQL = `
update /* cleanup.Run */ cleanup_runs
   set finished_at = case when $2 then clock_timestamp() end,
       error = case when errors > 0 and not $4 then error else $3 end,
       refused = $4,
       cursor_at = case when not $2 then cursor_at end,
       cursor_key = case when not $2 then cursor_key else '' end,
       marked_key = case when not $2 then marked_key end
 where id = $1
returning rows, bytes, held, errors, coalesce(error, ''), clock_timestamp() - started_at`

// end finishes the run's row, and logs the run, unless an error asks for another attempt: then the row only
// tells the error, and the attempt goes on behind what is counted. It answers the error it was given.
func (r *run) end(ctx context.Context, failed error) error {
	var refusal *refusedError
	refused := errors.As(failed, &refusal)
	over := failed == nil || refused
	var text *string
	if failed != nil {
		text = new(failed.Error())
	}
	var rows, bytes, held, faults int64
	var first string
	var took time.Duration
	err := r.Fence(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, endRunSQL, r.id, over, text, refused).Scan(&rows, &bytes, &held, &faults, &first, &took)
	})
	if err != nil {
		err = fmt.Errorf("end run %d: %w", r.id, err)
		if refused { // which another attempt finds again, and can write down
			return err
		}
		return errors.Join(failed, err)
	}
	facts := []any{"policy", r.policy.Name, "run_id", r.id, "count", rows, "bytes", bytes, "held", held, "errors", faults, "dry_run", r.dry, "took", took}
	switch {
	case failed != nil:
		r.Log.WarnContext(ctx, "cleanup not finished", append(facts, "error", failed)...)
	case faults > 0:
		r.Log.WarnContext(ctx, "cleanup finished with errors", append(facts, "error", first)...)
	default:
		r.Log.InfoContext(ctx, "cleanup finished", facts...)
	}
	return failed
}

// late tells whether the next step is another call's. It is asked after a step, never before the first, so
// that every call gets somewhere.
func (r *run) late() bool { return r.Budget > 0 && time.Now().After(r.deadline) }

const (
	// restShare of a batch's time is left to others after it.
	restShare = 0.1
	// longestRest bounds the rest after a batch that waited for a lock.
	longestRest = time.Second
)

// rest pauses after a batch that began at the given instant.
func (r *run) rest(ctx context.Context, begun time.Time) error {
	timer := time.NewTimer(min(time.Duration(restShare*float64(time.Since(begun))), longestRest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
