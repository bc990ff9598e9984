package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// startProfiles begins a CPU profile in dir, which must exist. The function it returns ends it and adds
// a profile of all allocations since the program began; both are for `go tool pprof`. Their names end
// with the process id, so that several processes may share the folder.
func startProfiles(dir string) (stop func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	cpu, err := os.Create(profilePath(dir, "cpu"))
	if err != nil {
		return nil, fmt.Errorf("--profile: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("--profile: %w", err), cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return errors.Join(cpu.Close(), writeAllocations(profilePath(dir, "allocs")))
	}, nil
}

func profilePath(dir, name string) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", name, os.Getpid()))
}

func writeAllocations(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
