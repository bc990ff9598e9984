package report

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// Requested is the answer to a request.
type Requested struct {
	Report   Report
	Existing bool // it was there before: unfinished, or complete of the same data
}

// Request asks for a report in the caller's transaction, which commits the report together with its job. An
// unfinished one of the same type, format and parameters is the answer, and so is, unless args.Force, a complete
// one whose data has not changed since. A period such as yesterday is resolved as seen at now. ErrInvalid: see
// Check, and a period that lies wholly in the future; ErrTooLate: the same report is being cancelled just now, and
// can be asked for again in a second. After an error roll tx back.
func Request(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, args jobs.GenerateReportArgs, now time.Time) (Requested, error) {
	if args.Period != "" {
		var err error
		if args, err = resolve(args, now); err != nil {
			return Requested{}, err
		}
	}
	asked, err := check(args)
	if err != nil {
		return Requested{}, err
	}
	if err := refuseFuture(asked.params, now); err != nil {
		return Requested{}, err
	}
	if !asked.args.Force {
		id, err := answered(ctx, tx, asked)
		if err != nil || id != 0 {
			return existing(ctx, tx, id, err)
		}
	}
	inserted, err := enq.InsertTx(ctx, tx, asked.args, nil)
	if err != nil {
		return Requested{}, fmt.Errorf("enqueue report %s: %w", asked.kind.Name, err)
	}
	id, err := record(ctx, tx, inserted.Job.ID, inserted.Job.CreatedAt, asked)
	if err != nil || inserted.UniqueSkippedAsDuplicate {
		return existing(ctx, tx, id, err)
	}
	made, err := Get(ctx, tx, id)
	return Requested{Report: made}, err
}

// existing answers a report that was there before, unless it is on its way out.
func existing(ctx context.Context, tx pgx.Tx, id int64, err error) (Requested, error) {
	if err != nil {
		return Requested{}, err
	}
	found, err := Get(ctx, tx, id)
	if err == nil && (found.Status == StatusCancelled || found.Status == StatusFailed) {
		err = say(ErrTooLate, "report %d is the same and is %s, but its job has not stopped yet; ask again in a moment", id, found.Status)
	}
	return Requested{Report: found, Existing: true}, err
}

// refuseFuture refuses a period that begins after the day that now is in its zone.
func refuseFuture(params Params, now time.Time) error {
	from, _, zone := params.Days()
	if today := now.In(zone); from > today.Format(time.DateOnly) {
		return Invalid("from", "from %s is in the future: in %s it is %s; nothing can have happened yet", from, zone, today.Format(time.DateOnly))
	}
	return nil
}

// An artifact that is about to expire is no answer any more. A driver that does not tell of every change has no
// case here, and its null equals nothing.
const answeredSQL = `
select /* report.Request */ r.id
  from reports r
  join artifacts a on a.report_id = r.id
 where r.status = 'completed'
   and r.expired_at is null
   and r.type = $1
   and r.version = $2
   and r.format = $3
   and md5(r.params::text) = md5($4::jsonb::text)
   and r.params = $4::jsonb
   and a.deleting_at is null
   and a.expires_at > now() + interval '1 hour'
   and r.watermark = case $5
                       when 'order_transitions' then (select coalesce(max(id), 0) from order_transitions)
                     end
 order by r.id desc
 limit 1`

// answered finds the complete report that answers a request as well as a new one would; 0: there is none.
func answered(ctx context.Context, tx pgx.Tx, asked request) (id int64, err error) {
	rows, err := tx.Query(ctx, answeredSQL, asked.kind.Name, asked.kind.Version, string(asked.format), asked.args.Params, string(asked.kind.Driver))
	if err != nil {
		return 0, fmt.Errorf("find report %s: %w", asked.kind.Name, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return ids[0], nil
}

// A row that is refused as a conflict has used up an id all the same, and people see the gaps: hence the look first.
const recordSQL = `
insert /* report.record */ into reports (job_id, type, version, format, params, requested_at)
select $1, $2, $3, $4, $5, $6
 where not exists (select from reports where job_id = $1)
    on conflict (job_id) do nothing`

// record makes sure that the job has its report, and answers the report's id. Jobs that the timetable or
// another service has inserted get theirs when they are worked, or asked for.
func record(ctx context.Context, tx pgx.Tx, jobID int64, requestedAt time.Time, asked request) (id int64, err error) {
	_, err = tx.Exec(ctx, recordSQL, jobID, asked.kind.Name, asked.kind.Version, string(asked.format), asked.args.Params, requestedAt)
	if err == nil { // a statement of its own sees the row that another transaction may just have committed
		id, err = OfJob(ctx, tx, jobID)
	}
	if err != nil {
		return 0, fmt.Errorf("record report %s of job %d: %w", asked.kind.Name, jobID, err)
	}
	return id, nil
}
