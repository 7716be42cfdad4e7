package main

import (
	"golang.org/x/sys/unix"
)

// closedAtStart reports whether the process started with a closed stdout. The Go
// runtime opens /dev/null for reading and writing for each closed standard descriptor,
// so every write would succeed. Two other cases do not count as closed: a shell opens
// /dev/null only for writing, and a parent that discards everything does the same for
// stderr. A file that the parent opened with O_CLOEXEC and passed on keeps that flag.
func closedAtStart() bool { return openedByRuntime(1) && !openedByRuntime(2) }

func openedByRuntime(fd int) bool {
	var file, null unix.Stat_t
	if unix.Fstat(fd, &file) != nil || unix.Stat("/dev/null", &null) != nil {
		return false // it cannot be found out
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && file.Mode&unix.S_IFMT == unix.S_IFCHR && file.Rdev == null.Rdev &&
		flags&unix.O_ACCMODE == unix.O_RDWR && flags&unix.O_CLOEXEC == 0
}
