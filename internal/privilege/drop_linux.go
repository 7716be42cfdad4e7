package privilege

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drop gives up all capabilities except those of keep, on all threads. It empties
// the effective, permitted, inheritable and ambient sets, and the bounding set if
// the process may do that (CAP_SETPCAP). User 0 can no longer regain them, and
// no_new_privs stops executed files from adding any. The user id does not change.
//
// Drop cannot be undone; a second call has no effect. A process without
// capabilities has nothing to give up: Drop then does what it can and returns
// nil, even if a filter of system calls (seccomp(2)) refuses some of it. In a
// binary built with cgo that has capabilities, Drop returns [ErrCgo]. Any other
// error wraps an [*os.SyscallError] and says what to allow; Drop does not restore
// what it gave up before the error.
func Drop(keep Keep) error {
	has, err := capabilities()
	if err != nil {
		return refused(err)
	}
	err = prctl(unix.PR_SET_NO_NEW_PRIVS, 1)
	switch {
	case has.none():
		return nil // there is nothing to give up, so err does not matter
	case errors.Is(err, unix.ENOTSUP):
		return ErrCgo
	case err != nil:
		return refused(err)
	}
	if has.effective.has(unix.CAP_SETPCAP) {
		if err := closeWaysBack(); err != nil {
			return refused(err)
		}
	}
	if err := clearAmbient(); err != nil {
		return refused(err)
	}
	major, minor := release()
	left := keep.from(has.permitted, major, minor)
	if has == (held{effective: left, permitted: left}) {
		return nil // a second call, or a process that has nothing else
	}
	return refused(setCapabilities(left))
}

// refused adds advice to the system's refusal. The calls made here need no
// rights that the process could lack, so a filter must have refused them.
func refused(err error) error {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w: allow capget, capset and prctl in the filter of system calls (in a systemd unit: SystemCallFilter=capget capset prctl), or start pingtel without capabilities and allow ping sockets with net.ipv4.ping_group_range", err)
	}
	return err
}

// from returns the capabilities of s that k keeps on a kernel of that release.
// For marks it prefers CAP_NET_RAW, the smaller right, where the kernel accepts
// it.
func (k Keep) from(s set, major, minor int) set {
	switch {
	case k != Marks:
		return 0
	case s.has(unix.CAP_NET_RAW) && (major > 5 || major == 5 && minor >= 18):
		return of(unix.CAP_NET_RAW)
	}
	return s & of(unix.CAP_NET_ADMIN)
}

// Bits of linux/securebits.h. The next higher bit locks each of them.
const (
	noRoot            = 1 << 0
	noSetuidFixup     = 1 << 2
	keepCaps          = 1 << 4
	noCapAmbientRaise = 1 << 6
)

// securebits stops execve(2) and setuid(2) from giving capabilities back to user
// 0, for good, and forbids raising ambient capabilities: see capabilities(7).
const securebits = (noRoot|noSetuidFixup|noCapAmbientRaise)*3 | keepCaps<<1

// closeWaysBack needs CAP_SETPCAP.
func closeWaysBack() error {
	// If a supervisor has locked the bits, they cannot be changed. The empty
	// bounding set and no_new_privs work without them.
	if err := prctl(unix.PR_SET_SECUREBITS, securebits); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	for c := range uintptr(64) {
		err := prctl(unix.PR_CAPBSET_DROP, c)
		if errors.Is(err, unix.EINVAL) {
			return nil // the kernel knows no more
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func clearAmbient() error {
	err := prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	if errors.Is(err, unix.EINVAL) {
		return nil // before Linux 4.3 there are none
	}
	return err
}

// prctl makes the call on every thread. The runtime ends the program if the
// result differs between threads, which cannot happen here: nothing in pingtel
// changes the rights of one thread alone.
func prctl(option, argument uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, argument, 0, 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	return nil
}

// set is a set of capabilities, a bit for each.
type set uint64

func of(capability int) set { return 1 << capability }

func (s set) has(capability int) bool { return s&of(capability) != 0 }

// held holds the capability sets of a thread.
type held struct{ effective, permitted, inheritable set }

func (h held) none() bool { return h.effective|h.permitted|h.inheritable == 0 }

// capabilities reads the sets of the calling thread. All threads have the same.
func capabilities() (held, error) {
	hdr, data := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		if h, ok := statusCapabilities(); ok {
			return h, nil
		}
		return held{}, os.NewSyscallError("capget", err)
	}
	join := func(low, high uint32) set { return set(high)<<32 | set(low) }
	return held{
		effective:   join(data[0].Effective, data[1].Effective),
		permitted:   join(data[0].Permitted, data[1].Permitted),
		inheritable: join(data[0].Inheritable, data[1].Inheritable),
	}, nil
}

// statusCapabilities reads the same from proc(5), in case capget is refused.
func statusCapabilities() (held, bool) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return held{}, false
	}
	return parseStatus(string(status))
}

// parseStatus reports false if one of the sets is missing.
func parseStatus(status string) (h held, ok bool) {
	missing := map[string]*set{"CapEff": &h.effective, "CapPrm": &h.permitted, "CapInh": &h.inheritable}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		dst := missing[key]
		if dst == nil {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return held{}, false
		}
		*dst = set(bits)
		delete(missing, key)
	}
	return h, len(missing) == 0
}

// setCapabilities leaves every thread with s, effective and permitted.
func setCapabilities(s set) error {
	// Process 0 means the calling thread, so all threads can use one header.
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(s), Permitted: uint32(s)},
		{Effective: uint32(s >> 32), Permitted: uint32(s >> 32)},
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return os.NewSyscallError("capset", errno)
	}
	return nil
}

// release returns the first two numbers of the kernel's release, zeros if it
// cannot find them.
func release() (major, minor int) {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return 0, 0
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		return 0, 0
	}
	return major, minor
}
