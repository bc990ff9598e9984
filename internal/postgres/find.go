package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoBinaries means that the PostgreSQL server programs are not installed where anybody looked.
var ErrNoBinaries = errors.New("no PostgreSQL server programs found")

// binaries is one installation of the server programs.
type binaries struct {
	dir   string // holds initdb and postgres
	major int    // 15
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// findBinaries answers the installation that serves data of the given major version, or any when that
// is 0 or no installation fits (the caller then says so). A binDir that is given is the only place
// looked at.
func findBinaries(ctx context.Context, binDir string, major int) (binaries, error) {
	dirs := []string{binDir}
	if binDir == "" {
		dirs = expand(installPlaces(ctx))
	}
	found, ok := pick(ctx, dirs, major)
	switch {
	case ok:
		return found, nil
	case ctx.Err() != nil: // the programs were not asked, or had no time to answer
		return binaries{}, fmt.Errorf("look for PostgreSQL: %w", context.Cause(ctx))
	case binDir != "":
		return binaries{}, fmt.Errorf("%w in %s (--pg-bin, BACKOFFICE_PG_BIN): initdb and postgres must both be there and run; "+
			"correct it, or unset it to look elsewhere", ErrNoBinaries, binDir)
	}
	return binaries{}, nothingInstalled(installPlaces(ctx))
}

// pick answers the first installation that fits, or else the first.
func pick(ctx context.Context, dirs []string, major int) (best binaries, ok bool) {
	for _, dir := range dirs {
		b, err := inspectBinaries(ctx, dir)
		switch {
		case err != nil:
		case major == 0 || b.major == major:
			return b, true
		case !ok:
			best, ok = b, true
		}
	}
	return best, ok
}

// installPlaces lists, best first, the directories where initdb and postgres are usually found; some
// are patterns.
func installPlaces(ctx context.Context) []string {
	var places []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			places = append(places, filepath.Dir(real)) // the programs find their own files beside the real one
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		places = append(places, strings.TrimSpace(string(out)))
	}
	return append(places,
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // Red Hat, Rocky
		"/usr/libexec/postgresql*",  // Alpine
		"/usr/local/pgsql/bin",      // built from source
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	)
}

// expand resolves patterns, newest version first: 17 comes before 9.6.
func expand(places []string) []string {
	var dirs []string
	for _, place := range places {
		matches, _ := filepath.Glob(place) // the only error is a malformed pattern: none is
		slices.SortFunc(matches, func(a, b string) int { return slices.Compare(numbersIn(b), numbersIn(a)) })
		dirs = append(dirs, matches...)
	}
	return dirs
}

var digits = regexp.MustCompile(`\d+`)

func numbersIn(path string) []int {
	var numbers []int
	for _, text := range digits.FindAllString(path, -1) {
		n, _ := strconv.Atoi(text)
		numbers = append(numbers, n)
	}
	return numbers
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func inspectBinaries(ctx context.Context, dir string) (binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, err
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("read version of %s/postgres: %q names none", dir, out)
	}
	major, err := strconv.Atoi(string(match[1]))
	return binaries{dir: dir, major: major}, err
}

func nothingInstalled(places []string) error {
	return fmt.Errorf(`%w: looked for initdb and postgres in $BACKOFFICE_PG_BIN, $PATH, pg_config --bindir and
  %s
Any one of these helps:
  apt-get install -y postgresql       (Debian, Ubuntu)
  dnf install -y postgresql-server    (Fedora, Red Hat)
  brew install postgresql@17          (macOS)
  export BACKOFFICE_PG_BIN=/path/to/postgresql/bin
  export DATABASE_URL=postgres://user:password@host:5432/database
  docker compose up`, ErrNoBinaries, strings.Join(places, "\n  "))
}

// InstalledVersion answers the major version of the PostgreSQL programs that a new server would be
// made with: those in binDir, or, when it is "", those found first. ErrNoBinaries: there are none.
func InstalledVersion(ctx context.Context, binDir string) (int, error) {
	b, err := findBinaries(ctx, binDir, 0)
	return b.major, err
}
