package store_test

import (
	"bytes"
	"errors"
	"slices"
	"syscall"
	"testing"
)

// fullDisk mounts a small file system, where that is permitted.
func fullDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	t.Parallel()
	s := openStores(t, "file://"+fullDisk(t))
	if _, _, err := s.Put(t.Context(), "reports/1/a", bytes.NewReader(content(2<<20))); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put answers %v, want that the disk is full", err)
	}
	put(t, s, "reports/1/b", content(chunk)) // what was half written is gone
	if got := paths(t, s); !slices.Equal(got, []string{"reports/1/b"}) {
		t.Errorf("left: %v", got)
	}
}
