package faults

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestDescriptors leaves the running process no descriptor to open.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		addr := "198.18.3.1"
		dns.Serve(t, func(string, bool) dns.Reply { return dns.Addr(addr) })
		s := peer.StartService(t, file(host4, known), dns.Asking(t, "timeout:3 attempts:1"))
		s.More(t, 2, host4, known)

		var before unix.Rlimit
		pid := s.Cmd.Process.Pid
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Max: 1 << 10}, &before); err != nil {
			t.Fatal(err)
		}
		s.Says(t, 0, "look-up failed host="+known)
		s.Reload(t, file(host4, known, other4))
		s.Says(t, 0, "the configuration stays as it was")
		if text := s.Text(); strings.Count(text, "too many open files") != 2 {
			t.Errorf("the look-up and the reload do not both say why:\n%s", text)
		}
		s.More(t, 2, host4, known)

		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 10, Max: 1 << 10}, nil); err != nil {
			t.Fatal(err)
		}
		s.Says(t, 0, "look-up works again host="+known)
		s.Reload(t, file(host4, known, other4))
		s.Says(t, 0, "configuration in force")
		s.More(t, 2, host4, known, other4)
		s.End(t)
		for _, host := range []string{host4, known, other4} {
			checkSound(t, s.Of(t, host))
			checkSteady(t, s, s.Of(t, host))
		}
	})
}

// TestMemory sets a memory limit below the need of the process: it collects garbage
// all the time, but it works.
func TestMemory(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		s := peer.StartService(t, strings.Replace(file("198.18.8.0/22", host4), `"1s"`, `"2s"`, 1), func(args ...string) *exec.Cmd {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = append(os.Environ(), "GOMEMLIMIT=2MiB")
			return cmd
		})
		s.More(t, 4, host4)
		rss, cpu := peer.Status(t, s.Pid(), "VmRSS"), peer.CPUTime(t, s.Pid())
		own := s.Internal(t)
		s.End(t)
		points := pings(s.Points(t))
		seen := make(map[string]int)
		for _, p := range points {
			seen[p.Tags["url"]]++
		}
		checkSound(t, points)
		for host, n := range seen {
			if n < 3 {
				t.Errorf("%s: %d series", host, n)
			}
		}
		if len(seen) != 1023 {
			t.Errorf("%d hosts seen, want 1023", len(seen))
		}
		checkNoneLeftOut(t, own)
		t.Logf("%d series with GOMEMLIMIT=2MiB: RSS %d kB, %v of CPU", len(points), rss, cpu)
	})
}

var stop = flag.Duration("stop", 4*time.Second, "how long TestStopped stops the process, each of two times")

// TestStopped stops the process for some rounds and continues it. Replies that came
// in that time count. Rounds that were missed are counted, and are not made up for in
// a burst.
func TestStopped(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		began := time.Now()
		s := peer.StartService(t, file("198.18.8.0/26", host4), nil)
		s.More(t, 3, host4)
		for range 2 {
			s.Signal(syscall.SIGSTOP)
			stopped := time.NewTimer(*stop)
			<-stopped.C // the fault itself
			n.Forget()
			goesOn := n.Now()
			s.Signal(syscall.SIGCONT)
			s.More(t, 2, host4)
			arrived := len(n.Arrived())
			// 64 hosts, three requests each in a second; half a second of rounds may be made up for, and series were running.
			if most := int(64 * 3 * ((n.Now() - goesOn).Seconds() + 1.5)); arrived > most {
				t.Errorf("%d requests within %v after the stop, want at most %d", arrived, n.Now()-goesOn, most)
			}
		}
		missed := s.Internal(t).Int("series_missed")
		s.End(t)
		points := pings(s.Points(t))
		checkSound(t, points)
		if rounds := int64(*stop / time.Second); missed < 2*63*(rounds-1) {
			t.Errorf("series_missed = %d after two stops of %v", missed, *stop)
		}
		// The target list has a round in each second: what it missed and what it did are no more than that.
		if most := 64 * int64(time.Since(began)/time.Second+1); missed+int64(len(points)) > most {
			t.Errorf("%d series missed and %d done, want %d together at most", missed, len(points), most)
		}
		t.Logf("%d series without a fault, %d missed", len(points), missed)
	})
}

// TestReloadNeedsRight reloads a file that needs a right that the process has given
// up, then a good one. The first changes nothing and is logged, the second takes
// effect.
func TestReloadNeedsRight(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		s := peer.StartService(t, file(host4), nil)
		s.More(t, 1, host4)
		for _, tt := range []struct{ config, says string }{
			{fileWith(`socket = "datagram"`, "", host4, other4), "restart pingtel to change agent.socket (auto to datagram)"},
			{fileWith("", "mark = 7", host4, other4), "restart pingtel to change mark (pingtel has given up the capability that a mark needs)"},
		} {
			from := len(s.Text())
			s.Reload(t, tt.config)
			s.Says(t, from, tt.says)
			s.More(t, 2, host4)
		}
		if n := len(s.Of(t, other4)); n > 0 {
			t.Errorf("%d series of a host of the refused files", n)
		}
		s.Reload(t, file(host4, other4))
		s.More(t, 2, host4, other4)
		s.End(t)
		checkSound(t, s.Of(t, host4))
		checkSound(t, s.Of(t, other4))
		checkSteady(t, s, s.Of(t, host4))
	})
}

