//go:build !linux

package postgres

import "context"

// endLeftovers does nothing where processes cannot be found by their directory: the start then waits
// for the children of a killed server to end by themselves.
func endLeftovers(context.Context, string) error { return nil }
