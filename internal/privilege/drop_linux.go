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

// Drop gives up all capabilities but those of keep, on all threads: the
// effective, permitted, inheritable and ambient sets are emptied, the bounding
// set too where the process may do that (CAP_SETPCAP), user 0 loses its power
// to regain them, and no_new_privs keeps any executed file from adding some.
// The user id stays as it is.
//
// There is no way back, and a second call does no harm. A process that holds no
// capability has nothing to give up: for it Drop does what it may and returns
// nil, also where a filter of system calls refuses it (seccomp(2)). In a binary
// built with cgo that holds some, Drop returns [ErrCgo]. Any other error wraps
// an [*os.SyscallError] and says what to allow; what was given up by then stays
// so.
func Drop(keep Keep) error {
	has, err := capabilities()
	if err != nil {
		return refused(err)
	}
	err = prctl(unix.PR_SET_NO_NEW_PRIVS, 1)
	switch {
	case has.none():
		return nil // nothing is left to take, whatever err says
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
		return nil // a second call, or a process that was given no more
	}
	return refused(setCapabilities(left))
}

// refused adds to the system's refusal what to do about it: none of the calls
// made here takes a right that could be missing, so that a filter is to blame.
func refused(err error) error {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w: let the filter of system calls allow capget, capset and prctl (in a systemd unit: SystemCallFilter=capget capset prctl), or start pingtel without capabilities, with a ping socket allowed by net.ipv4.ping_group_range", err)
	}
	return err
}

// from returns what k keeps of s on a kernel of that release: of the two
// capabilities that do for marks, the lesser one, as far as it does.
func (k Keep) from(s set, major, minor int) set {
	switch {
	case k != Marks:
		return 0
	case s.has(unix.CAP_NET_RAW) && (major > 5 || major == 5 && minor >= 18):
		return of(unix.CAP_NET_RAW)
	}
	return s & of(unix.CAP_NET_ADMIN)
}

// Bits of linux/securebits.h; the one above each locks it.
const (
	noRoot            = 1 << 0
	noSetuidFixup     = 1 << 2
	keepCaps          = 1 << 4
	noCapAmbientRaise = 1 << 6
)

// securebits takes from user 0, for good, what execve(2) and setuid(2) would
// give it back, and forbids to raise ambient capabilities: see capabilities(7).
const securebits = (noRoot|noSetuidFixup|noCapAmbientRaise)*3 | keepCaps<<1

// closeWaysBack needs CAP_SETPCAP.
func closeWaysBack() error {
	// Bits that a supervisor locked otherwise cannot be changed. The empty
	// bounding set and no_new_privs hold without them.
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

// prctl makes the call on every thread. The runtime ends the program where they
// differ in what they may do; nothing in it changes one thread alone.
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

// held is what a thread has.
type held struct{ effective, permitted, inheritable set }

func (h held) none() bool { return h.effective|h.permitted|h.inheritable == 0 }

// capabilities reads what the calling thread has, which stands for all.
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

// statusCapabilities reads the same from proc(5), for where capget is refused.
func statusCapabilities() (held, bool) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return held{}, false
	}
	return parseStatus(string(status))
}

// parseStatus reports false where one of the sets is missing.
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
	// Process 0 is the calling thread, so that one header serves all.
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

// release returns the first two numbers of the kernel's release, zeros if they
// cannot be told.
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