// onlyStarted reports whether a process has logged only the line about its start.
func onlyStarted(text string) bool {
	return strings.Count(text, "\n") == 1 && strings.Contains(text, "started version=")
}

// TestStdoutClosed closes the reading end of stdout. The process cannot do its work
// any more and ends quietly.
func TestStdoutClosed(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		s := peer.StartService(t, file(host4), nil)
		s.More(t, 1, host4)
		s.CloseStdout()
		peer.Await(t, "the end", s.Ended)
		if status, text := s.Cmd.ProcessState.ExitCode(), s.Text(); status != 141 || !onlyStarted(text) { // quietly, as a process that SIGPIPE kills
			t.Errorf("ended with %d, said %q", status, text)
		}
	})
}

// TestPrinting closes the reading end of the pipe that "otel --stdout" prints to, and
// also leaves it full while the process has to end.
func TestPrinting(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		start := func(prefix string) (*peer.Process, *os.File) {
			config := filepath.Join(t.TempDir(), "pingtel.toml")
			if err := os.WriteFile(config, []byte(file(prefix)+"[otel]\ntimeout = \"1s\"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() }) // fails where the test has closed it
			cmd := exec.Command(peer.Pingtel(), "otel", "--stdout", "--config", config)
			cmd.Stdout = w
			p := peer.Start(t, cmd)
			w.Close() // the process has its own
			return p, r
		}
		t.Run("closed", func(t *testing.T) {
			p, r := start(host4)
			r.Close()
			peer.Await(t, "the end", p.Ended)
			if status, text := p.Cmd.ProcessState.ExitCode(), p.Text(); status != 141 || !onlyStarted(text) {
				t.Errorf("ended with %d, said %q", status, text)
			}
		})
		t.Run("full", func(t *testing.T) {
			p, _ := start("127.1.0.0/24") // more at once than a pipe holds
			peer.Await(t, "it says so", func() bool { return strings.Contains(p.Text(), "push to stdout: it is not read") }, p)
			took, status := p.Stop()
			if status != 0 || !strings.Contains(p.Text(), "the counts that no push has delivered are lost") {
				t.Errorf("ended with %d after %v, said %q", status, took, p.Text())
			}
		})
	})
}

// TestStdoutBlocked does not read for some rounds: nothing is lost. Then it does not
// read for longer than the queue lasts: the oldest lines are dropped and counted,
// memory stays bounded, and the measuring never waits.
func TestStdoutBlocked(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		const targets = 8190 // of the prefix, one echo a second each
		s := peer.StartService(t, `[agent]
interval = "1s"
[defaults]
count = 1
timeout = "700ms"
[[targets]]
hosts = ["127.1.0.0/19"]
`, nil)
		const one = "127.1.0.1"
		s.More(t, 2, one)
		unblock := s.Block()
		s.Says(t, 0, "the oldest lines were dropped")
		peak := peer.Status(t, s.Pid(), "VmHWM")
		unblock()
		s.More(t, 2, one)
		// Lines that are dropped after this line was made are not in its count, although they came before it.
		var last peer.Point
		peer.Await(t, "a second without a line dropped", func() bool {
			own := s.Internal(t)
			if own.At.Equal(last.At) {
				return false
			}
			settled := own.Int("lines_dropped") == last.Int("lines_dropped")
			last = own
			return settled
		}, s.Process)
		s.End(t)
		points := s.Points(t)
		own, before, missing := accounts(points)
		dropped, finished := own.Int("lines_dropped"), own.Int("series")-own.Int("series_running")
		// The line is made while series run. Some of them may be in one figure and not in another.
		const slack = targets / 10
		if sum := int64(before) + dropped; sum < finished-slack || sum > finished+slack {
			t.Errorf("%d lines read and %d dropped, of %d series", before, dropped, finished)
		}
		if int64(missing) > own.Int("kernel_drops") { // a busy machine may leave its receive buffer unread
			t.Errorf("%d points with a loss; %v", missing, own.Fields)
		}
		if dropped == 0 || peak > 100<<10 {
			t.Errorf("%d lines dropped, %d kB of memory at most, want some and 100 MiB at most", dropped, peak)
		}
		t.Logf("%d lines read, %d dropped, %d kB of memory at most", before, dropped, peak)
	})
}

// accounts returns the last point of pingtel_internal, how many lines came before it,
// and how many of all lines do not report the reply that the network sent.
func accounts(points []peer.Point) (own peer.Point, before, missing int) {
	for i, p := range points {
		switch {
		case p.Measurement == "pingtel_internal":
			own, before = p, i
		case p.Int("packets_received") != 1:
			missing++
		}
	}
	return own, before, missing
}
