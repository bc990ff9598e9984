package queue_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// Work that gives up on locks, and enqueues more work: its commit waits for those of others that notify.
func TestFenceTakesItsTurnAtCommitWhateverTheLockTimeout(t *testing.T) {
	t.Parallel()
	for _, fence := range fences {
		t.Run(fence.name, func(t *testing.T) {
			t.Parallel()
			s := startOwnServer(t)
			attempts := make(chan attempt)
			newProbeProcess(t, s.pool, "only", 1, hold(attempts))
			id := insertProbe(t, s.pool, 1)
			held := <-attempts
			err := pgtest.CommitOutOfTurn(t, s.pool, func() error {
				return fence.in(t.Context(), s.pool, held.job, func(ctx context.Context, tx pgx.Tx) (queue.Outcome, error) {
					_, err := tx.Exec(ctx, `set local lock_timeout = '50ms'; notify told`)
					return queue.Completed(), err
				})
			})
			if err != nil {
				t.Errorf("the commit: %v", err)
			}
			held.finish <- func() error { return nil }
			if err == nil {
				waitState(t, s.pool, id, rivertype.JobStateCompleted)
			}
		})
	}
}
