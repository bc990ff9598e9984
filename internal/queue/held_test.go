package queue

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
)

// answerLost carries the first fetch out and loses its answer, as a connection does that breaks.
type answerLost struct {
	*fencedDriver
	lost bool
}

func (d *answerLost) PluginPilot() riverpilot.Pilot { return &losingPilot{d.pilot, d} }

type losingPilot struct {
	*fencedPilot
	driver *answerLost
}

func (p *losingPilot) JobGetAvailable(ctx context.Context, exec riverdriver.Executor, state riverpilot.ProducerState,
	params *riverdriver.JobGetAvailableParams,
) (*riverdriver.JobGetAvailableResult, error) {
	if !p.driver.lost {
		if result, err := exec.JobGetAvailable(ctx, params); err != nil || len(result.Jobs) > 0 {
			p.driver.lost = true
			p.held.doubt(params.Queue) // what the fenced pilot does when its fetch fails
			return nil, errors.New("unexpected EOF")
		}
	}
	return p.fencedPilot.JobGetAvailable(ctx, exec, state, params)
}

func TestJobsOfAFetchWhoseAnswerWasLostRunAllTheSame(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	driver := &answerLost{fencedDriver: newFencedDriver(pool, slog.New(slog.DiscardHandler), &gate{})}
	registered := river.NewWorkers()
	river.AddWorker(registered, outcomeWorker{})
	client, err := river.NewClient[pgx.Tx](driver, &river.Config{
		ID: "losing", Queues: map[string]river.QueueConfig{"default": {MaxWorkers: 10}}, Workers: registered,
		Logger: slog.New(slog.DiscardHandler), Middleware: []rivertype.Middleware{&attemptToken{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := client.Insert(t.Context(), outcomeArgs{Outcome: "nil"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "all are completed at their first attempt", func() (bool, error) {
		var n int
		err := pool.QueryRow(t.Context(), `select count(*) from river_job where state = 'completed' and attempt = 1`).Scan(&n)
		return n == 5, err
	})
	if !driver.lost {
		t.Error("no answer was lost")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := client.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left := driver.pilot.held.ids(); len(left) != 0 {
		t.Errorf("%v are still held", left)
	}
}
