package report

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// What is left is judged by the pace since the work began, once that says anything; of one that waits, by what
// the last ones of its type and format took.
const reportColumns = `
       r.id, r.job_id, r.type, r.version, r.format, r.params, r.status, r.requested_at, r.started_at, r.finished_at,
       r.rows, r.bytes, r.done, coalesce(r.error, ''), r.expired_at,
       case
         when r.status = 'running' and r.done > 0 then (clock_timestamp() - r.started_at) * ((1 - r.done) / r.done)
         when r.status in ('queued', 'running')
         then (select percentile_cont(0.5) within group (order by took.took)
                 from (select earlier.took
                         from reports done
                         join artifacts earlier on earlier.report_id = done.id
                        where done.status = 'completed'
                          and done.expired_at is null
                          and done.type = r.type
                          and done.format = r.format
                        order by done.id desc
                        limit 10) took)
       end,
       a.content_type, a.file_name, a.rows, a.bytes, a.sha256, a.parts, r.watermark, a.took, a.created_at, a.expires_at
  from reports r
  left join artifacts a on a.report_id = r.id and a.deleting_at is null`

const getSQL = `
select /* report.Get */` + reportColumns + `
 where r.id = $1`

// Get answers one report with its progress and, once it is complete, its manifest; or ErrNotFound.
func Get(ctx context.Context, db postgres.DB, id int64) (Report, error) {
	rows, err := db.Query(ctx, getSQL, id)
	if err != nil {
		return Report{}, fmt.Errorf("get report %d: %w", id, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, rowToReport)
	if errors.Is(err, pgx.ErrNoRows) {
		return Report{}, say(ErrNotFound, "report %d does not exist", id)
	}
	if err != nil {
		return Report{}, fmt.Errorf("get report %d: %w", id, err)
	}
	return found, nil
}

const listSQL = `
select /* report.List */` + reportColumns + `
 where ($1 = '' or r.type = $1)
   and ($2 = '' or r.status = $2)
   and r.id < $3
 order by r.id desc
 limit $4`

// List answers reports, the newest first. ErrInvalid: a filter that no report can match.
func List(ctx context.Context, db postgres.DB, f Filter) ([]Report, error) {
	limit, err := f.check()
	if err != nil {
		return nil, err
	}
	if f.After <= 0 {
		f.After = math.MaxInt64
	}
	rows, err := db.Query(ctx, listSQL, f.Type, string(f.Status), f.After, limit)
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	found, err := pgx.CollectRows(rows, rowToReport)
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	return found, nil
}

// check refuses what no report can match and answers the number of reports asked for.
func (f Filter) check() (limit int, err error) {
	if f.Type != "" {
		if _, err := TypeOf(f.Type); err != nil {
			return 0, err
		}
	}
	if f.Status != "" && !f.Status.known() {
		return 0, Invalid("status", "status %q is unknown; use queued, running, completed, failed or cancelled", f.Status)
	}
	switch {
	case f.Limit == 0:
		return DefaultLimit, nil
	case f.Limit < 0 || f.Limit > MaxLimit:
		return 0, Invalid("limit", "limit %d is out of range; use 1 to %d", f.Limit, MaxLimit)
	}
	return f.Limit, nil
}

// rowToReport reads the columns of reportColumns.
func rowToReport(row pgx.CollectableRow) (Report, error) {
	var r Report
	var contentType, fileName *string
	var rows, bytes, watermark *int64
	var sum []byte
	var parts *int
	var took *time.Duration
	var createdAt, expiresAt *time.Time
	err := row.Scan(&r.ID, &r.JobID, &r.Type, &r.Version, &r.Format, &r.Params, &r.Status, &r.RequestedAt, &r.StartedAt, &r.FinishedAt,
		&r.Rows, &r.Bytes, &r.Done, &r.Error, &r.ExpiredAt, &r.ETA,
		&contentType, &fileName, &rows, &bytes, &sum, &parts, &watermark, &took, &createdAt, &expiresAt)
	if err != nil {
		return Report{}, err
	}
	r.RequestedAt, r.StartedAt, r.FinishedAt, r.ExpiredAt = r.RequestedAt.UTC(), utc(r.StartedAt), utc(r.FinishedAt), utc(r.ExpiredAt)
	if contentType != nil {
		r.Artifact = &Manifest{
			ContentType: *contentType, FileName: *fileName, Rows: *rows, Bytes: *bytes, SHA256: hex.EncodeToString(sum), Parts: *parts,
			Params: r.Params, Watermark: *watermark, Took: *took, CreatedAt: createdAt.UTC(), ExpiresAt: expiresAt.UTC(),
		}
	}
	return r, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}
