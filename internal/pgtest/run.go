package pgtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"backoffice/internal/postgres"
)

// startServer copies the ready cluster and runs a server on the copy.
func startServer(ctx context.Context) (*server, error) {
	home, err := testHome()
	if err != nil {
		return nil, err
	}
	sweepRuns(ctx, home)
	binDir := os.Getenv("BACKOFFICE_PG_BIN")
	ready, err := readyCluster(ctx, home, binDir)
	if err != nil {
		return nil, err
	}
	dir, err := runDir(home)
	if err != nil {
		return nil, err
	}
	if err := copyTree(filepath.Join(ready, "data"), filepath.Join(dir, "data")); err != nil {
		return nil, fmt.Errorf("copy the ready cluster: %w", err)
	}
	running, err := postgres.StartServer(ctx, postgres.ServerOptions{Dir: dir, BinDir: binDir, MaxConnections: 300})
	if err != nil {
		return nil, err
	}
	untilExit, err := cleanUpAfter(running.PID(), dir)
	if err != nil {
		return nil, err
	}
	s, err := newServer(ctx, running.URL(postgres.Database), templateName)
	if err != nil {
		return nil, err
	}
	s.untilExit = untilExit
	return s, nil
}

// cleanUpAfter starts a shell that waits until this program has ended, however it ended, and then takes
// the server and its directory away: it reads from a pipe that stays open until then. Without the
// shell the server would still end by itself on Linux, and the next run would sweep the directory; but
// it may be large, and there may be no next run.
func cleanUpAfter(server int, dir string) (untilExit io.Closer, err error) {
	// The server's lock file tells when it has ended: its process may stay a zombie where nobody reaps.
	const script = `cat; kill -QUIT "$1"; n=0; while [ -e "$2/data/postmaster.pid" ] && [ $((n += 1)) -lt 200 ]; do sleep 0.05; done; rm -rf "$2"`
	shell := exec.Command("/bin/sh", "-c", script, "sh", strconv.Itoa(server), dir)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us
	pipe, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	return pipe, shell.Start()
}
