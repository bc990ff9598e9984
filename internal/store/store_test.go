package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/internal/store"
)

const chunk = 512 << 10

// openStores opens the stores of a test on its own database.
func openStores(t testing.TB, url string) *store.Stores {
	t.Helper()
	stores, err := store.Open(t.Context(), url, pgtest.Pool(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stores.Close(); err != nil {
			t.Error(err)
		}
	})
	return stores
}

// eachStore runs a rule on every store there is.
func eachStore(t *testing.T, rule func(t *testing.T, s *store.Stores)) {
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		rule(t, openStores(t, "postgres:"))
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		rule(t, openStores(t, "file://"+filepath.Join(t.TempDir(), "store")))
	})
}

// content is a text of so many bytes in which no two places look alike.
func content(length int) []byte {
	var text bytes.Buffer
	for n := 0; text.Len() < length; n++ {
		fmt.Fprintf(&text, "%d,", n)
	}
	return text.Bytes()[:length]
}

func put(t testing.TB, s *store.Stores, path string, content []byte) string {
	t.Helper()
	location, length, err := s.Put(t.Context(), path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if length != int64(len(content)) || location != s.Location(path) {
		t.Errorf("Put answers %s of %d bytes, want %s of %d", location, length, s.Location(path), len(content))
	}
	return location
}

func read(t testing.TB, s *store.Stores, location string, offset int64) []byte {
	t.Helper()
	object, err := s.Open(t.Context(), location, offset)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(object)
	if err = errors.Join(err, object.Close()); err != nil {
		t.Fatal(err)
	}
	return got
}

// paths lists every object of the store.
func paths(t testing.TB, s *store.Stores) []string {
	t.Helper()
	var found []string
	for after := ""; ; {
		page, err := s.List(t.Context(), s.Name(), after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page {
			found = append(found, object.Path)
		}
		if len(page) < 3 {
			return found
		}
		after = page[len(page)-1].Path
	}
}

func TestWhatIsPutIsReadFromAnyByteOn(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		for _, length := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 7} {
			want := content(length)
			location := put(t, s, fmt.Sprintf("sizes/%d", length), want)
			for _, offset := range []int{0, 1, chunk - 1, chunk, chunk + 1, length - 1, length, length + 1, length + 5*chunk} {
				if offset < 0 {
					continue
				}
				if got := read(t, s, location, int64(offset)); !bytes.Equal(got, want[min(offset, length):]) {
					t.Errorf("of %d bytes, from %d on: %d bytes that differ from what was put", length, offset, len(got))
				}
			}
		}
		if _, err := s.Open(t.Context(), s.Location("sizes/1"), -1); err == nil {
			t.Error("an offset below zero was accepted")
		}
	})
}

func TestReaderAnswersInAnyPieces(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		want := content(2*chunk + 100)
		object, err := s.Open(t.Context(), put(t, s, "a", want), chunk-10)
		if err != nil {
			t.Fatal(err)
		}
		defer object.Close()
		if err := iotest.TestReader(object, want[chunk-10:]); err != nil {
			t.Error(err)
		}
	})
}

func TestAReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		ctx, cancel := context.WithCancel(t.Context())
		object, err := s.Open(ctx, put(t, s, "a", content(3*chunk)), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer object.Close()
		cancel()
		if _, err := io.Copy(io.Discard, object); !errors.Is(err, context.Canceled) {
			t.Errorf("reading answers %v, want that it was cancelled", err)
		}
	})
}

func TestBadPathsAreRefused(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		for name, path := range map[string]string{
			"empty":                 "",
			"upwards":               "..",
			"upwards within":        "a/../b",
			"here":                  "a/./b",
			"absolute":              "/etc/passwd",
			"a folder":              "a/",
			"two slashes":           "a//b",
			"hidden":                "a/.b",
			"NUL":                   "a\x00b",
			"a line break":          "a\nb",
			"a backslash":           `a\b`,
			"not UTF-8":             "a\xff",
			"too long":              strings.Repeat("long/", 200) + "a",
			"a name that is longer": strings.Repeat("a", 256),
		} {
			if _, _, err := s.Put(t.Context(), path, strings.NewReader("x")); !errors.Is(err, store.ErrBadPath) {
				t.Errorf("%s: Put answers %v, want ErrBadPath", name, err)
			}
			if _, err := s.Open(t.Context(), s.Location(path), 0); !errors.Is(err, store.ErrBadPath) {
				t.Errorf("%s: Open answers %v, want ErrBadPath", name, err)
			}
			if err := s.Delete(t.Context(), s.Location(path)); !errors.Is(err, store.ErrBadPath) {
				t.Errorf("%s: Delete answers %v, want ErrBadPath", name, err)
			}
		}
		put(t, s, strings.Repeat("long/", 179)+"a", []byte("x"))
		put(t, s, strings.Repeat("a", 255), []byte("x"))
		put(t, s, "größe/ein Bericht (1).csv", []byte("x"))
	})
}

func TestDeletingTwiceIsNoError(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		location := put(t, s, "reports/1/a", content(2*chunk))
		put(t, s, "reports/2/a", []byte("stays"))
		for range 2 {
			if err := s.Delete(t.Context(), location); err != nil {
				t.Error(err)
			}
		}
		for _, absent := range []string{"reports/1", "reports", "none/at/all"} {
			if err := s.Delete(t.Context(), s.Location(absent)); err != nil {
				t.Errorf("delete %s, which is no object: %v", absent, err)
			}
		}
		if _, err := s.Open(t.Context(), location, 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Open answers %v, want ErrNotFound", err)
		}
		if left := paths(t, s); !slices.Equal(left, []string{"reports/2/a"}) {
			t.Errorf("left: %v", left)
		}
	})
}

func TestListIsInOrderOfPathsAndHasPages(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		want := []string{"B", "a", "a-b", "a.b", "b-c", "b/1", "b/10/x", "b/2", "b0", "c/d/e/f", "é"}
		for _, path := range slices.Backward(want) {
			put(t, s, path, content(len(path)))
		}
		if got := paths(t, s); !slices.Equal(got, want) {
			t.Errorf("listed %q, want %q", got, want)
		}
		page, err := s.List(t.Context(), s.Name(), "b/10/x", 2)
		if err != nil || len(page) != 2 || page[0].Path != "b/2" || page[0].Bytes != 3 || time.Since(page[0].ModifiedAt).Abs() > time.Hour {
			t.Errorf("the page after b/10/x is %v (%v)", page, err)
		}
	})
}

func TestLocationsOfAnotherStore(t *testing.T) {
	t.Parallel()
	files := openStores(t, "file://"+t.TempDir())
	inFiles := put(t, files, "a", []byte("in files"))
	rows := openStores(t, "postgres:")
	inRows := put(t, rows, "a", []byte("in rows"))
	if got := read(t, files, inRows, 0); string(got) != "in rows" {
		t.Errorf("a process with files reads %q from the database", got)
	}
	if _, err := rows.Open(t.Context(), inFiles, 0); !errors.Is(err, store.ErrNoStore) || !strings.Contains(err.Error(), "--store") {
		t.Errorf("Open answers %v, want ErrNoStore and the flag", err)
	}
	if err := rows.Delete(t.Context(), inFiles); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("Delete answers %v, want ErrNoStore", err)
	}
	if _, err := files.Open(t.Context(), "s3:bucket/a", 0); !errors.Is(err, store.ErrBadPath) {
		t.Errorf("Open of an unknown store answers %v, want ErrBadPath", err)
	}
}
