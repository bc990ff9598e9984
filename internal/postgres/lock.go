package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrHeld means that another program runs the server of this directory.
var ErrHeld = errors.New("directory is in use")

// lockPatience outlasts the moment for which RunningURL of another command holds the lock.
const lockPatience = 500 * time.Millisecond

// dirLock is held by the one program that runs the server of a directory, from before the server
// starts until after it has ended. The kernel frees it when the program dies, however it dies; the
// server does not inherit it.
type dirLock struct{ file *os.File }

// holder is what the lock file tells others.
type holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	URL   string    `json:"url,omitempty"` // of the server's database, once it answers
}

func lockDir(ctx context.Context, dir string) (*dirLock, error) {
	file, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, unusable(dir, err)
	}
	deadline := time.Now().Add(lockPatience)
	for {
		err = flock(file, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) || pause(ctx, 20*time.Millisecond) != nil {
			break
		}
	}
	if err == nil {
		lock := &dirLock{file: file}
		return lock, lock.write(holder{PID: os.Getpid(), Since: now()})
	}
	defer file.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock directory %s: %w", dir, err)
	}
	h, err := readHolder(file)
	if err != nil {
		return nil, fmt.Errorf("--data-dir %s: %w by another process; stop that one, or name another directory", dir, ErrHeld)
	}
	return nil, heldBy(dir, h)
}

func heldBy(dir string, h holder) error {
	return fmt.Errorf("--data-dir %s: %w by process %d since %s; stop that one, or name another directory",
		dir, ErrHeld, h.PID, h.Since.Format("2006-01-02 15:04:05 MST"))
}

// announce tells other commands where the server answers.
func (l *dirLock) announce(url string) error {
	h, err := readHolder(l.file)
	if err != nil {
		return err
	}
	h.URL = url
	return l.write(h)
}

func (l *dirLock) write(h holder) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if _, err := l.file.WriteAt(text, 0); err != nil { // at once: others may be reading
		return err
	}
	return l.file.Truncate(int64(len(text)))
}

// release frees the directory. Closing the file can fail only when it was released before.
func (l *dirLock) release() { _ = l.file.Close() }

// runningHolder answers who holds dir. The directory of another user, or none, is held by nobody.
func runningHolder(dir string) (holder, bool) {
	file, err := os.OpenFile(lockPath(dir), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return holder{}, false
	}
	defer file.Close() // frees the lock, had we got it
	if err := flock(file, syscall.LOCK_SH); !errors.Is(err, syscall.EWOULDBLOCK) {
		return holder{}, false
	}
	h, err := readHolder(file)
	return h, err == nil
}

// wasHeld says whether somebody has ever run the server of dir: the lock file stays.
func wasHeld(dir string) bool {
	file, err := os.OpenFile(lockPath(dir), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	h, err := readHolder(file)
	return err == nil && h.PID > 0
}

func readHolder(file *os.File) (holder, error) {
	var h holder
	return h, json.NewDecoder(io.NewSectionReader(file, 0, 4096)).Decode(&h)
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func lockPath(dir string) string { return filepath.Join(dir, "lock") }

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
