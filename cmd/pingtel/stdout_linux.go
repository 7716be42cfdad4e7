package main

import (
	"golang.org/x/sys/unix"
)

// closedAtStart reports whether the process began with a closed stdout. The Go
// runtime opens /dev/null for reading and writing in the place of each standard
// descriptor that is closed, so every write would succeed. A shell opens
// /dev/null for writing only, and a parent that discards everything gives the
// same for stderr: neither is taken for closed. What a parent opened with
// O_CLOEXEC before it handed it on keeps that flag.
func closedAtStart() bool { return openedByRuntime(1) && !openedByRuntime(2) }

func openedByRuntime(fd int) bool {
	var file, null unix.Stat_t
	if unix.Fstat(fd, &file) != nil || unix.Stat("/dev/null", &null) != nil {
		return false // then nothing is known
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && file.Mode&unix.S_IFMT == unix.S_IFCHR && file.Rdev == null.Rdev &&
		flags&unix.O_ACCMODE == unix.O_RDWR && flags&unix.O_CLOEXEC == 0
}
