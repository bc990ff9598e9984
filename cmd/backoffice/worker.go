package main

import (
	"cmp"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/jobs"
	"backoffice/workers"
)

// defaultWorkers is how many jobs of a queue one worker process has in hand at once unless told otherwise.
// Jobs of the grouped queues share transactions: while some commit, enough others must be in hand to
// fill the next commits.
var defaultWorkers = map[string]int{
	jobs.QueueOrders:      500,
	jobs.QueueMaintenance: 2,
	jobs.QueueReports:     2,
}

// connectionsPerJob is how many connections one job of a queue uses at once, where that is more than one.
var connectionsPerJob = map[string]int{jobs.QueueReports: report.Connections}

// groupedQueues are those whose jobs all share transactions, so that their connections are the
// committers' and not one for each job.
var groupedQueues = map[string]bool{jobs.QueueOrders: true}

// defaultRescueAfter leaves the longest kind, a report, its time: the jobs of dead processes are taken back in
// seconds by their heartbeats, and this is the last resort behind that.
const defaultRescueAfter = time.Hour

// sparePool is how many connections a worker process needs beside those of its jobs: fetching, writing
// outcomes, River's listener and maintenance, and the timetable.
const sparePool = 6

func workerCommand() *cli.Command {
	return &cli.Command{
		Name:  "worker",
		Usage: "work the queues until stopped; start as many processes as you like",
		Description: `Runs every job kind of this build and the timetable. SIGTERM or Ctrl-C stops
fetching and lets running jobs finish; a second signal exits at once.

  backoffice worker
  backoffice worker --queue orders=1000        only this queue, 1000 jobs in hand at once
  backoffice worker --once                     work what is due, then exit`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "queue", EnvVars: []string{"BACKOFFICE_QUEUES"},
				Usage: "`NAME=WORKERS`: a queue to work and how many of its jobs at once; repeatable (default: every queue)"},
			&cli.IntFlag{Name: "group-size", EnvVars: []string{"BACKOFFICE_GROUP_SIZE"}, Value: queue.DefaultGroup().Size,
				Usage: "most `JOBS` of the orders queue that share one commit; 1: none do"},
			&cli.IntFlag{Name: "committers", EnvVars: []string{"BACKOFFICE_COMMITTERS"}, Value: queue.DefaultGroup().Committers,
				Usage: "most shared `COMMITS` of this process in flight at once; all processes together need about as many as Postgres has cores"},
			&cli.DurationFlag{Name: "group-wait", EnvVars: []string{"BACKOFFICE_GROUP_WAIT"}, Value: queue.DefaultGroup().Wait,
				Usage: "how long a commit that is not full waits for more jobs; 0 adds no delay, and a busy queue fills commits by itself"},
			&cli.IntFlag{Name: "pool-size", EnvVars: []string{"BACKOFFICE_POOL_SIZE"},
				DefaultText: "its committers, 4 for each worker of reports, the workers of the other queues, and 6",
				Usage:       "`CONNECTIONS` of this process at most"},
			storeFlag(),
			&cli.DurationFlag{Name: "artifact-retention", EnvVars: []string{"BACKOFFICE_ARTIFACT_RETENTION"}, Value: report.DefaultRetention,
				Usage: "how long the artifact of a report is kept from its completion on"},
			&cli.DurationFlag{Name: "soft-stop", EnvVars: []string{"BACKOFFICE_SOFT_STOP"}, Value: 20 * time.Second,
				Usage: "how long running jobs may finish after a stop is asked, before they are cancelled"},
			&cli.DurationFlag{Name: "hard-stop", EnvVars: []string{"BACKOFFICE_HARD_STOP"}, Value: 10 * time.Second,
				Usage: "how long cancelled jobs may take to return before the process exits without them"},
			&cli.DurationFlag{Name: "rescue-after", EnvVars: []string{"BACKOFFICE_RESCUE_AFTER"}, Value: defaultRescueAfter,
				Usage: "take a job back that has run longer than this; must exceed every kind's timeout"},
			&cli.DurationFlag{Name: "heartbeat", EnvVars: []string{"BACKOFFICE_HEARTBEAT"}, Value: queue.DefaultLiveness.Beat,
				Usage: "time between two signs of life"},
			&cli.DurationFlag{Name: "dead-after", EnvVars: []string{"BACKOFFICE_DEAD_AFTER"}, Value: queue.DefaultLiveness.DeadAfter,
				Usage: "declare another process dead whose last heartbeat is older; the same for all processes"},
			&cli.DurationFlag{Name: "self-limit", EnvVars: []string{"BACKOFFICE_SELF_LIMIT"}, Value: queue.DefaultLiveness.SelfLimit,
				Usage: "exit when no heartbeat has succeeded for this long; must be below --dead-after"},
			&cli.IntFlag{Name: "max-crash-rescues", EnvVars: []string{"BACKOFFICE_MAX_CRASH_RESCUES"}, Value: 3,
				Usage: "discard a job after this many processes have died while they ran it"},
			&cli.BoolFlag{Name: "poll-only", EnvVars: []string{"BACKOFFICE_POLL_ONLY"},
				Usage: "use neither LISTEN nor session locks, for a pooler in transaction mode; jobs start up to a second later"},
			timezoneFlag(),
			&cli.StringFlag{Name: "health-addr", EnvVars: []string{"BACKOFFICE_HEALTH_ADDR"},
				Usage: "serve /livez and /readyz on this `ADDRESS`, such as :8081 (default: nowhere)"},
			&cli.StringFlag{Name: "profile", EnvVars: []string{"BACKOFFICE_PROFILE"},
				Usage: "write cpu-PID.pprof and allocs-PID.pprof of the whole run into this `FOLDER`, which must exist"},
			&cli.BoolFlag{Name: "once", EnvVars: []string{"BACKOFFICE_ONCE"},
				Usage: "exit when no job of the queues is due or running here; jobs of a process that died are left to --until-empty or a lasting worker"},
			&cli.BoolFlag{Name: "until-empty", EnvVars: []string{"BACKOFFICE_UNTIL_EMPTY"},
				Usage: "like --once, but also wait for jobs that are scheduled, retryable or running elsewhere"},
		},
		Action: runWorker,
	}
}

