package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endLeftovers ends the processes of a killed server that still run in its data directory: they keep
// its shared memory, and with it the next server, from going until the query they are busy with ends.
func endLeftovers(ctx context.Context, data string) error {
	const patience = 10 * time.Second
	for begun := time.Now(); ; {
		pids := serverProcesses(data)
		if len(pids) == 0 {
			return nil
		}
		if time.Since(begun) > patience {
			return fmt.Errorf("clear %s: processes %v of a killed server do not end; end them by hand", data, pids)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // their server is dead and its shared memory is given up
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// serverProcesses finds the processes of Postgres that work in the data directory; the server and all
// its children do. A directory that only its account may enter has no other visitors.
func serverProcesses(data string) []int {
	data, err := filepath.EvalSymlinks(data)
	if err != nil {
		return nil
	}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // the only error is a malformed pattern
	var pids []int
	for _, link := range links {
		if cwd, err := os.Readlink(link); err != nil || cwd != data {
			continue // ended meanwhile, or another user's
		}
		process := filepath.Dir(link)
		if name, err := os.ReadFile(filepath.Join(process, "comm")); err != nil || strings.TrimSpace(string(name)) != "postgres" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
