package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// problemListener makes problems of what net/http answers by itself, before any handler is asked: of a
// request that is not HTTP, or whose headers are too long.
type problemListener struct{ net.Listener }

func (l problemListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return problemConn{tcp}, err
	}
	return conn, err
}

// problemConn keeps the other methods of a TCP connection, for which net/http asks.
type problemConn struct{ *net.TCPConn }

// ownAnswer is what net/http puts between status and text of an answer of its own. It writes all three at
// once; an answer of a handler has other headers before these.
const ownAnswer = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// ownLongest is more than any of these answers takes. A piece of a download may hold the same text.
const ownLongest = 512

func (c problemConn) Write(data []byte) (int, error) {
	if len(data) > ownLongest || !bytes.HasPrefix(data, []byte("HTTP/1.1 ")) {
		return c.TCPConn.Write(data)
	}
	line, text, own := bytes.Cut(data, []byte(ownAnswer))
	unexpected := bytes.HasPrefix(data, []byte("HTTP/1.1 417 ")) // which no handler answers
	if !unexpected && (!own || bytes.Contains(line, []byte("\r\n"))) {
		return c.TCPConn.Write(data)
	}
	status, err := strconv.Atoi(string(data[len("HTTP/1.1 "):][:3]))
	if err != nil {
		return c.TCPConn.Write(data)
	}
	if _, err := c.TCPConn.Write(plainProblem(status, string(text))); err != nil {
		return 0, err
	}
	return len(data), nil
}

// plainProblem is a whole answer.
func plainProblem(status int, text string) []byte {
	p := &huma.ErrorModel{Status: status, Title: title(status)}
	_, why, _ := strings.Cut(text, ": ")
	switch {
	case status == http.StatusRequestHeaderFieldsTooLarge:
		p.Detail = fmt.Sprintf("the request line and the headers are larger than %d bytes together; send less", headerBytes)
	case status == http.StatusExpectationFailed:
		p.Detail = "the header Expect can only be 100-continue"
	case why != "":
		p.Detail = "the request is not HTTP as it is understood here: " + why
	default:
		p.Detail = "the request is not HTTP as it is understood here"
	}
	body, _ := json.Marshal(p) // numbers and strings: it cannot fail
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		status, p.Title, problemType, len(body)+1, body)
}
