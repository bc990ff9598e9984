package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"backoffice/workers"
)

// maxWorkers is River's own limit for one queue.
const maxWorkers = 10_000

// parseQueues reads NAME=WORKERS flags; none of them means every queue with its default.
func parseQueues(flags []string) (map[string]int, error) {
	known := knownQueues()
	queues := map[string]int{}
	for _, flag := range flags {
		name, count, counted := strings.Cut(flag, "=")
		if !slices.Contains(known, name) {
			return nil, usagef("--queue %q names no queue of this build; known are %s", name, strings.Join(known, ", "))
		}
		if _, twice := queues[name]; twice {
			return nil, usagef("--queue %s is given twice; name each queue once", name)
		}
		workers := defaultWorkers[name]
		if counted {
			n, err := strconv.Atoi(count)
			if err != nil || n < 1 || n > maxWorkers {
				return nil, usagef("--queue %s wants a number of workers from 1 to %d, not %q", name, maxWorkers, count)
			}
			workers = n
		}
		queues[name] = workers
	}
	if len(queues) == 0 {
		for _, name := range known {
			queues[name] = defaultWorkers[name]
		}
	}
	return queues, nil
}

// knownQueues lists the queues that some kind of this build declares.
func knownQueues() []string {
	known := map[string]bool{}
	for _, contract := range workers.Contracts() {
		known[contract.Queue] = true
	}
	return slices.Sorted(maps.Keys(known))
}
