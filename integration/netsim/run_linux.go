package netsim

import (
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// statusFD is the child's descriptor of its status pipe.
const statusFD = 3

// Run runs f in its own network, which answers by rules. It starts the test binary
// again, with only the test t, in a new network namespace (and a user namespace
// unless the caller is root). There t runs again up to Run, which then calls f. The
// first process does not call f; it passes on what the other prints, and t fails if
// it fails. t may be a subtest, and f may have subtests. A test calls Run once.
//
// If the system does not allow this, Run skips t with a reason that begins "netsim:
// cannot run here: " and says what to allow.
func Run(t *testing.T, rules []Rule, f func(t *testing.T, n *Net)) {
	t.Helper()
	switch name := os.Getenv(childEnv); name {
	case "":
		runParent(t)
	case t.Name():
		runChild(t, rules, f)
	default:
		t.Fatalf("netsim: Run for %s inside that for %s", t.Name(), name)
	}
}

// runParent runs the test t again inside the namespaces.
func runParent(t *testing.T) {
	t.Helper()
	status, err := startChild(t, !rootHere())
	if errors.Is(err, os.ErrPermission) && rootHere() {
		status, err = startChild(t, true) // root without CAP_SYS_ADMIN
	}
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Skipf(cannotRun+"new namespaces are refused (%v): allow them with "+
			"sysctl user.max_user_namespaces=10000 and, where it exists, "+
			"kernel.apparmor_restrict_unprivileged_userns=0, or run as root with CAP_SYS_ADMIN", err)
	}
	failed, skip := outcome(err, status)
	switch {
	case failed != "":
		t.Fatal(failed)
	case skip != "":
		t.Skip(skip)
	}
}

func rootHere() bool { return os.Geteuid() == 0 }

// startChild runs the child to its end and returns what it reported.
func startChild(t *testing.T, userNamespace bool) (string, error) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatalf("netsim: %v", err)
	}
	defer read.Close()
	out := &relay{out: t.Output(), name: t.Name()}
	cmd := childCommand(t, userNamespace)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = out, out, []*os.File{write}

	// The kernel sends the signal for the parent's death when the thread that
	// started the child ends, so this thread must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	write.Close()
	if err != nil {
		return "", err
	}
	err = cmd.Wait()
	out.flush()
	status, readErr := io.ReadAll(read)
	return string(status), errors.Join(err, readErr)
}

// childCommand returns the command that runs the test t inside namespaces.
func childCommand(t *testing.T, userNamespace bool) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatalf("netsim: %v", err)
	}
	var left time.Duration
	if end, ok := t.Deadline(); ok {
		left = max(time.Until(end), time.Second)
	}
	cmd := exec.CommandContext(t.Context(), binary, childArgs(t.Name(), left, flag.CommandLine)...)
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name(),
		// A program built with the race detector waits a second at its end for
		// reports of other threads. That adds up over many tests.
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=50")
	cmd.WaitDelay = graceTime
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if userNamespace {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = oneID(0, os.Getuid())
		cmd.SysProcAttr.GidMappings = oneID(0, os.Getgid())
	}
	return cmd
}

// oneID maps one id of a namespace to one outside.
func oneID(inside, outside int) []syscall.SysProcIDMap {
	return []syscall.SysProcIDMap{{ContainerID: inside, HostID: outside, Size: 1}}
}

// dropPrivileges puts cmd into a user namespace below the one that owns the network.
// It has no root, so no capability is left after exec, and none would have an effect
// on the network.
func dropPrivileges(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = oneID(1000, os.Geteuid())
	cmd.SysProcAttr.GidMappings = oneID(1000, os.Getegid())
}

// runChild sets the network up and runs f in it.
func runChild(t *testing.T, rules []Rule, f func(t *testing.T, n *Net)) {
	t.Helper()
	unix.CloseOnExec(statusFD)
	status := os.NewFile(statusFD, "status")
	report(t, status)

	dev, err := openNetwork()
	if err != nil {
		if _, werr := status.WriteString(statusCannot + err.Error()); werr != nil {
			t.Errorf("netsim: reporting to the parent: %v", werr)
		}
		t.Skip(cannotRun + err.Error())
	}
	s := newSim(dev.write)
	dev.stats = &s.stats
	n := newNet(s, dev)
	table, err := newTable(rules)
	if err != nil {
		t.Fatalf("netsim: %v", err)
	}
	s.rules.Store(table)
	dev.start(s)
	t.Cleanup(func() {
		if err := dev.close(); err != nil {
			t.Errorf("netsim: %v", err)
		}
	})
	f(t, n)
}
