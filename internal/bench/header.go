package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Header is under what circumstances the figures came about.
type Header struct {
	StartedAt   time.Time         `json:"started_at"`
	OS          string            `json:"os"`
	CPU         string            `json:"cpu"` // "" where the system does not tell
	Cores       int               `json:"cores"`
	MemoryBytes int64             `json:"memory_bytes"` // 0 where the system does not tell
	LoadBefore  string            `json:"load_average_before"`
	LoadAfter   string            `json:"load_average_after"`
	Version     string            `json:"version"`
	Go          string            `json:"go"`
	River       string            `json:"river"`
	Pgx         string            `json:"pgx"`
	Postgres    string            `json:"postgres"`
	Embedded    bool              `json:"embedded"` // a server of the bench's own
	Settings    map[string]string `json:"postgres_settings"`
	Runs        int               `json:"runs"`
	Orders      int               `json:"orders"`
	Lines       int               `json:"lines"` // of an export
	File        string            `json:"file,omitempty"`
	Quick       bool              `json:"quick"`
}

func newHeader(ctx context.Context, l *Lab) (Header, error) {
	h := Header{
		StartedAt: time.Now().UTC().Truncate(time.Second),
		OS:        runtime.GOOS + "/" + runtime.GOARCH, CPU: cpuModel(), Cores: runtime.NumCPU(), MemoryBytes: memoryBytes(), LoadBefore: loadAverage(),
		Version: l.options.Version, Go: runtime.Version(), River: moduleVersion("github.com/riverqueue/river"), Pgx: moduleVersion("github.com/jackc/pgx/v5"),
		Embedded: l.server != nil,
		Runs:     l.Settings.Runs, Orders: l.Settings.Orders, Lines: l.Settings.Lines, File: l.Settings.File, Quick: l.Settings.Quick,
	}
	var err error
	h.Settings, err = serverSettings(ctx, l.admin)
	h.Postgres = h.Settings["server_version"]
	delete(h.Settings, "server_version")
	return h, err
}

// shownSettings are those that decide how fast a server writes.
var shownSettings = []string{
	"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_sync_method", "wal_compression",
	"shared_buffers", "work_mem", "max_wal_size", "checkpoint_timeout", "max_connections", "autovacuum", "jit", "data_checksums",
}

const settingsSQL = `
select /* bench.settings */ name, current_setting(name)
  from unnest($1::text[]) as name`

func serverSettings(ctx context.Context, pool *pgxpool.Pool) (map[string]string, error) {
	rows, err := pool.Query(ctx, settingsSQL, shownSettings)
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	defer rows.Close()
	settings := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fmt.Errorf("read the server's settings: %w", err)
		}
		settings[name] = value
	}
	return settings, rows.Err()
}

// checkDurable refuses a server whose commits would not survive a crash: its figures compare with nothing.
func checkDurable(ctx context.Context, pool *pgxpool.Pool) error {
	settings, err := serverSettings(ctx, pool)
	if err != nil {
		return err
	}
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if value := settings[name]; value != "on" {
			return fmt.Errorf("the server has %s=%s, so what it commits may be lost in a crash and its figures say nothing; turn it on, or give no --database-url and measure on a server of the bench's own", name, value)
		}
	}
	return nil
}

// moduleVersion is what the build recorded of a dependency.
func moduleVersion(path string) string {
	built, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, module := range built.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return ""
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

func cpuModel() string { return procValue("/proc/cpuinfo", "model name") }

func memoryBytes() int64 {
	kilobytes, err := strconv.ParseInt(strings.TrimSuffix(procValue("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}

// procValue reads the first "name: value" of a file of Linux; "" elsewhere.
func procValue(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
