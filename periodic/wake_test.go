package periodic_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

// runRarely runs a dispatcher that looks of its own accord every hour: what it does sooner, it was woken for, or
// it slept until a tick. It answers how often it was woken.
func runRarely(t *testing.T, pool *pgxpool.Pool) (woken <-chan struct{}) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "listen "+periodic.Channel); err != nil {
		t.Fatal(err)
	}
	wake, taken := make(chan struct{}), make(chan struct{}, 100) // nobody but Run, awake, takes from wake
	dispatcher := newDispatcher(t, pool, time.Time{})
	dispatcher.Now, dispatcher.Wake = nil, wake
	dispatcher.PollEvery(time.Hour)
	ctx, stop := contextWithCancel(t)
	var running sync.WaitGroup
	running.Go(func() { dispatcher.Run(ctx) })
	running.Go(func() {
		defer conn.Close(t.Context())
		for {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return
			}
			select {
			case wake <- struct{}{}:
				taken <- struct{}{}
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return taken
}

func TestDispatcherWakesOnEachChangeOfTheTimetable(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	woken := runRarely(t, pool)
	for _, change := range []string{
		`insert into schedules (name, kind, spec) values ('yearly', 'tick', '@yearly')`,
		`update schedules set spec = '@monthly'`,
		`update schedules set timezone = 'Europe/London'`,
		`update schedules set paused_at = now()`,
		`update schedules set paused_at = null`,
	} {
		exec(t, pool, change)
		pgtest.Eventually(t, "the dispatcher was woken by "+change, func() (bool, error) { return len(woken) > 0, nil })
		<-woken
	}
	exec(t, pool, `insert into schedules (name, kind, spec) values ('due', 'tick', 'every 1s')`)
	pgtest.Eventually(t, "the tick of what was added has run", func() (bool, error) {
		return numbers(t, pool, `select count(*) from schedule_runs where schedule = 'due' and outcome = 'enqueued'`) > 0, nil
	})
}

func TestDispatcherSleepsUntilTheNextTick(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, `insert into schedules (name, kind, spec) values ('often', 'tick', 'every 1s')`)
	woken := runRarely(t, pool)
	pgtest.Eventually(t, "three ticks have run", func() (bool, error) {
		return numbers(t, pool, `select count(*) from schedule_runs where outcome = 'enqueued'`) >= 3, nil
	})
	if len(woken) > 0 {
		t.Error("it was woken, and need not have been: its own ticks change nothing that others wait for")
	}
	t.Logf("later than their ticks by %d ms at most", numbers(t, pool, `select max(extract(epoch from job.created_at - ran.tick_at) * 1000)::integer from schedule_runs ran join river_job job on job.id = ran.job_id`))
}
