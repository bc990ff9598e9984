package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// endWithin bounds what is still written once the attempt's own context has ended.
	endWithin = 5 * time.Second
	// mostError is how many bytes of an error a report holds.
	mostError = 1000
)

const endSQL = `
update /* report.end */ reports
   set status = $2,
       finished_at = case when $2 in ('failed', 'cancelled') then clock_timestamp() end,
       error = nullif($3, '')
 where job_id = $1
   and status in ('queued', 'running')`

// end says in the report why the attempt ended without publishing it, and answers what the job's outcome
// is to be: nil when it is written already. An attempt that is not ours any more changes nothing.
func (r *run) end(ctx context.Context, cause error) error {
	ended := ctx
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer done()
	defer r.removeLeftovers(ctx)
	r.leftovers = append(r.leftovers, r.begun...)
	settle := func(status Status, reason string) func(pgx.Tx) error {
		return func(tx pgx.Tx) error { return r.settle(ctx, tx, status, reason) }
	}
	reason := oneLine(cause)
	switch {
	case errors.Is(cause, errStopped):
		return r.Cancel(ctx, fmt.Sprintf("report %d was cancelled", r.id), settle(StatusCancelled, ""))
	case r.Cancelled(ended):
		return r.Cancel(ctx, jobCancelled, settle(StatusCancelled, jobCancelled))
	case errors.Is(cause, ErrInvalid):
		return r.Cancel(ctx, reason, settle(StatusFailed, reason))
	case errors.Is(ended.Err(), context.Canceled): // the process stops: another goes on where this one has come to
		return errors.Join(cause, ended.Err(), r.Part(ctx, settle(StatusQueued, "")))
	case errors.Is(ended.Err(), context.DeadlineExceeded):
		reason = "it took longer than one attempt may"
	}
	status := StatusQueued
	if r.Last {
		status = StatusFailed
	}
	return errors.Join(cause, r.Part(ctx, settle(status, reason)))
}

const jobCancelled = "its job was cancelled"

// settle gives the report the status it has without an artifact. A finished one loses its parts.
func (r *run) settle(ctx context.Context, tx pgx.Tx, status Status, reason string) error {
	if _, err := tx.Exec(ctx, endSQL, r.JobID, string(status), reason); err != nil {
		return fmt.Errorf("end the report of job %d: %w", r.JobID, err)
	}
	if !status.Final() {
		return nil
	}
	if r.id == 0 { // its args were refused before it was looked for
		var err error
		if r.id, err = OfJob(ctx, tx, r.JobID); err != nil {
			return err
		}
	}
	return r.forgetParts(ctx, tx)
}

// oneLine is an error as one sentence of bounded length.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > mostError {
		text = strings.ToValidUTF8(text[:mostError], "") + "..."
	}
	return text
}
