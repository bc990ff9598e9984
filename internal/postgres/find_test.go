package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindBinaries(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	install := func(dir string, major int) string {
		dir = filepath.Join(base, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %d.3 (Some 1)'\n", major)
		for _, program := range []string{"postgres", "initdb"} {
			if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	nine, fifteen, seventeen := install("v/9/bin", 9), install("v/15/bin", 15), install("v/17/bin", 17)
	half := install("half", 16)
	if err := os.Remove(filepath.Join(half, "initdb")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		rule   string
		places []string
		major  int
		want   string
	}{
		{"of several versions the newest by number", []string{filepath.Join(base, "v/*/bin")}, 0, seventeen},
		{"the version that made the data, if it is installed", []string{filepath.Join(base, "v/*/bin")}, 15, fifteen},
		{"else the first found, for the refusal to name", []string{filepath.Join(base, "v/*/bin")}, 16, seventeen},
		{"an earlier place wins", []string{nine, seventeen}, 0, nine},
		{"a place without initdb does not count", []string{half, fifteen}, 0, fifteen},
		{"a place that is not there does not count", []string{filepath.Join(base, "none"), fifteen}, 0, fifteen},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			found, ok := pick(t.Context(), expand(tc.places), tc.major)
			if diff := cmp.Diff(tc.want, found.dir); diff != "" || !ok {
				t.Error(diff)
			}
		})
	}
}

func TestNoBinariesNamesPlacesAndCures(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	_, err := findBinaries(t.Context(), empty, 0)
	if !errors.Is(err, ErrNoBinaries) || !strings.Contains(err.Error(), empty) || !strings.Contains(err.Error(), "BACKOFFICE_PG_BIN") {
		t.Errorf("a named directory: %v", err)
	}
	err = nothingInstalled([]string{"/some/place", "/another/place"})
	if !errors.Is(err, ErrNoBinaries) {
		t.Errorf("nothing installed: %v, want ErrNoBinaries", err)
	}
	for _, want := range []string{"/some/place", "/another/place", "$PATH",
		"apt-get install -y postgresql", "brew install", "DATABASE_URL=", "BACKOFFICE_PG_BIN=", "docker compose up"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}
