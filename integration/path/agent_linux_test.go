package path

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestOnLoss runs pingtel as Telegraf does, with [path] on. When a router that is on the
// paths of all targets stops to forward, every target gets a line with the verdict, and
// the log names one cause.
func TestOnLoss(t *testing.T) {
	const targets = 40
	of := func(i int) netip.Addr { return target(icmpcore.FamilyIPv4, i) }
	rules := func(loss float64) (rules []netsim.Rule) {
		for i := range targets {
			hops := make([]netsim.Hop, 6)
			for k := range hops {
				hops[k] = netsim.Hop{Addr: router(icmpcore.FamilyIPv4, k), Delay: ms}
			}
			hops[3].Loss = loss
			rules = append(rules, netsim.Rule{Prefix: prefix(of(i)), Hops: hops})
		}
		return rules
	}
	netsim.Run(t, rules(0), func(t *testing.T, n *netsim.Net) {
		hosts := make([]string, targets)
		for i := range hosts {
			hosts[i] = fmt.Sprintf("%q", of(i))
		}
		file := filepath.Join(t.TempDir(), "pingtel.toml")
		text := "[agent]\ninterval = \"2s\"\n[defaults]\ncount = 2\nping_interval = \"100ms\"\ntimeout = \"500ms\"\n[web]\nlisten = \"127.0.0.1:9473\"\npage = false\n[path]\nwhen = \"loss\"\n[[targets]]\nhosts = [" +
			strings.Join(hosts, ", ") + "]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), peer.Pingtel(), "telegraf", "--config", file)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex // guards lines
		var lines []string
		var latest time.Time // when the last of them came
		var reading sync.WaitGroup
		reading.Go(func() { // ends with the process
			for s := bufio.NewScanner(stdout); s.Scan(); {
				if strings.HasPrefix(s.Text(), "ping_path,") {
					mu.Lock()
					lines = append(lines, s.Text())
					latest = time.Now()
					mu.Unlock()
				}
			}
		})
		with := func(text string) (n int) {
			mu.Lock()
			defer mu.Unlock()
			for _, line := range lines {
				if strings.Contains(line, text) {
					n++
				}
			}
			return n
		}
		peer.Await(t, "the routes of all healthy paths", func() bool { return with(`hops=7i,path="198.18.200.1 198.18.200.2 `) == targets })
		lost := time.Now()
		n.Set(rules(1)...)
		const verdict = `last_hop=3i,last_address="198.18.200.3",verdict="nothing answers beyond `
		peer.Await(t, "a verdict for every target", func() bool { return with(verdict) == targets })
		mu.Lock()
		t.Logf("%d verdicts %v after the loss, with an interval of 2s and a timeout of 500ms", targets, latest.Sub(lost))
		mu.Unlock()
		checkBreaks(t, router(icmpcore.FamilyIPv4, 2), targets)
		if n := with(verdict + "198.18.200.3, as a trace to "); n == 0 {
			t.Error("no target was joined to the cause that a trace had shown")
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		reading.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, errs.String())
		}
		stdin.Close()
		if log := errs.String(); !strings.Contains(log, "failing targets: nothing answers beyond 198.18.200.3") {
			t.Errorf("log: %s", log)
		}
		t.Log(errs.String())
	})
}
