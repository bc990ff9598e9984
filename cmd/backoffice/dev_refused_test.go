package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestDevRefusesAnAddressThatItCannotHave(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := devDir(t)
	refused(t, backoffice(t, "dev", "--data-dir", dir, "--addr", taken.Addr().String()), exitFailed, "--addr", taken.Addr().String(), "in use")
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("a refused dev has made %v %v", made, err)
	}
	refused(t, backoffice(t, "dev", "--data-dir", dir, "--addr", "0.0.0.0:0"), exitFailed, "no API key yet", "BACKOFFICE_API_KEY")
}

// What is wrong already when it is typed leaves no trace.
func TestDevMakesNothingForSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		flags []string
		code  int
		words []string
	}{
		{[]string{"--timezone", "Mars/Base"}, exitUsage, []string{"--timezone", "Mars/Base"}},
		{[]string{"--store", "s3://bucket"}, exitUsage, []string{`--store "s3://bucket"`, "file:///"}},
		{[]string{"--addr", "foo"}, exitUsage, []string{`--addr "foo" is no address`}},
		{[]string{"--api-key", "short"}, exitUsage, []string{"API key", "openssl rand"}},
		{[]string{"--pg-bin", "/nope"}, exitFailed, []string{"/nope", "initdb"}},
	} {
		t.Run(tc.flags[0], func(t *testing.T) {
			t.Parallel()
			dir := devDir(t)
			refused(t, backoffice(t, append([]string{"dev", "--data-dir", dir}, tc.flags...)...), tc.code, tc.words...)
			if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
				t.Errorf("a refused dev has made %v %v", made, err)
			}
		})
	}
}

func TestDevTakesNoDirectoryThatItCannotHave(t *testing.T) {
	t.Parallel()
	t.Run("somebody keeps other things in it", func(t *testing.T) {
		t.Parallel()
		dir := devDir(t)
		if err := os.Mkdir(filepath.Join(dir, ".git"), 0o700); err != nil {
			t.Fatal(err)
		}
		refused(t, backoffice(t, "dev", "--data-dir", dir), exitUsage, "--data-dir "+dir, `".git"`, "empty")
		if kept := entries(t, dir); fmt.Sprint(kept) != "[.git]" {
			t.Errorf("the directory holds %v", kept)
		}
	})
	t.Run("it was its own, and the data is gone", func(t *testing.T) {
		t.Parallel()
		dir := devDir(t)
		for name, text := range map[string]string{"notes": "mine", "lock": `{"pid":4711,"since":"2026-01-01T00:00:00Z"}`} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		startDev(t, dir, "in a browser")
	})
	for _, path := range []string{"/dev/null/pg", "/etc/hosts"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			refused(t, backoffice(t, "dev", "--data-dir", path, "--addr", "127.0.0.1:0"), exitFailed, "--data-dir "+path+" cannot be made or written", "name another directory")
		})
	}
}

// Nobody is told that all is well before it is.
func TestDevRefusesWhatItsWorkerCannotUse(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	others := t.TempDir()
	if err := os.WriteFile(filepath.Join(others, "somebody-elses"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := backoffice(t, "dev", "--data-dir", dir, "--store", "file://"+others)
	refused(t, r, exitFailed, "--store", others)
	if r.stdout != "" {
		t.Errorf("it has said %q", r.stdout)
	}
}
