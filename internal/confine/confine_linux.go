package confine

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Files restricts the process, on all threads and for good, to reading files below
// the folders of read, and to reading and writing below those of write (Landlock).
// It can execute nothing any more. Open files and sockets stay open. A folder that is
// missing is left out. A rule is on a folder and not on a file, since a file that is
// replaced by another one of its name would not be in it.
//
// The error wraps [errors.ErrUnsupported] if the kernel does not have Landlock.
func Files(read, write []string) error {
	_, err := syscall.LandlockGetABIVersion()
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP): // not in the kernel, or turned off
		return fmt.Errorf("%w: landlock_create_ruleset: %w", errors.ErrUnsupported, err)
	case err != nil:
		return fmt.Errorf("%w: allow landlock_create_ruleset, landlock_add_rule and landlock_restrict_self in the filter of system calls", os.NewSyscallError("landlock_create_ruleset", err))
	}
	return landlock.V5.BestEffort().RestrictPaths( // V5 has all that a file can be used for except for sockets, which the service manager has
		landlock.PathAccess(readFiles, read...).IgnoreIfMissing(),
		landlock.RWDirs(write...).IgnoreIfMissing(),
	)
}

const readFiles = syscall.AccessFSReadFile | syscall.AccessFSReadDir
