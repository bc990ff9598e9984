package queue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// BenchmarkPickupOfLateCommit measures the wait of a job whose insert fell within the cooldown of
// another's, so that River announced only that one, and whose transaction commits 30 ms later, when the
// worker has looked already. What it waits for is the next announcement or the next poll.
//
//	go test -run '^$' -bench PickupOfLateCommit -benchtime 40x ./internal/queue
func BenchmarkPickupOfLateCommit(b *testing.B) {
	url := startDurable(b).URL(postgres.Database)
	worked := make(chan time.Time)
	startBenchClient(b, url, func(_ context.Context, job *river.Job[probeArgs]) error {
		if job.Args.N == lateJob {
			worked <- time.Now()
		}
		return nil
	})
	pool := benchPool(b, url, "inserter", 8)
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		b.Fatal(err)
	}
	passages := make([]passage, b.N)
	for i := range passages {
		tx, err := pool.Begin(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		var announced sync.WaitGroup
		announced.Go(func() {
			if _, err := inserter.Insert(b.Context(), probeArgs{N: lateJob + 1}, nil); err != nil {
				b.Errorf("insert the first job: %v", err)
			}
		})
		if _, err := inserter.InsertTx(b.Context(), tx, probeArgs{N: lateJob}, nil); err != nil {
			b.Fatal(err)
		}
		announced.Wait()
		<-time.After(30 * time.Millisecond) // how late the second is
		if err := tx.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		passages[i].committed = time.Now()
		passages[i].arrived = <-worked
		<-time.After(50 * time.Millisecond) // the next pair is one of its own
	}
	b.ReportMetric(0, "ns/op")
	report(b, "commit", passages, func(p passage) time.Duration { return p.arrived.Sub(p.committed) })
}

const lateJob = 1
