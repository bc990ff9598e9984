package queue_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/migrations"
)

// ownServer is a durable Postgres that a test may crash.
type ownServer struct {
	*postgres.Server
	options postgres.ServerOptions
	pool    *pgxpool.Pool
}

func startOwnServer(t *testing.T) *ownServer {
	t.Helper()
	s := &ownServer{options: postgres.ServerOptions{Dir: filepath.Join(pgtest.ServerDir(t), "pg"), Durable: true}}
	s.start(t)
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var err error
	s.pool, err = postgres.Connect(t.Context(), s.URL(postgres.Database), postgres.Options{ApplicationName: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	if err := migrations.Up(t.Context(), s.pool, nil); err != nil {
		t.Fatal(err)
	}
	exec(t, s.pool, faultEffectsSQL)
	return s
}

func (s *ownServer) start(t *testing.T) {
	t.Helper()
	var err error
	if s.Server, err = postgres.StartServer(t.Context(), s.options); err != nil {
		t.Fatal(err)
	}
}

// restart stops the server as `pg_ctl stop -m immediate` does, leaves it down for a while and starts it
// again.
func (s *ownServer) restart(t *testing.T, down time.Duration) {
	t.Helper()
	if err := syscall.Kill(s.PID(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-s.Exited()
	if err := s.Stop(t.Context()); err != nil { // frees its directory
		t.Fatal(err)
	}
	<-time.After(down) // nothing happens while it is down
	s.start(t)
}

// killBackend kills a backend that works for a worker process, which makes Postgres end all the others
// and recover.
func (s *ownServer) killBackend(t *testing.T) {
	t.Helper()
	var pid int
	pgtest.Eventually(t, "a backend works for a process", func() (bool, error) {
		return true, s.pool.QueryRow(t.Context(), `select coalesce(min(pid), 0) from pg_stat_activity where application_name = 'busy-1'`).Scan(&pid)
	})
	bystander, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer bystander.Release()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill backend %d: %v", pid, err)
	}
	pgtest.Eventually(t, "the other backends are gone too", func() (bool, error) { return bystander.Ping(t.Context()) != nil, nil })
}

// tryCount counts while the server may be down: ok says whether it answered.
func (s *ownServer) tryCount(ctx context.Context, sql string, args ...any) (n int, ok bool) {
	err := s.pool.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err == nil
}

// enduring outlasts the restart of a server on a machine that is slow to write.
var enduring = queue.Liveness{Beat: 500 * time.Millisecond, SelfLimit: 20 * time.Second, DeadAfter: 25 * time.Second}

const (
	mayBeSilent = 16 * time.Second // for so long an enduring process lives on for certain
	judgesAfter = 22 * time.Second // from then on an enduring process takes one without its lock for dead
	lateBy      = 3 * time.Second  // others that beat for so long could have found it without its lock and buried it
)

// One process comes late: it is frozen when the others have their locks again.
//
// Long form: also an outage of a quarter of the self-limit.
func TestServerCrashKillsNoProcessAndNoJob(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule  string
		long  bool
		crash func(*ownServer, *testing.T)
	}{
		{"stopped with immediate and started again", false, func(s *ownServer, t *testing.T) { s.restart(t, 0) }},
		{"one backend killed", false, (*ownServer).killBackend},
		{"down for five seconds", true, func(s *ownServer, t *testing.T) { s.restart(t, 5*time.Second) }},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if tc.long && !long() {
				t.Skip("runs with BACKOFFICE_LONG=1")
			}
			t.Parallel()
			s := startOwnServer(t)
			var busy []*faultProcess
			for n := range 3 {
				busy = append(busy, startFault(t, faultConfig{URL: s.URL(postgres.Database), ClientID: fmt.Sprintf("busy-%d", n), Liveness: enduring}))
			}
			for n := range busy {
				waitAge(t, s.pool, busy[n].id, judgesAfter)
			}
			// Ten seconds of work, with outcomes of every author under way.
			insertFaults(t, s.pool, "faults", slices.Repeat([]faultArgs{
				{Do: doEffect, For: 150 * time.Millisecond, InTx: true}, {Do: doEffect, For: 150 * time.Millisecond}, {For: 150 * time.Millisecond},
				{Do: doEffect, For: 150 * time.Millisecond, Group: true, InTx: true},
			}, 300)...)
			const completed = `select count(*) from river_job where state = 'completed'`
			pgtest.Eventually(t, "all are busy", func() (bool, error) { return count(t, s.pool, completed) > 150, nil })

			crashed, late := time.Now(), busy[2]
			late.signal(t, syscall.SIGSTOP)
			tc.crash(s, t)
			var back int
			pgtest.Eventually(t, "the server answers", func() (bool, error) {
				var ok bool
				back, ok = s.tryCount(t.Context(), completed)
				return ok, nil
			})
			outage := time.Since(crashed)
			if outage > mayBeSilent {
				t.Skipf("the server took %s to return: processes with a self-limit of %s may all end meanwhile", outage, enduring.SelfLimit)
			}
			pgtest.Eventually(t, "work goes on", func() (bool, error) {
				n, ok := s.tryCount(t.Context(), completed)
				return ok && n > back, nil
			})
			t.Logf("the server was away for %s; the next job completed %s after the crash", outage.Round(time.Millisecond), time.Since(crashed).Round(time.Millisecond))

			returned := time.Now()
			pgtest.Eventually(t, "the others have looked for the one that is late", func() (bool, error) {
				return count(t, s.pool, `select count(*) from worker_processes where client_id <> $1 and beat_at > $2`, late.id, returned.Add(lateBy)) == len(busy)-1, nil
			})
			late.signal(t, syscall.SIGCONT)
			thawed := time.Now()
			pgtest.Eventually(t, "all jobs are final and each process judges the others again", func() (bool, error) {
				return count(t, s.pool, `select count(*) from river_job where finalized_at is null`) == 0 && time.Since(thawed) > judgesAfter, nil
			})
			if silent := thawed.Sub(crashed); silent > mayBeSilent {
				t.Logf("%s was silent for %s and may have ended: only the others are looked at", late.id, silent)
				busy = busy[:2]
			}
			wantAlive(t, s, busy)
			if n := count(t, s.pool, completed); n != 1200 {
				t.Errorf("%d jobs are completed, want 1200", n)
			}
			if n, jobs := count(t, s.pool, `select count(*) from fault_effects`), count(t, s.pool, `select count(distinct job_id) from fault_effects`); n != 900 || jobs != 900 {
				t.Errorf("%d effects of %d jobs, want one of each of 900", n, jobs)
			}
		})
	}
}

// wantAlive fails unless nobody thought these processes dead.
func wantAlive(t *testing.T, s *ownServer, busy []*faultProcess) {
	t.Helper()
	var ids []string
	for _, p := range busy {
		ids = append(ids, p.id)
		if p.hasEnded() {
			t.Fatalf("%s has ended: %s", p.id, p.said)
		}
	}
	pgtest.Eventually(t, fmt.Sprintf("%q beat", ids), func() (bool, error) {
		return count(t, s.pool, `select count(*) from worker_processes where client_id = any($1) and beat_at > now() - interval '2 seconds'`, ids) == len(ids), nil
	})
	if n := count(t, s.pool, `select count(*) from worker_processes where client_id = any($1) and declared_dead_at is null`, ids); n != len(ids) {
		t.Errorf("%d of %q count as alive, want all", n, ids)
	}
	if n := count(t, s.pool, `select count(*) from job_crashes where last_client_id = any($1)`, ids); n != 0 {
		t.Errorf("%d crashes are counted for %q, want none", n, ids)
	}
}
