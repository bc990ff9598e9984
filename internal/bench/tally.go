package bench

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// tally stands between a program and Postgres, passes everything on and counts the statements that the
// program sends. So it needs no right to read the server's log, and counts nobody else's.
type tally struct {
	url        string // for the program
	statements atomic.Int64

	listener net.Listener
	server   *pgconn.Config
	passing  sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]struct{}
}

// startTally listens on a port of this machine for whoever wants the database that given names.
func startTally(given string) (*tally, error) {
	server, err := pgconn.ParseConfig(given)
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for statements: %w", err)
	}
	through := url.URL{Scheme: "postgres", User: url.UserPassword(server.User, server.Password), Host: listener.Addr().String(), Path: "/" + server.Database, RawQuery: "sslmode=disable"}
	t := &tally{url: through.String(), listener: listener, server: server, open: map[net.Conn]struct{}{}}
	t.passing.Go(t.accept)
	return t, nil
}

// close ends all connections.
func (t *tally) close() error {
	err := t.listener.Close()
	t.mu.Lock()
	for conn := range t.open {
		_ = conn.Close() // what is being read ends with an error that nobody hears
	}
	t.open = nil
	t.mu.Unlock()
	t.passing.Wait()
	return err
}

func (t *tally) accept() {
	for {
		program, err := t.listener.Accept()
		if err != nil {
			return
		}
		server, err := t.dial()
		if err != nil || !t.keep(program, server) {
			_ = program.Close()
			continue
		}
		t.passing.Go(func() {
			_, _ = io.Copy(program, server)
			_ = program.Close()
		})
		t.passing.Go(func() {
			t.pass(program, server)
			_ = server.Close()
			t.drop(program, server)
		})
	}
}

// dial reaches the server as the URL says. The program's own connection to here is not encrypted.
func (t *tally) dial() (net.Conn, error) {
	network, address := pgconn.NetworkAddress(t.server.Host, t.server.Port)
	conn, err := net.Dial(network, address)
	if err != nil || t.server.TLSConfig == nil {
		return conn, err
	}
	const sslRequest = 80877103
	request := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), sslRequest)
	answer := make([]byte, 1)
	_, err = conn.Write(request)
	if err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	switch {
	case err != nil:
		return nil, errors.Join(err, conn.Close())
	case answer[0] == 'S':
		return tls.Client(conn, t.server.TLSConfig), nil
	}
	return conn, nil // the server has none; a URL that insists on it has failed before
}

func (t *tally) keep(conns ...net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, conn := range conns {
		if t.open == nil { // closed meanwhile
			_ = conn.Close()
			continue
		}
		t.open[conn] = struct{}{}
	}
	return t.open != nil
}

func (t *tally) drop(conns ...net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, conn := range conns {
		delete(t.open, conn)
	}
}

// The messages by which a program has a statement run: Query, and Execute of the extended protocol.
const (
	messageQuery   = 'Q'
	messageExecute = 'E'
)

// pass passes the program's messages on. The first has a length and no type, all others a type first.
func (t *tally) pass(program io.Reader, server io.Writer) {
	const typeAndLength = 5
	header := make([]byte, typeAndLength)
	first := true
	for {
		head := header
		if first {
			head = header[1:]
		}
		if _, err := io.ReadFull(program, head); err != nil {
			return
		}
		if !first && (header[0] == messageQuery || header[0] == messageExecute) {
			t.statements.Add(1)
		}
		first = false
		rest := int64(binary.BigEndian.Uint32(header[1:])) - 4 // the length counts itself
		if _, err := server.Write(head); err != nil {
			return
		}
		if _, err := io.CopyN(server, program, rest); err != nil {
			return
		}
	}
}
