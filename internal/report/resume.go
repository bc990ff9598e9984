package report

import (
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A part whose object cleanup has taken, because the report lay unfinished for so long, is no use; nor are parts
// of another version.
const (
	lastPartSQL = `
select /* report.resume */ part.part_no, part.last_id, part.hash_state, report.watermark,
       (select sum(all_parts.rows)::bigint from artifact_parts all_parts where all_parts.report_id = $1),
       (select sum(all_parts.bytes)::bigint from artifact_parts all_parts where all_parts.report_id = $1),
       not exists (
         select
           from artifact_parts lost
           left join temp_files kept on kept.location = lost.location and kept.deleting_at is null
          where lost.report_id = $1
            and kept.id is null)
  from artifact_parts part
  join reports report on report.id = part.report_id
 where part.report_id = $1
 order by part.part_no desc
 limit 1`
	restartSQL = `
update /* report.resume */ reports
   set rows = 0,
       bytes = 0,
       done = 0,
       started_at = clock_timestamp()
 where id = $1`
)

// resume reads what earlier attempts have recorded of a version, and forgets it when it cannot be gone on from.
func (r *run) resume(ctx context.Context, tx pgx.Tx, version int) error {
	r.output = output{whole: sha256.New()}
	var state []byte
	whole := false
	err := tx.QueryRow(ctx, lastPartSQL, r.id).Scan(&r.output.parts, &r.output.lastID, &state, &r.output.watermark, &r.output.rows, &r.output.bytes, &whole)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("find the parts of report %d: %w", r.id, err)
	}
	if whole && version == r.kind.Version {
		err = r.output.whole.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
		if err == nil {
			return nil
		}
	}
	r.output = output{whole: sha256.New()}
	if err := r.forgetParts(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, restartSQL, r.id); err != nil {
		return fmt.Errorf("restart report %d: %w", r.id, err)
	}
	return nil
}

const forgetPartsSQL = `
delete /* report.forgetParts */ from artifact_parts
 where report_id = $1
returning location`

// forgetParts takes the parts out of the report. Their objects are removed afterwards, and by cleanup if that
// does not happen: temp_files names them.
func (r *run) forgetParts(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, forgetPartsSQL, r.id)
	if err == nil {
		r.leftovers, err = pgx.AppendRows(r.leftovers, rows, pgx.RowTo[string])
	}
	if err != nil {
		return fmt.Errorf("forget the parts of report %d: %w", r.id, err)
	}
	return nil
}
