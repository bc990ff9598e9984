package postgres

import "syscall"

// endWithParent asks the kernel to interrupt the child when our program dies, even by kill -9: for
// Postgres an interrupt means a clean shutdown, so no orphan stays behind.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
