package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"backoffice/internal/store"
)

func TestAnObjectIsNeverReplaced(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		location := put(t, s, "reports/1/a", []byte("first"))
		if _, _, err := s.Put(t.Context(), "reports/1/a", strings.NewReader("second")); !errors.Is(err, store.ErrExists) {
			t.Errorf("the second Put answers %v, want ErrExists", err)
		}
		if got := read(t, s, location, 0); string(got) != "first" {
			t.Errorf("the object is %q now", got)
		}
	})
}

func TestOfManyThatPutOnePathOneWins(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		const writers = 8
		var won atomic.Int64
		var together sync.WaitGroup
		for n := range writers {
			together.Go(func() {
				_, _, err := s.Put(t.Context(), "contested", bytes.NewReader(bytes.Repeat([]byte{byte('a' + n)}, chunk+1)))
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, store.ErrExists):
					t.Error(err)
				}
			})
		}
		together.Wait()
		got := read(t, s, s.Location("contested"), 0)
		if won.Load() != 1 || len(got) != chunk+1 || !bytes.Equal(got, bytes.Repeat(got[:1], chunk+1)) {
			t.Errorf("%d writers won, and the object has %d bytes of several", won.Load(), len(got))
		}
	})
}

func TestAPutThatDoesNotEndLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	eachStore(t, func(t *testing.T, s *store.Stores) {
		failing := io.MultiReader(bytes.NewReader(content(2*chunk)), iotest.ErrReader(broken))
		if _, _, err := s.Put(t.Context(), "reports/1/failing", failing); !errors.Is(err, broken) {
			t.Errorf("Put answers %v, want the reader's own error", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancelling := io.MultiReader(bytes.NewReader(content(chunk)), readerFunc(func(p []byte) (int, error) {
			cancel()
			return copy(p, "more"), nil
		}))
		if _, _, err := s.Put(ctx, "reports/1/cancelled", cancelling); !errors.Is(err, context.Canceled) {
			t.Errorf("Put answers %v, want that it was cancelled", err)
		}
		if left := paths(t, s); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if removed, err := s.RemoveUnfinished(t.Context(), s.Name(), "", "", time.Now().Add(time.Hour)); err != nil || removed > 0 {
			t.Errorf("%d unfinished objects were left (%v)", removed, err)
		}
		for _, path := range []string{"reports/1/failing", "reports/1/cancelled"} {
			if _, err := s.Open(t.Context(), s.Location(path), 0); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Open of %s answers %v, want ErrNotFound", path, err)
			}
			put(t, s, path, []byte("again"))
		}
	})
}

type readerFunc func([]byte) (int, error)

func (read readerFunc) Read(p []byte) (int, error) { return read(p) }
