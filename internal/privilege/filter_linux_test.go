package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The variables that say what actFiltered does.
const (
	refuseEnv = "PINGTEL_TEST_REFUSE" // numbers of system calls, by commas
	userEnv   = "PINGTEL_TEST_USER"   // the user to become, which gives up all capabilities
)

// actFiltered calls Drop under a filter of system calls, and prints its error.
func actFiltered() {
	if user, err := strconv.Atoi(os.Getenv(userEnv)); err == nil {
		if err := syscall.Setuid(user); err != nil {
			fmt.Println("setuid:", err)
			os.Exit(1)
		}
	}
	if err := refuse(strings.Split(os.Getenv(refuseEnv), ",")); err != nil {
		fmt.Println("seccomp:", err)
		os.Exit(1)
	}
	fmt.Println(Drop(Nothing))
	os.Exit(0)
}

// refuse makes system calls fail with EPERM from now on, on all threads.
func refuse(numbers []string) error {
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for _, s := range numbers {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return err
		}
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(n), Jf: 1},
			ret(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	program = append(program, ret(unix.SECCOMP_RET_ALLOW))
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// TestDropFiltered drops under a filter that refuses the calls that Drop makes:
// a process without capabilities goes on, any other gets an error that says what
// to allow.
func TestDropFiltered(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs user 0: run the tests as root")
	}
	for _, tt := range []struct {
		name  string
		calls []int
		root  string // the error for user 0, "" if none
	}{
		{"none", []int{unix.SYS_ACCT}, ""},
		{"capget", []int{unix.SYS_CAPGET}, ""}, // Drop reads proc(5) instead
		{"capset", []int{unix.SYS_CAPSET}, "capset: operation not permitted: allow capget, capset and prctl in the filter"},
		{"prctl", []int{unix.SYS_PRCTL}, "prctl: operation not permitted: allow capget, capset and prctl in the filter"},
		{"all", []int{unix.SYS_CAPGET, unix.SYS_CAPSET, unix.SYS_PRCTL}, "prctl: operation not permitted: allow capget, capset and prctl in the filter"},
	} {
		for _, user := range []string{"", "65534"} {
			t.Run(tt.name+" user "+user, func(t *testing.T) {
				want := "<nil>"
				if user == "" && tt.root != "" {
					want = tt.root
				}
				if got := underFilter(t, tt.calls, user); !strings.HasPrefix(got, want) {
					t.Errorf("Drop = %q, want %q", got, want)
				}
			})
		}
	}
}

// underFilter returns the error of a process that drops under a filter.
func underFilter(t *testing.T, calls []int, user string) string {
	t.Helper()
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(calls), " ", ","), "[]")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), actEnv+"=filtered", refuseEnv+"="+numbers, userEnv+"="+user)
	out, err := cmd.CombinedOutput()
	got := strings.TrimSpace(string(out))
	switch {
	case err != nil:
		t.Fatalf("%v: %s", err, got)
	case got == ErrCgo.Error():
		t.Skip("built with cgo, where Drop says that it cannot: run with CGO_ENABLED=0 and without -race")
	}
	return got
}

func TestParseStatus(t *testing.T) {
	const sets = "Name:\tpingtel\nCapInh:\t0000000000000001\nCapPrm:\t0000000000002000\nCapEff:\t000001ffffffffff\nCapBnd:\t0000000000000007\n"
	want := held{effective: 0x1ffffffffff, permitted: 0x2000, inheritable: 1}
	if got, ok := parseStatus(sets); !ok || got != want {
		t.Errorf("parseStatus = %x, %t; want %x", got, ok, want)
	}
	for _, broken := range []string{"", strings.Replace(sets, "CapPrm", "CapX", 1), strings.Replace(sets, "2000", "zz", 1)} {
		if got, ok := parseStatus(broken); ok {
			t.Errorf("parseStatus(%q) = %x, want nothing", broken, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		err  error
		cure bool
	}{
		{os.NewSyscallError("capset", unix.EPERM), true},
		{os.NewSyscallError("prctl", unix.EACCES), true},
		{os.NewSyscallError("capget", unix.ENOSYS), true},
		{os.NewSyscallError("capset", unix.EINVAL), false},
	} {
		err := refused(tt.err)
		if !errors.Is(err, tt.err) || strings.Contains(err.Error(), "SystemCallFilter=") != tt.cure {
			t.Errorf("refused(%v) = %v", tt.err, err)
		}
	}
	if err := refused(nil); err != nil {
		t.Errorf("refused(nil) = %v", err)
	}
}
