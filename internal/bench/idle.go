package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

var idleScenario = Scenario{
	Name:    "idle",
	Summary: "what a worker process costs that has nothing to do",
	Prepare: prepareIdle,
}

const (
	idleName   = "backoffice worker"
	limitName  = "limit"
	idleCPU    = "% of a core"
	idleMemory = "MB resident"
	idleAsks   = "queries/s"
)

func prepareIdle(_ context.Context, lab *Lab) (*Plan, error) {
	limits := Figures{idleCPU: 1, idleMemory: 60, idleAsks: 15}
	plan := &Plan{Contestants: []Contestant{
		{Name: idleName, Run: lab.runIdle, Detail: "all queues, timetable, heartbeat; alone, so it leads; statements counted between it and Postgres"},
		{Name: limitName, Run: func(context.Context, *Database) (Figures, error) { return limits, nil }, Detail: "what is allowed"},
	}}
	for _, figure := range limits.names() {
		plan.Ratios = append(plan.Ratios, Ratio{What: "room below the limit of " + figure, Of: idleName, Against: limitName, Figure: figure, LowerIsBetter: true, AtLeast: 1})
	}
	return plan, nil
}

// A reaper begins to judge others after 10 s, and a leader is elected after 5.
const (
	idleSettles = 12 * time.Second
	idleWhile   = time.Minute
	idleQuick   = 2 * time.Second
)

// runIdle lets a worker process settle and then watches it.
func (l *Lab) runIdle(ctx context.Context, db *Database) (figures Figures, err error) {
	settles, while := idleSettles, idleWhile
	if l.Settings.Quick {
		settles, while = idleQuick, idleQuick
	}
	asked, err := startTally(db.URL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, asked.close()) }()
	through := *db
	through.URL = asked.url
	program, err := l.startLasting(ctx, &through, func(passage) {}, "worker")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, program.stop()) }()
	if err := pause(ctx, settles); err != nil {
		return nil, err
	}
	return watch(ctx, program.pid(), asked, while)
}

// watch measures a process for a while.
func watch(ctx context.Context, pid int, asked *tally, while time.Duration) (Figures, error) {
	cpu, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	count, from := asked.statements.Load(), time.Now()
	if err := pause(ctx, while); err != nil {
		return nil, err
	}
	seconds := time.Since(from).Seconds()
	after, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	resident, err := residentBytes(pid)
	if err != nil {
		return nil, err
	}
	return Figures{
		idleCPU:    100 * (after - cpu).Seconds() / seconds,
		idleMemory: float64(resident) / 1e6,
		idleAsks:   float64(asked.statements.Load()-count) / seconds,
	}, nil
}

// pause waits, or answers why ctx has ended.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clockTick is the unit of times in /proc, the same on every Linux.
const clockTick = 10 * time.Millisecond

// cpuTime is what a process has used so far, in user and system mode.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d (on Linux only): %w", pid, err)
	}
	// The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the CPU time of process %d: %q is too short", pid, text)
	}
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(errUser, errSystem)
}

// residentBytes is the memory of a process that is in RAM now.
func residentBytes(pid int) (int64, error) { return memoryOf(pid, "VmRSS") }

// peakBytes is the most memory of a process that was ever in RAM.
func peakBytes(pid int) (int64, error) { return memoryOf(pid, "VmHWM") }

// memoryOf reads one of the sizes that Linux tells of a process.
func memoryOf(pid int, name string) (int64, error) {
	kilobytes, err := strconv.ParseInt(strings.TrimSuffix(procValue(fmt.Sprintf("/proc/%d/status", pid), name), " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d (on Linux only): %w", pid, err)
	}
	return kilobytes << 10, nil
}
