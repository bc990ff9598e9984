package report

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	completeSQL = `
update /* report.publish */ reports
   set status = 'completed',
       finished_at = clock_timestamp(),
       rows = $2,
       bytes = $3,
       done = 1,
       error = null
 where id = $1
   and status = 'running'`
	// The parts are the artifact's now, which has a retention of its own.
	keepPartsSQL = `
delete /* report.publish */ from temp_files
 where deleting_at is null
   and location in (select location from artifact_parts where report_id = $1)`
	artifactSQL = `
insert /* report.publish */ into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, created_at, expires_at)
select id, $2, $3, $4, $5, $6, $7, finished_at - started_at, finished_at, finished_at + $8::interval
  from reports
 where id = $1`
)

// publish makes all parts an artifact, and completes report and job, in one commit.
func (r *run) publish(ctx context.Context) error {
	o := &r.output
	return r.Complete(ctx, func(tx pgx.Tx) error {
		completed, err := tx.Exec(ctx, completeSQL, r.id, o.rows, o.bytes)
		if err != nil {
			return r.publishError(err)
		}
		if completed.RowsAffected() == 0 {
			return errStopped
		}
		if err := r.insertParts(ctx, tx, o.open...); err != nil {
			return err
		}
		kept, err := tx.Exec(ctx, keepPartsSQL, r.id)
		if err != nil {
			return r.publishError(err)
		}
		if kept.RowsAffected() != int64(o.parts) {
			return fmt.Errorf("publish report %d: %d of its %d parts were cleaned up before it was complete; it begins again", r.id, int64(o.parts)-kept.RowsAffected(), o.parts)
		}
		_, err = tx.Exec(ctx, artifactSQL, r.id, r.format.ContentType(), r.fileName(), o.rows, o.bytes, o.whole.Sum(nil), o.parts, r.Retention)
		return r.publishError(err)
	})
}

func (r *run) publishError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("publish report %d: %w", r.id, err)
}

// fileName is what a download is called: order-lines-2010-12-01-to-2011-05-31-41.csv.
func (r *run) fileName() string {
	name := []string{r.kind.Name}
	from, to, _ := r.params.Days()
	switch {
	case from != "" && to != "":
		name = append(name, from, "to", to)
	case from != "":
		name = append(name, "from", from)
	case to != "":
		name = append(name, "to", to)
	}
	return fmt.Sprintf("%s-%d%s", strings.Join(name, "-"), r.id, r.format.Extension())
}
