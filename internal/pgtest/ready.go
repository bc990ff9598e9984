package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"backoffice/internal/postgres"
	"backoffice/migrations"
)

const templateName = "backoffice_template"

// keepUnused is for how long a ready cluster is kept after its last use.
const keepUnused = 24 * time.Hour

// readyCluster answers the directory of a stopped server with the migrated template, made once per
// version of Postgres and digest of the schema.
func readyCluster(ctx context.Context, home, binDir string) (string, error) {
	version, err := postgres.InstalledVersion(ctx, binDir)
	if err != nil {
		return "", err
	}
	ready := filepath.Join(home, fmt.Sprintf("ready-%d-%s", version, migrations.Digest()[:12]))
	lock, err := os.OpenFile(filepath.Join(home, "ready.lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // frees it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the ready clusters: %w", err)
	}
	if _, err := os.Stat(ready); err != nil {
		if err := makeCluster(ctx, ready, binDir); err != nil {
			return "", fmt.Errorf("make the ready cluster: %w", err)
		}
	}
	if err := os.Chtimes(ready, time.Time{}, time.Now()); err != nil { // last used now, so nobody sweeps it while it is copied
		return "", err
	}
	sweepReady(ctx, home)
	return ready, nil
}

// makeCluster makes a ready cluster beside its place and renames it. It is durable, unlike the copies:
// it must outlive a crash of the machine or not be there.
func makeCluster(ctx context.Context, ready, binDir string) error {
	fresh := ready + ".new"
	if err := postgres.RemoveServer(ctx, fresh); err != nil {
		return err
	}
	s, err := postgres.StartServer(ctx, postgres.ServerOptions{Dir: fresh, BinDir: binDir, Durable: true})
	if err != nil {
		return err
	}
	filled := fillCluster(ctx, s)
	if err := errors.Join(filled, s.Stop(ctx)); err != nil {
		return err
	}
	return os.Rename(fresh, ready)
}

func fillCluster(ctx context.Context, running *postgres.Server) error {
	s, err := newServer(ctx, running.URL(postgres.Database), templateName)
	if err != nil {
		return err
	}
	defer s.admin.Close()
	return s.makeMigrated(ctx, templateName)
}

// sweepReady removes the clusters, whole and half-made, that nobody used for long. It runs under the
// lock.
func sweepReady(ctx context.Context, home string) {
	clusters, _ := filepath.Glob(filepath.Join(home, "ready-*")) // the only error is a malformed pattern
	for _, cluster := range clusters {
		if stat, err := os.Stat(cluster); err == nil && time.Since(stat.ModTime()) > keepUnused {
			_ = postgres.RemoveServer(ctx, cluster)
		}
	}
}
