//go:build unix

package history

import (
	"os"
	"syscall"
	"time"
)

// cpu returns the CPU time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allocated returns how many bytes of the disk a file has.
func allocated(info os.FileInfo) int64 { return int64(info.Sys().(*syscall.Stat_t).Blocks) * 512 }
