package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/postgres"
)

// Run is a row of cleanup_runs.
type Run struct {
	ID         int64           `json:"id"`
	Policy     string          `json:"policy"`
	Target     string          `json:"target"`
	DryRun     bool            `json:"dry_run"` // nothing was deleted: the rest tells what would have been
	Cutoff     time.Time       `json:"cutoff"`
	StartedAt  time.Time       `json:"started_at"`
	FinishedAt *time.Time      `json:"finished_at"`
	Rows       int64           `json:"rows"`
	Bytes      int64           `json:"bytes"`
	Held       int64           `json:"held"`
	Errors     int64           `json:"errors"`
	Error      string          `json:"error,omitempty"` // the first, or why the run was refused
	Refused    bool            `json:"refused,omitempty"`
	Oldest     *time.Time      `json:"oldest"`
	Newest     *time.Time      `json:"newest"`
	Sample     []string        `json:"sample"`
	SetHash    decimal.Decimal `json:"set_hash"` // equal for equal sets of rows
}

// Instants beyond what Go can hold are not shown.
const runColumns = ` id, policy, target, dry_run, cutoff, started_at, finished_at, rows, bytes, held, errors, coalesce(error, ''), refused,
       case when isfinite(oldest) then oldest end, case when isfinite(newest) then newest end, sample, set_hash
  from cleanup_runs`

const runsOfJobSQL = `
select /* cleanup.RunsOf */` + runColumns + `
 where job_id = $1
 order by id`

// RunsOf answers the runs of a job in the order in which they began.
func RunsOf(ctx context.Context, db postgres.DB, jobID int64) ([]Run, error) {
	found, err := db.Query(ctx, runsOfJobSQL, jobID)
	if err != nil {
		return nil, fmt.Errorf("list the cleanup runs of job %d: %w", jobID, err)
	}
	runs, err := pgx.CollectRows(found, pgx.RowToStructByPos[Run])
	if err != nil {
		return nil, fmt.Errorf("list the cleanup runs of job %d: %w", jobID, err)
	}
	return runs, nil
}

const announcedSQL = `
select /* cleanup.Announced */` + runColumns + `
 where policy = $1
   and cutoff = $2
   and id < $3
   and dry_run
   and finished_at is not null
 order by id desc
 limit 1`

// Announced answers the dry run that told what a run was going to delete: the last one before it of the
// same policy and cutoff. It is nil when there was none.
func Announced(ctx context.Context, db postgres.DB, r Run) (*Run, error) {
	found, err := db.Query(ctx, announcedSQL, r.Policy, r.Cutoff, r.ID)
	if err != nil {
		return nil, fmt.Errorf("find the dry run before run %d: %w", r.ID, err)
	}
	dry, err := pgx.CollectExactlyOneRow(found, pgx.RowToAddrOfStructByPos[Run])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the dry run before run %d: %w", r.ID, err)
	}
	return dry, nil
}
