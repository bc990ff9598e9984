package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// setsMaxConns says whether the URL itself limits the pool.
func setsMaxConns(url string) bool {
	config, err := pgconn.ParseConfig(url)
	return err == nil && config.RuntimeParams["pool_max_conns"] != ""
}

// unreadableURL explains why a database URL cannot be read. The driver's text is used only when the
// URL as such parses: a misplaced % or @ makes the parser quote a piece of the password.
func unreadableURL(given string, err error) error {
	const shape = "want postgres://user:password@host:5432/database (in the password, write % as %25, @ as %40 and / as %2F)"
	if _, bad := url.Parse(given); bad != nil || !strings.Contains(given, "://") {
		return fmt.Errorf("DATABASE_URL (--database-url) is no URL of Postgres; %s", shape)
	}
	cause := err.Error()
	if _, after, found := strings.Cut(cause, "`: "); found { // what stands before repeats the URL
		cause = after
	}
	return fmt.Errorf("DATABASE_URL (--database-url) cannot be used: %s; %s", cause, shape)
}

// connectError says in one sentence where the connection was tried, why it failed and what helps. It
// keeps the cause for errors.As and shows neither the password nor the driver's list of attempts.
func connectError(config *pgconn.Config, err error) error {
	cause, cure := diagnose(config, err)
	return &unreachable{
		sentence: fmt.Sprintf("connect to database %q at %s: %s; %s", config.Database, address(config), cause, cure),
		cause:    err,
	}
}

// unreachable is a failed connection: a sentence for people, the driver's error for programs.
type unreachable struct {
	sentence string
	cause    error
}

func (e *unreachable) Error() string { return e.sentence }
func (e *unreachable) Unwrap() error { return e.cause }

func address(config *pgconn.Config) string {
	if strings.HasPrefix(config.Host, "/") {
		return fmt.Sprintf("%s/.s.PGSQL.%d", strings.TrimSuffix(config.Host, "/"), config.Port)
	}
	return net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
}

// diagnose finds the cause a person understands, and its cure.
func diagnose(config *pgconn.Config, err error) (cause, cure string) {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return refusal.Message, cureOf(config, refusal)
	}
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup):
		return fmt.Sprintf("host %q is unknown", lookup.Name), "correct the host in DATABASE_URL"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "start Postgres there, or correct DATABASE_URL"
	case errors.Is(err, syscall.ENOENT):
		return "no such socket", "start Postgres there, or correct DATABASE_URL"
	case errors.Is(err, syscall.EACCES):
		return "permission denied", "run as the user who started this server, or correct DATABASE_URL"
	case errors.Is(err, context.Canceled):
		return "interrupted", "run the command again"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time", "check that this host is reachable and is the one DATABASE_URL should name"
	}
	return lastLine(err), "check DATABASE_URL"
}

// lastLine is the innermost text of the driver's error, which repeats what address already says.
func lastLine(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

func cureOf(config *pgconn.Config, refusal *pgconn.PgError) string {
	switch refusal.Code {
	case "28P01", "28000": // invalid_password, invalid_authorization_specification
		return "check user and password in DATABASE_URL"
	case "3D000": // invalid_catalog_name
		return fmt.Sprintf("create it (createdb %s) or correct DATABASE_URL", config.Database)
	case "53300": // too_many_connections
		return "close other connections, lower the pool sizes or raise max_connections"
	case "57P03": // cannot_connect_now
		return "try again in a moment"
	case "42501": // insufficient_privilege
		return fmt.Sprintf("grant connect on the database to user %q", config.User)
	}
	return "check DATABASE_URL"
}
