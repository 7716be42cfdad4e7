package icmpcore

import "golang.org/x/sys/unix"

// prefault has the kernel put memory behind all of b at once, which takes a
// third of the time of a fault for each page as it is first written to: on a
// virtual machine, 4 µs a page instead of 14, where 17 series lie in a page. A
// kernel before 5.14 refuses, and the faults come one by one.
func prefault(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) }
