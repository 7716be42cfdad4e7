package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/peer"
)

// site is a network of its own.
type site struct {
	addr  string // at which the other one reaches it
	space string // path of its network namespace; "" for that of the test
}

// command is a command that runs at the site.
func (s *site) command(args ...string) *exec.Cmd {
	if s.space != "" {
		args = append([]string{"nsenter", "--net=" + s.space, "--"}, args...)
	}
	return exec.Command(args[0], args[1:]...)
}

// at calls f, which may open sockets, at the site.
func (s *site) at(t *testing.T, f func() error) error {
	if s.space == "" {
		return f()
	}
	runtime.LockOSThread() // the namespace is the thread's
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := os.Open(s.space)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		t.Errorf("back to the test's network: %v", back) // the thread stays locked, and ends with the goroutine
		return back
	}
	runtime.UnlockOSThread()
	return err
}

// twoSites are the network of the test, and another one in which all targets answer too,
// with a cable between them.
func twoSites(t *testing.T) (here, there *site) {
	t.Helper()
	holder := peer.Start(t, exec.Command("unshare", "--net", "sleep", "infinity"))
	here, there = &site{addr: "198.19.9.1"}, &site{addr: "198.19.9.2", space: "/proc/" + holder.Pid() + "/ns/net"}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	peer.Await(t, "a network namespace", func() bool {
		space, err := os.Readlink(there.space)
		return err == nil && space != own
	}, holder)
	ip(t, here, "link add cable type veth peer name cable netns "+holder.Pid())
	for _, s := range []*site{here, there} {
		ip(t, s, "addr add "+s.addr+"/30 dev cable")
		ip(t, s, "link set cable up")
		ip(t, s, "link set lo up")
	}
	ip(t, there, "route add local 198.18.64.0/22 dev lo")
	return here, there
}

// cut takes the cable between two sites away, or connects them again.
func cut(t *testing.T, here *site, away bool) {
	t.Helper()
	ip(t, here, "link set cable "+map[bool]string{true: "down", false: "up"}[away])
}

func ip(t *testing.T, at *site, args string) {
	t.Helper()
	if _, err := peer.Output(at.command(append([]string{"ip"}, strings.Fields(args)...)...)); err != nil {
		t.Fatal(fmt.Errorf("the test's network: %w", err))
	}
}
