package postgres

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxSocketPath is what every unix allows for the path of a socket (macOS 104 bytes, Linux 108), less
// a few for the lock file beside it.
const maxSocketPath = 95

// defaultPort also names the socket when the server has no TCP port.
const defaultPort = 5432

// socketDir is where the server of dir puts its socket: in dir itself, or in a private directory of the
// account below /tmp when the path is too long for a socket or has a comma, which clients take for the
// end of a host's name. Whoever may enter it may connect without a password.
func socketDir(dir string, a account) string {
	sock := filepath.Join(dir, "sock")
	if len(socketPath(sock, 65535)) <= maxSocketPath && !strings.Contains(sock, ",") {
		return sock
	}
	sum := sha256.Sum256([]byte(dir))
	return fmt.Sprintf("/tmp/backoffice-%d-%x", a.uid, sum[:6]) // not TMPDIR: on macOS that alone is 49 bytes
}

func socketPath(sock string, port int) string {
	return filepath.Join(sock, fmt.Sprintf(".s.PGSQL.%d", port))
}

// answers says whether a postmaster listens on the socket, be it starting, serving or stopping.
func answers(path string) bool {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// removeSocket clears what a killed server left. Postgres would refuse to start when the process id
// in the lock file has been given to somebody else meanwhile.
func removeSocket(sock string, port int) error {
	for _, path := range []string{socketPath(sock, port), socketPath(sock, port) + ".lock"} {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// socketURL is a URL that pgx and psql both understand. The port is named because PGPORT of the
// environment would otherwise win, and it is part of the socket's name.
func socketURL(database, sock string, port int) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d", Role, url.PathEscape(database), escapeValue(sock), port)
}

// escapeValue escapes a value of a query string as psql reads it, which knows no "+" for a blank, and
// leaves slashes readable.
func escapeValue(value string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(value))
}
