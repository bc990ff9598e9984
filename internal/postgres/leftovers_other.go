//go:build !linux

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

// endLeftovers ends a server that still answers. Its children cannot be found by their directory here:
// a start waits until those of a killed server end by themselves.
func endLeftovers(ctx context.Context, data string) error {
	const patience = 10 * time.Second
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return nil // none: no server either
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return nil
	}
	for begun := time.Now(); answers(socketOf(string(text))); {
		if time.Since(begun) > patience {
			return fmt.Errorf("clear %s: server process %d does not end; end it by hand", data, pid)
		}
		_ = syscall.Kill(pid, syscall.SIGQUIT) // immediate shutdown
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
