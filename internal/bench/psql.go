package bench

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// psql prepares the program of that name to run one command on a run's database.
func (l *Lab) psql(ctx context.Context, db *Database, command string) (*exec.Cmd, error) {
	path, err := findPsql(l.options.BinDir)
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(db.URL)
	if err != nil {
		return nil, errors.New("read the URL of the run's database")
	}
	query := address.Query()
	for name := range query { // settings of our driver and its pool, which psql refuses
		if strings.HasPrefix(name, "pool_") || name == "default_query_exec_mode" {
			query.Del(name)
		}
	}
	address.RawQuery = query.Encode()
	environment := os.Environ()
	if password, given := address.User.Password(); given { // an argument can be read by every user of the machine
		address.User = url.User(address.User.Username())
		environment = append(environment, "PGPASSWORD="+password)
	}
	program := exec.CommandContext(ctx, path, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", address.String(), "--command", command)
	program.Env = environment
	return program, nil
}

// findPsql looks beside the server's programs, in the PATH and where distributions put it.
func findPsql(binDir string) (string, error) {
	if binDir != "" {
		if path, err := exec.LookPath(filepath.Join(binDir, "psql")); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath("psql"); err == nil {
		return path, nil
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin"} {
		dirs, _ := filepath.Glob(pattern) // the only error is a malformed pattern: none is
		for at := len(dirs) - 1; at >= 0; at-- {
			if path, err := exec.LookPath(filepath.Join(dirs[at], "psql")); err == nil {
				return path, nil
			}
		}
	}
	return "", errors.New("there is no psql in the PATH; install the PostgreSQL client, or name its directory with --pg-bin")
}
