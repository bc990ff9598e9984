package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// wire sends requests byte for byte, also such as no client library would send, over one connection for
// as long as the server keeps it.
type wire struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

// wireLimit ends a wait for an answer that does not come.
const wireLimit = 60 * time.Second

// send writes a request and reads its answer. A request that ends early closes its sending side.
func (w *wire) send(method, text string, endsEarly bool) (answer, error) {
	fresh := w.conn == nil
	got, err := w.exchange(method, text, endsEarly)
	if err != nil && !fresh && !isTimeout(err) { // the server has closed the connection after the answer before
		w.close()
		got, err = w.exchange(method, text, endsEarly)
	}
	if err != nil || endsEarly {
		w.close()
	}
	return got, err
}

func isTimeout(err error) bool {
	network, ok := err.(net.Error)
	return ok && network.Timeout()
}

func (w *wire) exchange(method, text string, endsEarly bool) (answer, error) {
	if w.conn == nil {
		conn, err := net.Dial("tcp", w.address)
		if err != nil {
			return answer{}, err
		}
		w.conn, w.reader = conn, bufio.NewReader(conn)
	}
	if err := w.conn.SetDeadline(time.Now().Add(wireLimit)); err != nil {
		return answer{}, err
	}
	written := make(chan error, 1)
	conn := w.conn // close forgets it
	go func() {    // the server may answer before it has read everything
		_, err := io.WriteString(conn, text)
		if err == nil && endsEarly {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		written <- err
	}()
	response, err := http.ReadResponse(w.reader, &http.Request{Method: method})
	for err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(w.reader, &http.Request{Method: method})
	}
	if err != nil {
		w.close()
		<-written
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if response.Close || err != nil {
		w.close()
	}
	if failed := <-written; failed != nil {
		w.close() // refused before it was read to its end
	}
	if err != nil && !strings.Contains(err.Error(), "reset by peer") {
		return answer{}, fmt.Errorf("read body of answer: %w", err)
	}
	return answer{response.StatusCode, response.Header, string(body)}, nil
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}
