package privilege

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// actEnv makes the test binary the process whose privileges are dropped.
const actEnv = "PINGTEL_TEST_DROP"

func TestMain(m *testing.M) {
	switch os.Getenv(actEnv) {
	case "":
		os.Exit(m.Run())
	case "show": // the child that a dropped process executes
		show()
	case "nothing":
		act(Nothing)
	case "marks":
		act(Marks)
	case "filtered":
		actFiltered()
	}
}

// act drops privileges. It prints the state of all threads, what the process can still do,
// and the privileges of a program that it executes.
func act(keep Keep) {
	var up, down sync.WaitGroup
	hold := make(chan struct{})
	for range 8 { // threads that exist before
		up.Add(1)
		down.Go(func() {
			runtime.LockOSThread()
			up.Done()
			<-hold
		})
	}
	up.Wait()
	err := Drop(keep)
	if errors.Is(err, ErrCgo) {
		fmt.Println("cgo")
		os.Exit(0)
	}
	fmt.Println("drop:", err, Drop(keep))
	show()
	close(hold)
	down.Wait()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	fmt.Println("raw socket:", err)
	if err == nil {
		unix.Close(fd)
	}
	fmt.Println("ambient:", unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_RAW, 0, 0))
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), actEnv+"=show")
	out, err := cmd.Output()
	fmt.Printf("child: %v\n%s", err, bytes.ReplaceAll(out, []byte("thread "), []byte("child-thread ")))
}

// show prints the privileges of every thread of this process.
func show() {
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(files) == 0 {
		fmt.Println("no threads:", err)
		os.Exit(1)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended since
		}
		fmt.Println("thread", privileges(text))
	}
}

// privileges returns the lines about privileges of a status file of proc(5).
func privileges(status []byte) string {
	var out []string
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.HasPrefix(key, "Cap") || key == "NoNewPrivs" {
			out = append(out, key+"="+strings.TrimLeft(strings.TrimSpace(value), "0")) // none is empty
		}
	}
	return strings.Join(out, " ")
}

func TestDrop(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs user 0: run the tests as root")
	}
	const none = "CapInh= CapPrm= CapEff= CapBnd= CapAmb= NoNewPrivs=1"
	netRaw := strings.TrimLeft(fmt.Sprintf("%x", of(unix.CAP_NET_RAW)), "0")
	kept := fmt.Sprintf("CapInh= CapPrm=%s CapEff=%s CapBnd= CapAmb= NoNewPrivs=1", netRaw, netRaw)
	tests := []struct {
		name, keep, threads, raw string
	}{
		{"nothing", "nothing", none, "operation not permitted"},
		{"marks", "marks", kept, "<nil>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := dropped(t, tt.keep)
			want := map[string]string{"drop:": "<nil> <nil>", "thread": tt.threads, "child-thread": none,
				"raw": "socket: " + tt.raw, "ambient:": "operation not permitted", "child:": "<nil>"}
			count := make(map[string]int)
			for _, line := range out {
				key, value, _ := strings.Cut(line, " ")
				count[key]++
				if w, ok := want[key]; !ok || value != w {
					t.Errorf("%s: %q, want %q", key, value, w)
				}
			}
			if count["thread"] < 9 || count["child-thread"] == 0 || len(count) != len(want) {
				t.Errorf("lines seen: %v, want all of %v and 9 threads at least", count, want)
			}
		})
	}
}

// dropped runs the test binary as the process that drops.
func dropped(t *testing.T, keep string) []string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), actEnv+"="+keep)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.TrimSpace(string(out)) == "cgo" {
		t.Skip("built with cgo, where Drop says that it cannot: run with CGO_ENABLED=0 and without -race")
	}
	var lines []string
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		lines = append(lines, sc.Text())
	}
	return lines
}

func TestKeepFrom(t *testing.T) {
	raw, admin := of(unix.CAP_NET_RAW), of(unix.CAP_NET_ADMIN)
	all := ^set(0)
	tests := []struct {
		name         string
		keep         Keep
		has          set
		major, minor int
		want         set
	}{
		{"nothing of all", Nothing, all, 6, 1, 0},
		{"marks, new kernel", Marks, all, 6, 1, raw},
		{"marks, the first that takes CAP_NET_RAW", Marks, all, 5, 18, raw},
		{"marks, old kernel", Marks, all, 5, 17, admin},
		{"marks, old kernel, no CAP_NET_ADMIN", Marks, raw, 5, 10, 0},
		{"marks, no CAP_NET_RAW", Marks, admin, 6, 1, admin},
		{"marks, unknown kernel", Marks, all, 0, 0, admin},
		{"marks of nothing", Marks, 0, 6, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.keep.from(tt.has, tt.major, tt.minor); got != tt.want {
				t.Errorf("from(%x, %d, %d) = %x, want %x", tt.has, tt.major, tt.minor, got, tt.want)
			}
		})
	}
}
