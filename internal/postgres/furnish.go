package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ping answers nil when the server takes connections.
func (s *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// furnish gives the server our database and, when it has a port, the role its password. initdb has
// made the role. It runs at every start, so a start killed half-way is completed by the next.
func (s *Server) furnish(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	exists := false
	const hasDatabase = "select /* postgres.StartServer */ exists (select from pg_database where datname = $1)"
	if err := conn.QueryRow(ctx, hasDatabase, Database).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := conn.Exec(ctx, "create /* postgres.StartServer */ database "+Database); err != nil {
			return err
		}
	}
	if s.options.Port == 0 {
		return nil
	}
	if s.password, err = keptPassword(filepath.Join(s.options.Dir, "password")); err != nil {
		return fmt.Errorf("keep password for port %d: %w", s.options.Port, err)
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("alter role %s password '%s'", Role, s.password)) // letters and digits only; a statement without parameters
	return err
}

// keptPassword answers the password in the file, which only its owner may read, or makes one.
func keptPassword(path string) (string, error) {
	kept, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	default:
		if password := strings.TrimSpace(string(kept)); isPassword(password) {
			return password, nil
		}
	}
	password := rand.Text()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(password + "\n")
	return password, errors.Join(err, file.Close())
}

// isPassword accepts what keptPassword makes, so that what somebody wrote into the file can be no SQL.
func isPassword(text string) bool {
	return len(text) >= 20 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
}
