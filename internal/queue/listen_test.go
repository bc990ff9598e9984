package queue_test

import (
	"sync/atomic"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

func TestNotificationsAreHeardAgainOnceTheirConnectionIs(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	var heard, other atomic.Int64
	p := startProcess(t, pgtest.URL(t), "only", func(cfg *queue.ProcessConfig) {
		cfg.Listen = map[string]func(){`an "odd" channel`: func() { heard.Add(1) }, "other": func() { other.Add(1) }}
	}, completes)
	hears := func() {
		t.Helper()
		before := heard.Load()
		pgtest.Eventually(t, "a notification is heard", func() (bool, error) {
			exec(t, pool, `select pg_notify('an "odd" channel', 'said')`)
			return heard.Load() > before, nil
		})
	}
	hears()
	exec(t, pool, `select pg_terminate_backend(activity.pid) from pg_stat_activity activity join pg_locks held on held.pid = activity.pid
		where held.locktype = 'advisory' and activity.application_name = 'only'`)
	pgtest.Eventually(t, "it has its lock again", func() (bool, error) {
		return p.Ready(t.Context()) == nil && count(t, pool, `select count(*) from pg_stat_activity activity join pg_locks held on held.pid = activity.pid
			where held.locktype = 'advisory' and activity.application_name = 'only'`) > 0, nil
	})
	hears()
	if n := other.Load(); n != 0 {
		t.Errorf("another channel was heard %d times", n)
	}
}
