package postgres

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// maxLogBytes is the size at which a start puts the log aside, replacing the one before.
const maxLogBytes = 8 << 20

// serverLog is the file the server writes to. What stands behind begin belongs to this start.
type serverLog struct {
	*os.File
	begin int64
}

func openLog(path string) (*serverLog, error) {
	if stat, err := os.Lstat(path); err == nil && stat.Size() > maxLogBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	stat, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &serverLog{File: file, begin: stat.Size()}, nil
}

// whyEnded finds in the log why the server ended during its start.
func (l *serverLog) whyEnded(port int) error {
	text, err := io.ReadAll(io.NewSectionReader(l.File, l.begin, 1<<20))
	if err != nil {
		return err
	}
	if strings.Contains(string(text), "could not bind IPv4 address") && strings.Contains(string(text), "Address already in use") {
		return fmt.Errorf("port %d of 127.0.0.1 is taken by another program; choose another --pg-port", port)
	}
	cause := "it ended without a word"
	for line := range strings.Lines(string(text)) {
		if _, message, found := strings.Cut(line, "FATAL:  "); found {
			cause = strings.TrimSpace(message)
		}
	}
	return fmt.Errorf("%s; its log is %s", cause, l.Name())
}
