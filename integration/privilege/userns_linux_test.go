package privilege

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestUserNamespace runs the binary without rights in user namespaces, like rootless
// containers, and checks that its advice helps.
func TestUserNamespace(t *testing.T) {
	inside(t, func(t *testing.T, bin string) {
		const outer = 4242
		allowGroups(t, 1, 0)
		start := func(flags uintptr, group int, mappings ...syscall.SysProcIDMap) *exec.Cmd {
			cmd := exec.Command(bin, "ping", "-c", "1", "127.0.0.1")
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | flags, UidMappings: mappings, GidMappings: mappings}
			if group >= 0 {
				cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(group), Gid: uint32(group)}
			}
			return cmd
		}
		mapped := []syscall.SysProcIDMap{{ContainerID: 0, HostID: outer, Size: 2}}
		for _, tt := range []struct {
			name     string
			cmd      func() *exec.Cmd
			cures    []string
			notCures []string
		}{
			{"user 0 inside", func() *exec.Cmd { return start(0, 0, mapped...) },
				[]string{"net.ipv4.ping_group_range='4242 4242'` on the host"}, []string{"setcap", "CAP_NET_RAW"}},
			{"another inside", func() *exec.Cmd { return start(0, 1, mapped...) },
				[]string{"net.ipv4.ping_group_range='4243 4243'` on the host"}, []string{"setcap", "CAP_NET_RAW"}},
			{"nothing mapped", func() *exec.Cmd { return start(0, -1) },
				[]string{"on the host, for the group that this process's group is mapped to"}, []string{"setcap", "65534"}},
			{"a network of its own", func() *exec.Cmd { return start(syscall.CLONE_NEWNET, 1, mapped...) },
				[]string{"--cap-add NET_RAW", "net.ipv4.ping_group_range='1 1'`"}, []string{"setcap", "on the host"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				_, stderr, status := outcome(t, tt.cmd())
				t.Log(stderr)
				if status != 2 {
					t.Fatalf("status %d, stderr %q; want 2", status, stderr)
				}
				for _, cure := range tt.cures {
					if !strings.Contains(stderr, cure) {
						t.Errorf("stderr %q lacks %q", stderr, cure)
					}
				}
				for _, no := range tt.notCures {
					if strings.Contains(stderr, no) {
						t.Errorf("stderr %q has %q, which does not help", stderr, no)
					}
				}
			})
		}
		allowGroups(t, outer, outer)
		if _, stderr, status := outcome(t, start(0, 0, mapped...)); status != 0 {
			t.Errorf("after the sysctl: status %d, stderr %q; want 0", status, stderr)
		}
	})
}