func runWorker(c *cli.Context) (failed error) {
	settings, err := workerSettingsOf(c)
	if err != nil {
		return err
	}
	pool, err := connectWorkerPool(c, settings)
	if err != nil {
		return err
	}
	defer func() {
		if !errors.Is(failed, queue.ErrJobsLeft) { // whose connections are in use until the program ends
			pool.Close()
		}
	}()
	if err := requireSchema(c.Context, pool); err != nil {
		return err
	}
	if err := settings.checkServer(c.Context, pool); err != nil {
		return err
	}
	stores, err := openStores(c, pool)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, stores.Close()) }()
	stopProfiles, err := startProfiles(c.String("profile"))
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, stopProfiles()) }()
	process, err := newWorkerProcess(c.Context, pool, stores, settings, logger(c))
	if err != nil {
		return err
	}
	stopHealth, err := process.serveHealth(c.Context)
	if err != nil {
		return err
	}
	left, err := process.run(c.Context)
	stopHealth()
	if err != nil || settings.drain == drainNever {
		return err
	}
	return printDrained(c, process.Tally(), left)
}

// connectWorkerPool opens the pool of a worker process on the database that the flags name.
func connectWorkerPool(c *cli.Context, s workerSettings) (*pgxpool.Pool, error) {
	url, err := databaseURL(c)
	if err != nil {
		return nil, err
	}
	return postgres.Connect(c.Context, url, s.poolOptions())
}

// printDrained tells what --once or --until-empty did and left.
func printDrained(c *cli.Context, tally *queue.Tally, left queue.Backlog) error {
	summary := struct {
		Completed int64         `json:"completed"`
		Cancelled int64         `json:"cancelled"`
		Failed    int64         `json:"failed_attempts"`
		Left      queue.Backlog `json:"left"`
	}{tally.Completed.Load(), tally.Cancelled.Load(), tally.Failed.Load(), left}
	if wantsJSON(c) {
		return printJSON(c, summary)
	}
	return printf(c,
		"worked: %d completed, %d cancelled, %d failed attempts\nleft: %d due, %d scheduled, %d retryable, %d running elsewhere, %d in paused queues\n",
		summary.Completed, summary.Cancelled, summary.Failed, left.Available, left.Scheduled, left.Retryable, left.Elsewhere, left.Paused)
}

