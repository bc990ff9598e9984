package queue_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"backoffice/internal/pgtest"
)

func TestRollingRestartUnderLoadBurnsNothing(t *testing.T) {
	t.Parallel()
	pool, url := faultDatabase(t)
	start := func(n int) *faultProcess {
		return startFault(t, faultConfig{URL: url, ClientID: fmt.Sprintf("rolling-%d", n), Slots: 8, SoftStop: time.Second})
	}
	var old []*faultProcess
	for n := range 4 {
		old = append(old, start(n))
	}
	jobs := 0
	load := func() {
		insertFaults(t, pool, "faults", faultArgs{Do: doEffect, For: 50 * time.Millisecond, InTx: true},
			faultArgs{Do: doEffect, For: 100 * time.Millisecond},
			faultArgs{Do: doEffect, For: 50 * time.Millisecond, Group: true, InTx: true},
			faultArgs{Do: doEffect, For: 1500 * time.Millisecond}, faultArgs{Do: doEffect, For: 1500 * time.Millisecond, InTx: true}, // longer than the soft stop
			faultArgs{Do: doEffect, For: 1500 * time.Millisecond, Group: true, InTx: true})
		jobs += 6
	}
	for n, p := range old {
		pgtest.Eventually(t, p.id+" is busy", func() (bool, error) { load(); return running(t, pool, p.id) > 1, nil })
		p.signal(t, syscall.SIGTERM)
		pgtest.Eventually(t, p.id+" has ended", func() (bool, error) { load(); return p.hasEnded(), nil })
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with %d, want 0: %s", p.id, code, p.said)
		}
		p.says(t, "worker stopping")
		p.says(t, "worker stopped")
		start(4 + n)
	}
	pgtest.Eventually(t, "all jobs are final", func() (bool, error) {
		return count(t, pool, `select count(*) from river_job where finalized_at is null`) == 0, nil
	})
	wantEffectsOnce(t, pool, "faults", jobs)
	if n := count(t, pool, `select count(*) from river_job where cardinality(errors) > 0 or attempt <> 1`); n != 0 {
		t.Errorf("%d of %d jobs have an error or an attempt burnt", n, jobs)
	}
	if n := count(t, pool, `select count(*) from worker_processes`); n != 4 {
		t.Errorf("%d processes have a row, want the 4 new ones", n)
	}
	interrupted := count(t, pool, `select count(*) from river_job where cardinality(attempted_by) > 1`)
	if interrupted == 0 {
		t.Error("no job was interrupted: the restart was no test")
	}
	waited := count(t, pool, `select (max(extract(epoch from attempted_at - created_at)) * 1000)::integer from river_job where cardinality(attempted_by) = 1`)
	t.Logf("%d jobs, %d interrupted; the longest wait was %d ms", jobs, interrupted, waited)
}

func TestSecondSignalEndsTheProcessAtOnce(t *testing.T) {
	t.Parallel()
	s := startSurvivor(t, false)
	h := s.startHarmed(t, "hurried", faultConfig{}, []faultArgs{{Until: untilStopped}})
	h.signal(t, syscall.SIGTERM)
	h.says(t, "worker stopping")
	h.signal(t, syscall.SIGTERM)
	if status := h.exit(t).Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("%s ended with %v, want ended by the signal", h.id, h.cmd.ProcessState)
	}
	if strings.Contains(h.said.String(), "worker stopped") {
		t.Error("it stopped softly")
	}
	s.lastStart(t, h.jobs)
	s.finish(t, h)
}

func TestJobThatIgnoresItsContextCannotHoldTheProcess(t *testing.T) {
	t.Parallel()
	s := startSurvivor(t, false)
	stops := faultConfig{SoftStop: time.Second, HardStop: time.Second}
	h := s.startHarmed(t, "deaf", stops, []faultArgs{
		{Until: untilReleased, Deaf: true}, {Do: doEffect, Until: untilReleased, Group: true, InTx: true, Deaf: true},
	})
	asked := time.Now()
	h.signal(t, syscall.SIGTERM)
	if code := h.exit(t).ExitCode(); code != 1 {
		t.Errorf("%s ended with %d, want 1", h.id, code)
	}
	t.Logf("it ended %s after the signal; soft and hard stop are a second each", time.Since(asked).Round(time.Millisecond))
	h.says(t, "fault worker: jobs left running: 2 jobs ignored their cancellation for 1s; others take them back\n")
	s.lastStart(t, h.jobs)
	s.finish(t, h)
}
