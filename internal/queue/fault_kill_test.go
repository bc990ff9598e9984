package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"backoffice/internal/pgtest"
)

// faultJobs is how many jobs a process holds when it is harmed.
const faultJobs = 100

// harmed is a worker process that holds jobs of a queue of its own.
type harmed struct {
	*faultProcess
	queue string
	jobs  int
}

// startHarmed starts a process that holds all the given jobs, and lets the survivor work its queue.
func (s *survivor) startHarmed(t *testing.T, name string, c faultConfig, jobs []faultArgs) *harmed {
	t.Helper()
	h := &harmed{queue: name, jobs: len(jobs)}
	insertFaults(t, s.pool, name, jobs...)
	c.URL, c.ClientID, c.Queue, c.Slots, c.MaxConns = s.url, "harmed-"+name, name, len(jobs), 40
	h.faultProcess = startFault(t, c)
	pgtest.Eventually(t, h.id+" holds all jobs", func() (bool, error) { return running(t, s.pool, h.id) == len(jobs), nil })
	open := 0
	if slices.ContainsFunc(jobs, func(job faultArgs) bool { return job.InTx && job.Group }) {
		open++ // at least: committers begin with what is there
	}
	for _, job := range jobs {
		if job.InTx && !job.Group {
			open++
		}
	}
	pgtest.Eventually(t, h.id+" holds its transactions open", func() (bool, error) {
		return count(t, s.pool, `select count(*) from pg_stat_activity where application_name = $1 and datname = current_database() and state = 'idle in transaction'`, h.id) >= open, nil
	})
	s.takeOver(t, name)
	return h
}

// kill kills a process that holds jobs and answers how long it took until the last of them ran elsewhere.
func (s *survivor) kill(t *testing.T, name string, pollOnly bool) time.Duration {
	t.Helper()
	h := s.startHarmed(t, name, faultConfig{PollOnly: pollOnly}, slices.Repeat([]faultArgs{
		{Until: untilStopped}, {Do: doEffect, Until: untilStopped, Group: true, InTx: true},
	}, faultJobs/2))
	killed := time.Now()
	h.signal(t, syscall.SIGKILL)
	took := s.lastStart(t, h.jobs).Sub(killed)
	s.finish(t, h)
	return took
}

// finish waits until the survivor has done the jobs of a harmed process.
func (s *survivor) finish(t *testing.T, h *harmed) {
	t.Helper()
	pgtest.Eventually(t, "all jobs of "+h.id+" are final", func() (bool, error) {
		return count(t, s.pool, `select count(*) from river_job where queue = $1 and finalized_at is null`, h.queue) == 0, nil
	})
	wantEffectsOnce(t, s.pool, h.queue, h.jobs)
	if n := count(t, s.pool, `select count(*) from river_job where queue = $1 and (attempt <> 1 or cardinality(attempted_by) <> 2 or cardinality(errors) <> 1)`, h.queue); n != 0 {
		t.Errorf("%d jobs of %s have not run exactly twice, with one crash on record and no attempt burnt", n, h.id)
	}
	s.letGo(t, h.queue)
}

// freeze freezes a process that holds transactions and unwritten completions and answers how long it
// took until the last of its jobs ran elsewhere. Then it wakes the process, which must change nothing.
func (s *survivor) freeze(t *testing.T, name string, pollOnly bool) time.Duration {
	t.Helper()
	sixth := faultJobs / 6
	jobs := slices.Concat(
		slices.Repeat([]faultArgs{{Until: untilReleased}}, sixth), // buffered completions
		slices.Repeat([]faultArgs{{Do: doEffect, Until: untilThawed, InTx: true}}, sixth),
		slices.Repeat([]faultArgs{{Do: doEffect, Until: untilThawed, Deaf: true}}, sixth),
		slices.Repeat([]faultArgs{{Do: doEffect, Until: untilThawed, Group: true, InTx: true}}, sixth),
		slices.Repeat([]faultArgs{{Do: doEffect, Until: untilThawed, Group: true, Deaf: true}}, sixth),
		slices.Repeat([]faultArgs{{Do: doFail, Until: untilThawed}}, faultJobs-5*sixth),
	)
	h := s.startHarmed(t, name, faultConfig{PollOnly: pollOnly, Released: sixth}, jobs)
	release := s.hold()
	defer release()
	frozen := time.Now()
	h.signal(t, syscall.SIGUSR1)
	h.says(t, "freezing")
	if n := running(t, s.pool, h.id); n != h.jobs {
		t.Fatalf("%s froze with %d of %d outcomes unwritten, want all", h.id, n, h.jobs)
	}
	took := s.lastStart(t, h.jobs).Sub(frozen)
	s.wake(t, h)
	release()
	s.finish(t, h)
	return took
}