// workerSettingsOf reads and checks the flags.
func workerSettingsOf(c *cli.Context) (workerSettings, error) {
	s := workerSettings{
		clientID:    newClientID(),
		softStop:    c.Duration("soft-stop"),
		hardStop:    c.Duration("hard-stop"),
		rescueAfter: c.Duration("rescue-after"),
		poolSize:    c.Int("pool-size"),
		group:       queue.GroupConfig{Size: c.Int("group-size"), Committers: c.Int("committers"), Wait: c.Duration("group-wait")},

		liveness:        queue.Liveness{Beat: c.Duration("heartbeat"), DeadAfter: c.Duration("dead-after"), SelfLimit: c.Duration("self-limit")},
		pollOnly:        c.Bool("poll-only"),
		maxCrashRescues: c.Int("max-crash-rescues"),
		healthAddr:      c.String("health-addr"),
		timezone:        c.String("timezone"),

		artifactRetention: c.Duration("artifact-retention"),
	}
	switch {
	case c.Bool("until-empty"):
		s.drain = drainEmpty
	case c.Bool("once"):
		s.drain = drainDue
	}
	var err error
	if s.queues, err = parseQueues(c.StringSlice("queue")); err != nil {
		return s, err
	}
	for flag, d := range map[string]time.Duration{"soft-stop": s.softStop, "hard-stop": s.hardStop} {
		if d <= 0 {
			return s, usagef("--%s %s must be above zero, such as 20s", flag, d)
		}
	}
	if s.artifactRetention < time.Minute {
		return s, usagef("--artifact-retention %s is below 1m; people need time to fetch a report", s.artifactRetention)
	}
	if err := cmp.Or(checkLiveness(s), checkGroup(s.group), checkTimezone(s.timezone), checkStore(c), checkHealthAddr(s.healthAddr)); err != nil {
		return s, err
	}
	if longest := queue.LongestTimeout(workers.Contracts()); s.rescueAfter <= longest {
		return s, usagef("--rescue-after %s must exceed the longest timeout of a kind (%s); raise it", s.rescueAfter, longest)
	}
	needed := s.poolNeeded()
	if s.poolSize == 0 {
		s.poolSize = needed
	}
	if s.poolSize < needed {
		return s, usagef("--pool-size %d is below %d (%s, plus %d); raise it or lower the others",
			s.poolSize, needed, s.poolFlags(), sparePool)
	}
	return s, nil
}

func checkHealthAddr(addr string) error {
	if addr == "" { // nobody asks
		return nil
	}
	return checkAddr("health-addr", addr)
}

// checkLiveness refuses limits under which a healthy process would be taken for a dead one.
func checkLiveness(s workerSettings) error {
	l := s.liveness
	switch {
	case l.Beat < 100*time.Millisecond:
		return usagef("--heartbeat %s is below 100ms; raise it", l.Beat)
	case l.SelfLimit < 2*l.Beat:
		return usagef("--self-limit %s must be at least two heartbeats (--heartbeat %s); raise it", l.SelfLimit, l.Beat)
	case l.DeadAfter <= l.SelfLimit:
		return usagef("--dead-after %s must exceed --self-limit %s, so that a process ends itself before others take its jobs; raise it", l.DeadAfter, l.SelfLimit)
	case s.maxCrashRescues < 1:
		return usagef("--max-crash-rescues %d must be at least 1", s.maxCrashRescues)
	}
	return nil
}

// Bounds of shared commits: what a transaction can hold and still be short.
const (
	maxGroupSize = 2000
	maxGroupWait = time.Second
)

// checkGroup refuses commits that could never happen or would take too long.
func checkGroup(g queue.GroupConfig) error {
	switch {
	case g.Size < 1 || g.Size > maxGroupSize:
		return usagef("--group-size %d is outside 1 to %d", g.Size, maxGroupSize)
	case g.Committers < 1:
		return usagef("--committers %d must be at least 1", g.Committers)
	case g.Wait < 0 || g.Wait > maxGroupWait:
		return usagef("--group-wait %s is outside 0 to %s", g.Wait, maxGroupWait)
	}
	return nil
}
