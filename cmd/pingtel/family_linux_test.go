package main

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/peer"
)

// withoutFamilyEnv names an IP version. A test process with this variable becomes
// pingtel on a system without that version.
const withoutFamilyEnv = "PINGTEL_TEST_WITHOUT"

// runWithoutFamily becomes pingtel with the process's arguments, on a system that has no
// sockets of one IP version. It returns only if that fails.
func runWithoutFamily(family string) error {
	runtime.LockOSThread() // the filter belongs to this thread, and exec keeps it
	domain := map[string]uint32{"IPv4": unix.AF_INET, "IPv6": unix.AF_INET6}[family]
	const callOffset, firstArgument = 0, 16 // in struct seccomp_data, where bytes are little-endian
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: callOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_SOCKET, SkipTrue: 3},
		bpf.LoadAbsolute{Off: firstArgument, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: domain, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	})
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(peer.Pingtel(), append([]string{"pingtel"}, os.Args[1:]...), os.Environ())
}

// TestWithoutOneFamily pings both families on a system that has one. The hosts of the
// other must be reported differently from hosts that do not answer, and must not change
// the other results.
func TestWithoutOneFamily(t *testing.T) {
	needSocket(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		family, args string
		status       int
		want         string
	}{
		{"IPv6", "ping -c 1 ::1 127.0.0.1", statusNoAnswer, `(?m)^::1 .*  this system has no IPv6: [^:]*: address family not supported by protocol$`},
		{"IPv6", "ping -c 1 ::1 127.0.0.1", statusNoAnswer, `(?m)^127\.0\.0\.1 +1 +1 +0% `},
		{"IPv6", "ping -c 1 ::1", statusUnable, `^::1: this system has no IPv6: `},
		{"IPv6", "ping -c 1 -j ::1 127.0.0.1", statusNoAnswer, `"error":"this system has no IPv6: `},
		{"IPv4", "ping -c 1 ::1 127.0.0.1", statusNoAnswer, `(?m)^127\.0\.0\.1 .*  this system has no IPv4: `},
		{"IPv6", "check -n 1 ::1", 3, `^PING UNKNOWN - ::1: this system has no IPv6: [^:]*: address family not supported by protocol \|`},
		{"IPv6", "check -n 1 ::1 127.0.0.1", 3, `^PING UNKNOWN - 1 of 2 hosts ok, 1 unknown: ::1 UNKNOWN this system has no IPv6: `},
	} {
		cmd := exec.CommandContext(t.Context(), exe, strings.Fields(tt.args)...)
		cmd.Env = append(os.Environ(), withoutFamilyEnv+"="+tt.family)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		stdout, err := cmd.Output()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if status := cmd.ProcessState.ExitCode(); status != tt.status || stderr.Len() > 0 || !regexp.MustCompile(tt.want).Match(stdout) {
			t.Errorf("%s without %s: status %d, want %d and %q; stderr %q, stdout\n%s", tt.args, tt.family, status, tt.status, tt.want, stderr.String(), stdout)
		}
	}
}
