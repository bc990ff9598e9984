package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/internal/store"
)

func TestPutAndDeleteInOneFolderAtOnce(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Stores) {
		var together sync.WaitGroup
		for writer := range 4 {
			together.Go(func() {
				for n := range 50 {
					location, _, err := s.Put(t.Context(), fmt.Sprintf("shared/folder/%d-%d", writer, n), strings.NewReader("x"))
					if err == nil {
						err = s.Delete(t.Context(), location)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		together.Wait()
		if left := paths(t, s); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestAFolderGoesWithItsLastObject(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStores(t, "file://"+root)
	first, last := put(t, s, "reports/1/a", nil), put(t, s, "reports/1/parts/b", nil)
	put(t, s, "reports/2/a", nil)
	for _, step := range []struct{ delete, gone, stays string }{{first, "reports/1/a", "reports/1/parts"}, {last, "reports/1", "reports/2"}} {
		if err := s.Delete(t.Context(), step.delete); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(root, step.gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("without %s %s is left (%v)", step.delete, step.gone, err)
		}
		if _, err := os.Lstat(filepath.Join(root, step.stays)); err != nil {
			t.Errorf("without %s: %v", step.delete, err)
		}
	}
}

// What is looked through in pieces is all looked at, and each place once.
func TestUnfinishedObjectsAreRemovedInRanges(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStores(t, "file://"+root)
	for _, path := range []string{"a/1", "b", "c/d/e"} {
		put(t, s, path, nil)
	}
	for _, folder := range []string{"", "a", "c", "c/d"} {
		if err := os.WriteFile(filepath.Join(root, folder, ".unfinished-X"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, piece := range []struct {
		after, upTo string
		want        int
	}{{"a/1", "b", 0}, {"b", "c/d/e", 2}, {"b", "", 0}, {"", "a/1", 2}, {"", "", 0}} {
		if n, err := s.RemoveUnfinished(t.Context(), "file", piece.after, piece.upTo, time.Now().Add(time.Hour)); err != nil || n != piece.want {
			t.Errorf("after %q up to %q: %d were removed (%v), want %d", piece.after, piece.upTo, n, err, piece.want)
		}
	}
}

func TestNoLinkIsFollowed(t *testing.T) {
	t.Parallel()
	outside, root := t.TempDir(), t.TempDir()
	s := openStores(t, "file://"+root)
	put(t, s, "real/a", []byte("ours"))
	secret := filepath.Join(outside, "secret")
	links := map[string]string{"out": outside, "in": filepath.Join(root, "real"), "relative": "real", "real/link": secret, "real/inner": "a"}
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"out/secret", "out/new", "in/a", "relative/a", "real/link", "real/inner"} {
		if object, err := s.Open(t.Context(), "file:"+path, 0); err == nil {
			object.Close()
			t.Errorf("%s was opened", path)
		}
		if err := s.Delete(t.Context(), "file:"+path); err != nil {
			t.Errorf("delete %s: %v", path, err)
		}
		if _, _, err := s.Put(t.Context(), path, strings.NewReader("x")); err == nil {
			t.Errorf("%s was put", path)
		}
	}
	if got := paths(t, s); !slices.Equal(got, []string{"real/a"}) {
		t.Errorf("listed %v, want what is no link", got)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "secret" {
		t.Errorf("the file outside holds %q (%v)", text, err)
	}
	for name := range links {
		if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
			t.Errorf("link %s: %v", name, err)
		}
	}
}

func TestUnfinishedObjectsAreRemovedOnceTheyAreOld(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStores(t, "file://"+root)
	put(t, s, "reports/1/a", []byte("whole"))
	old := time.Now().Add(-2 * time.Hour)
	for name, at := range map[string]time.Time{".unfinished-OLD": old, ".unfinished-YOUNG": time.Now(), ".other": old} {
		path := filepath.Join(root, "reports/1", name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := s.RemoveUnfinished(t.Context(), "file", "", "", time.Now().Add(-time.Hour)); err != nil || removed != 1 {
		t.Errorf("removed %d (%v), want the old one", removed, err)
	}
	if _, err := os.Lstat(filepath.Join(root, "reports/1/.unfinished-OLD")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old one: %v", err)
	}
	if got := paths(t, s); !slices.Equal(got, []string{"reports/1/a"}) {
		t.Errorf("listed %v", got)
	}
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign, file, link := filepath.Join(dir, "foreign"), filepath.Join(dir, "file"), filepath.Join(dir, "link")
	err := errors.Join(os.MkdirAll(filepath.Join(foreign, "photos"), 0o700), os.WriteFile(file, nil, 0o600), os.Symlink(foreign, link))
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t)
	for _, tc := range []struct{ rule, url, want string }{
		{"no scheme", "/var/lib/backoffice", "names no store"},
		{"nothing", "", "names no store"},
		{"another scheme", "s3://bucket", "names no store"},
		{"a relative path", "file:store", "names no store"},
		{"a host", "file://store/reports", "names no store"},
		{"more than postgres:", "postgres://localhost/backoffice", "names no store"},
		{"a symbolic link", "file://" + link, "is a symbolic link"},
		{"a file", "file://" + file, "no directory"},
		{"a directory of somebody's files", "file://" + foreign, "holds other files (photos)"},
		{"a place where none can be made", "file://" + file + "/store", "cannot be used"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			_, err := store.Open(t.Context(), tc.url, pool)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "--store ") {
				t.Errorf("answers %v, want --store and %q", err, tc.want)
			}
		})
	}
}

func TestOpenRefusesTheDirectoryOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	url := "file://" + t.TempDir() + "/store"
	pool := pgtest.Pool(t)
	for range 2 { // its own, again
		s, err := store.Open(t.Context(), url, pool)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := pool.Exec(t.Context(), `update store_identity set id = gen_random_uuid()`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), url, pool); err == nil || !strings.Contains(err.Error(), "belongs to another database") {
		t.Errorf("another database is answered %v", err)
	}
}

func TestOpenMakesADirectoryOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new dir", "store")
	url := "file://" + strings.ReplaceAll(dir, " ", "%20")
	pool := pgtest.Pool(t)
	var together sync.WaitGroup
	for n := range 8 {
		together.Go(func() {
			s, err := store.Open(t.Context(), url, pool)
			if err == nil {
				_, _, err = s.Put(t.Context(), fmt.Sprint("by/", n), strings.NewReader("x"))
				err = errors.Join(err, s.Close())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	seen, err := os.Stat(dir)
	if err != nil || seen.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v (%v), want one for its owner only", seen, err)
	}
	if got := paths(t, openStores(t, url)); len(got) != 8 {
		t.Errorf("%d objects, want 8: %v", len(got), got)
	}
}
