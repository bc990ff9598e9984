package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module      = "backoffice/"
	riverModule = "github.com/riverqueue/river"
)

// house says which packages of ours and of River's a package may import; a path ending in /... covers
// what lies below it. Whoever adds a package adds its line.
var house = []struct {
	from string
	may  []string
}{
	{"cmd/backoffice", []string{"jobs", "workers", "periodic", "migrations", "internal/...", riverModule, riverModule + "/rivertype"}},
	{"jobs", []string{riverModule, riverModule + "/rivertype"}},
	{"workers", []string{"jobs", "periodic", "internal/order", "internal/report", "internal/cleanup", "internal/event", "internal/notify",
		"internal/queue", "internal/store", "internal/postgres", "internal/telemetry", riverModule, riverModule + "/rivertype"}},
	{"periodic", []string{"jobs", "internal/postgres", riverModule}},
	{"migrations", []string{riverModule + "/rivermigrate", riverModule + "/riverdriver/riverpgxv5"}},
	{"internal/order", []string{"jobs", "internal/store", "internal/postgres"}},
	{"internal/order/importer", []string{"jobs", "internal/store", "internal/postgres", "internal/order"}},
	{"internal/report", []string{"jobs", "internal/report/render", "internal/store", "internal/postgres"}},
	{"internal/report/render", nil},
	{"internal/cleanup", []string{"jobs", "internal/store", "internal/postgres"}},
	{"internal/event", []string{"jobs", "internal/store", "internal/postgres"}},
	{"internal/notify", []string{"jobs", "internal/store", "internal/postgres"}},
	{"internal/store", []string{"internal/postgres"}},
	{"internal/queue", []string{"jobs", "internal/postgres", riverModule, riverModule + "/rivertype",
		riverModule + "/riverdriver", riverModule + "/riverdriver/riverpgxv5", riverModule + "/rivershared/..."}},
	{"internal/api", []string{"jobs", "periodic", "internal/audit", "internal/order", "internal/report", "internal/report/render", "internal/cleanup", "internal/event", "internal/notify",
		"internal/queue", "internal/store", "internal/verify", "internal/postgres", "internal/telemetry"}},
	{"internal/audit", []string{"internal/postgres"}},
	{"internal/verify", []string{"jobs", "periodic", "internal/order", "internal/report", "internal/cleanup", "internal/event", "internal/notify",
		"internal/queue", "internal/store", "internal/postgres", "internal/telemetry"}},
	{"internal/bench", []string{"jobs", "migrations", "internal/order", "internal/order/importer", "internal/report", "internal/cleanup", "internal/event",
		"internal/notify", "internal/queue", "internal/store", "internal/postgres", "internal/telemetry", "internal/verify",
		riverModule, riverModule + "/rivertype", riverModule + "/riverdriver/riverpgxv5"}}, // stock River is what it measures against
	{"internal/pgtest", []string{"migrations", "internal/postgres"}},
	{"internal/audit", []string{"internal/postgres"}},
	{"internal/postgres", nil},
	{"internal/telemetry", nil},
}

// Other libraries are free, except where another service imports the package to enqueue.
const leanPackage = "jobs"

var leanMay = []string{"github.com/jackc/pgx/v5", riverModule, riverModule + "/rivertype"}

// testOnly is imported by nothing that ships.
const testOnly = module + "internal/pgtest"

func TestPackagesImportOnlyWhatTheHouseAllows(t *testing.T) {
	t.Parallel()
	for _, pkg := range listPackages(t) {
		name := strings.TrimPrefix(pkg.ImportPath, module)
		at := slices.IndexFunc(house, func(room struct {
			from string
			may  []string
		}) bool {
			return room.from == name
		})
		if at < 0 {
			t.Errorf("package %s has no line in the table of this test", name)
			continue
		}
		for _, imported := range pkg.Imports {
			own, ours := strings.CutPrefix(imported, module)
			rivers := imported == riverModule || strings.HasPrefix(imported, riverModule+"/")
			switch {
			case imported == testOnly:
				t.Errorf("%s imports %s outside of a test", name, imported)
			case (ours || rivers) && !permits(house[at].may, own):
				t.Errorf("%s imports %s; the table of this test does not allow it", name, imported)
			case name == leanPackage && !ours && !isStandard(imported) && !permits(leanMay, imported):
				t.Errorf("%s imports %s; another service that enqueues would have to compile it too", name, imported)
			}
		}
	}
}

func permits(may []string, path string) bool {
	return slices.ContainsFunc(may, func(allowed string) bool {
		tree, whole := strings.CutSuffix(allowed, "...")
		return path == allowed || whole && strings.HasPrefix(path, tree)
	})
}

// isStandard tells the standard library by its first path element, which is no host name.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func TestTopLevelHoldsOnlyTheFoldersOfTheHouse(t *testing.T) {
	t.Parallel()
	folders := []string{"cmd", "jobs", "workers", "periodic", "migrations", "internal", "docs", "dist"} // dist: build output, ignored by git
	entries, err := os.ReadDir(moduleRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") && !slices.Contains(folders, entry.Name()) {
			t.Errorf("folder %s stands at the top; only %s may", entry.Name(), strings.Join(folders, ", "))
		}
	}
}

// listedPackage is what the test reads of go list.
type listedPackage struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	list.Dir = moduleRoot(t)
	var complaints bytes.Buffer
	list.Stderr = &complaints
	listed, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, complaints.String())
	}
	var packages []listedPackage
	for dec := json.NewDecoder(bytes.NewReader(listed)); ; {
		var pkg listedPackage
		err := dec.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages = append(packages, pkg)
	}
	if len(packages) == 0 {
		t.Fatal("go list names no packages")
	}
	return packages
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return root
}
