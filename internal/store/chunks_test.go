package store_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/internal/store"
)

func TestAnObjectDeletedWhileItIsReadIsNeverCutShort(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		want := content(4 * chunk)
		location := put(t, s, "a", want)
		object, err := s.Open(t.Context(), location, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer object.Close()
		begun := make([]byte, 10)
		if _, err := io.ReadFull(object, begun); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), location); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(object)
		if err == nil && !bytes.Equal(append(begun, rest...), want) {
			t.Errorf("%d bytes were read without an error, want all %d or an error", len(rest), len(want))
		}
	})
}

// An object with a hole in it is none, and is not read as a shorter one.
func TestAMissingChunkIsNoticed(t *testing.T) {
	t.Parallel()
	s := openStores(t, "postgres:")
	for missing := range 3 {
		object, err := s.Open(t.Context(), put(t, s, fmt.Sprint("a/", missing), content(3*chunk)), 0)
		if err == nil {
			defer object.Close() //nolint:errcheck // a test's
			_, err = pgtest.Pool(t).Exec(t.Context(), `delete from stored_chunks where path = $1 and n = $2`, fmt.Sprint("a/", missing), missing)
		}
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, object); err == nil || n != int64(missing)*chunk {
			t.Errorf("without chunk %d: %d bytes were read, and %v", missing, n, err)
		}
	}
}

func TestPostgresPutOfManyChunksHoldsNoTransactionWhileItIsRead(t *testing.T) {
	t.Parallel()
	s := openStores(t, "postgres:")
	object, err := s.Open(t.Context(), put(t, s, "a", content(3*chunk)), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	if _, err := io.ReadFull(object, make([]byte, chunk+1)); err != nil {
		t.Fatal(err)
	}
	var held int
	err = pgtest.Pool(t).QueryRow(t.Context(), `
		select count(*) from pg_stat_activity
		 where datname = current_database() and pid <> pg_backend_pid() and (backend_xmin is not null or state like 'idle in%')`).Scan(&held)
	if err != nil || held != 0 {
		t.Errorf("%d sessions hold a snapshot or a transaction (%v)", held, err)
	}
}
