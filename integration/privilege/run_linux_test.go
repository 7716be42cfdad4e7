package privilege

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// nobody is the ordinary user, and its group, as which tests run the binary.
const nobody = 65534

// inside runs f as user 0 in its own network namespace, with a binary that everybody may
// execute.
func inside(t *testing.T, f func(t *testing.T, bin string)) {
	t.Helper()
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("becomes another user: run the tests as root")
	}
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		f(t, build(t))
	})
}

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

// build returns a copy of pingtel that everybody may execute. Only this copy gets the
// capability of the test.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // the testing package makes it for its user only
		t.Fatal(err)
	}
	program, err := os.ReadFile(peer.Pingtel())
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "pingtel")
	if err := os.WriteFile(bin, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

// setcap gives a file cap_net_raw+ep, like setcap(8).
func setcap(t *testing.T, file string) {
	t.Helper()
	const revision2, effective = 0x02000000, 1 // struct vfs_cap_data of linux/capability.h
	var data []byte
	for _, word := range []uint32{revision2 | effective, 1 << unix.CAP_NET_RAW, 0, 0, 0} {
		data = binary.LittleEndian.AppendUint32(data, word)
	}
	switch err := unix.Setxattr(file, "security.capability", data, 0); {
	case errors.Is(err, unix.ENOTSUP):
		t.Skipf("the file system of %s holds no file capabilities: set TMPDIR to one that does", file)
	case err != nil:
		t.Fatal(err)
	}
}

// allowGroups sets the groups that may open datagram sockets.
func allowGroups(t *testing.T, low, high int) {
	t.Helper()
	err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", fmt.Appendf(nil, "%d %d", low, high), 0)
	if err != nil {
		t.Fatal(err)
	}
}

// as makes cmd run as an ordinary user, with ambient capabilities.
func as(cmd *exec.Cmd, user uint32, ambient ...uintptr) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: user, Gid: user}, AmbientCaps: ambient,
	}
	cmd.Dir = "/"
	return cmd
}

// contained makes cmd run like user 0 of a container that has only CAP_NET_RAW.
func contained(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv is not installed: it is in the package util-linux")
	}
	args := []string{"--no-new-privs", "--inh-caps=-all", "--bounding-set=-all,+net_raw"}
	return exec.Command(setpriv, append(args, cmd.Args...)...)
}

// outcome runs cmd to its end.
func outcome(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// privileges starts cmd, waits for its first line of output, which comes after
// its first reply, and returns the privileges that its threads have in common.
func privileges(t *testing.T, cmd *exec.Cmd) map[string]string {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // kept open: the plugin ends when it closes
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("%s: output %q: %v; stderr %q", cmd, line, err, errs.String())
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", cmd.Process.Pid))
	if err != nil || len(files) < 2 {
		t.Fatalf("threads of %s: %q, %v; want some", cmd, files, err)
	}
	var all map[string]string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended since
		}
		p := parseStatus(string(text))
		for key, value := range all {
			if p[key] != value {
				t.Errorf("%s: %s differs between threads: %s and %s", cmd, key, value, p[key])
			}
		}
		all = p
	}
	return all
}

// parseStatus returns the lines about privileges of a status file of proc(5).
func parseStatus(text string) map[string]string {
	p := make(map[string]string)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		if strings.HasPrefix(key, "Cap") || key == "NoNewPrivs" {
			p[key] = strings.TrimLeft(strings.TrimSpace(value), "0")
		}
	}
	return p
}