// wake wakes a frozen process whose jobs run elsewhere, and fails unless it ends and changes nothing.
func (s *survivor) wake(t *testing.T, h *harmed) {
	t.Helper()
	held := count(t, s.pool, `select count(*) from river_job where queue = $1 and id % 2 = 0`, h.queue)
	pgtest.Eventually(t, "half of the jobs are done", func() (bool, error) {
		return count(t, s.pool, `select count(*) from river_job where queue = $1 and state = 'completed'`, h.queue) == h.jobs-held, nil
	})
	before := jobRows(t, s.pool, h.queue)
	h.signal(t, syscall.SIGCONT)
	if code := h.exit(t).ExitCode(); code != 1 {
		t.Errorf("%s ended with %d, want 1", h.id, code)
	}
	if diff := cmp.Diff(before, jobRows(t, s.pool, h.queue)); diff != "" {
		t.Errorf("%s changed jobs after it woke (-before +after):\n%s", h.id, diff)
	}
	for _, text := range []string{"fault worker: worker process " + h.id + ": declared dead\n", "stale outcome dropped"} {
		if said := h.said.String(); !strings.Contains(said, text) {
			t.Errorf("%s did not say %q but: %s", h.id, text, said)
		}
	}
}

// Long form: 50 rounds.
func TestKilledProcessLosesItsJobsToOthersWithinSeconds(t *testing.T) {
	t.Parallel()
	s := startSurvivor(t, false)
	rounds := 3
	if long() {
		rounds = 50
	}
	var took []time.Duration
	for round := range rounds {
		took = append(took, s.kill(t, fmt.Sprintf("kill-%d", round), false))
	}
	if longest := logTimes(t, "kill -9 to the last job running elsewhere", took); long() && longest > 5*time.Second {
		t.Errorf("the longest took %s, want at most 5s", longest)
	}
}

// Long form: 50 rounds, ten in each of five databases.
func TestFrozenProcessLosesItsJobsAndChangesNothingWhenItWakes(t *testing.T) {
	t.Parallel()
	lanes, rounds := 2, 1
	if long() {
		lanes, rounds = 5, 10
	}
	took := make(chan time.Duration, lanes*rounds)
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				s := startSurvivor(t, false)
				for round := range rounds {
					took <- s.freeze(t, fmt.Sprintf("freeze-%d", round), false)
				}
			})
		}
	})
	close(took)
	if t.Failed() {
		return
	}
	var all []time.Duration
	for d := range took {
		all = append(all, d)
	}
	if longest := logTimes(t, "freeze to the last job running elsewhere", all); long() && longest > 15*time.Second {
		t.Errorf("the longest took %s, want at most 15s", longest)
	}
}

func TestPollOnlyProcessIsFoundDeadByItsHeartbeatAlone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule string
		harm func(*survivor, *testing.T, string, bool) time.Duration
	}{
		{"killed", (*survivor).kill},
		{"frozen and woken", (*survivor).freeze},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			s := startSurvivor(t, true)
			took := tc.harm(s, t, "polls", true)
			t.Logf("%s to the last job running elsewhere: %s", tc.rule, took.Round(time.Millisecond))
			if n := count(t, s.pool, `select count(*) from pg_locks where locktype = 'advisory' and pid in (select pid from pg_stat_activity where application_name = 'survivor' and datname = current_database())`); n != 0 {
				t.Errorf("a process that only polls holds %d locks", n)
			}
		})
	}
}

// The chain that one freeze set off without the fence around River's own outcomes: the zombie's outcome
// ended the next attempt, which became a zombie in turn, until the job was discarded.
func TestZombieOfALongFreezeDoesNotEndTheNextAttempt(t *testing.T) {
	t.Parallel()
	s := startSurvivor(t, false)
	const takes = 3 * time.Second
	// Two of each, so that one is running and one is done when the process wakes.
	jobs := slices.Repeat([]faultArgs{{For: takes}, {Do: doFail, For: takes}, {Do: doEffect, For: takes, Deaf: true}, {Do: doEffect, For: takes, Group: true, Deaf: true}}, 3)
	h := s.startHarmed(t, "chain", faultConfig{}, jobs)
	release := s.hold()
	defer release()
	h.signal(t, syscall.SIGSTOP)
	s.lastStart(t, h.jobs)
	s.wake(t, h)
	release()
	s.finish(t, h)
}
