package report

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

const ofJobSQL = `
select /* report.OfJob */ id
  from reports
 where job_id = $1`

// OfJob answers the id of the report that a job makes; 0: none.
func OfJob(ctx context.Context, db postgres.DB, jobID int64) (id int64, err error) {
	err = db.QueryRow(ctx, ofJobSQL, jobID).Scan(&id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("look for the report of job %d: %w", jobID, err)
	}
	return id, nil
}
