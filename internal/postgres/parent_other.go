//go:build !linux

package postgres

import "syscall"

// endWithParent has no counterpart outside Linux: after kill -9 of our program the server lives on
// until the next start finds it (recover.go).
func endWithParent(*syscall.SysProcAttr) {}
