package path

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/agent"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/testlog"
)

var storm = flag.Int("storm", 0, "how many targets TestManyFail has; 0 leaves it out")

// stormNet is the network of TestManyFail: one target of a hundred is healthy. All others
// are behind the second router, in front of four more.
type stormNet struct{ targets int }

func (s stormNet) broken(i int) bool { return i%100 > 0 }

func (s stormNet) target(i int) netip.Addr {
	if s.broken(i) {
		return netip.AddrFrom4([4]byte{198, 18, byte(4 + i/250), byte(1 + i%250)})
	}
	i /= 100
	return netip.AddrFrom4([4]byte{198, 19, byte(i / 250), byte(1 + i%250)})
}

// router returns the address of a router.
func (s stormNet) router(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 19, 200, byte(i)}) }

func (s stormNet) rules(loss float64) []netsim.Rule {
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.19.0.0/17"), Delay: 3 * ms,
		Hops: netsim.Routers(s.router(1), s.router(10), s.router(11))}}
	for i := range 4 {
		hops := netsim.Routers(s.router(1), s.router(2), s.router(20+i))
		hops[2].Loss = loss
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(64 * i), 0}), 18)
		rules = append(rules, netsim.Rule{Prefix: prefix, Hops: hops, Delay: 3 * ms})
	}
	return rules
}

// file writes the configuration.
func (s stormNet) file(t *testing.T) string {
	var b strings.Builder
	b.WriteString("[agent]\ninterval = \"60s\"\n[defaults]\ntimeout = \"2s\"\n[web]\nlisten = \"127.0.0.1:9473\"\npage = false\n[path]\nwhen = \"loss\"\n[[targets]]\nhosts = [\n")
	for i := range s.targets {
		fmt.Fprintf(&b, "%q,\n", s.target(i))
	}
	b.WriteString("]\n")
	name := filepath.Join(t.TempDir(), "pingtel.toml")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// stormLines counts the lines for Telegraf.
type stormLines struct {
	mu       sync.Mutex // guards what follows
	known    map[string]bool
	verdicts map[string]int // of failing targets
	traced   int            // of them, by a trace of their own
	lost     []string       // lines of healthy targets that lost an echo
	series   int
}

func (l *stormLines) read(r io.Reader, verdict string) {
	for s := bufio.NewScanner(r); s.Scan(); {
		line := s.Text()
		host, _, _ := strings.Cut(line, " ")
		_, host, _ = strings.Cut(host, "url=")
		l.mu.Lock()
		switch {
		case strings.HasPrefix(line, "ping_path,") && strings.Contains(line, verdict):
			l.verdicts[host]++
			if strings.Contains(line, ",path=") || strings.Contains(line, " path=") {
				l.traced++
			}
		case strings.HasPrefix(line, "ping_path,"):
			l.known[host] = true
		case strings.HasPrefix(line, "ping,"):
			l.series++
			if strings.HasPrefix(host, "198.19.") && !strings.Contains(line, ",percent_packet_loss=0,") {
				l.lost = append(l.lost, line)
			}
		}
		l.mu.Unlock()
	}
}

// count returns how many paths are known, how many targets have a verdict, and how many
// series there were.
func (l *stormLines) count() (known, verdicts, series int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.known), len(l.verdicts), l.series
}

// extra returns how many of the requests that arrived since Forget are of traces: those
// whose TTL ends at a hop. Of each trace one more goes to the target.
func extra(n *netsim.Net) (traces, all int) {
	for _, r := range n.Arrived() {
		if all++; r.TTL < 60 {
			traces++
		}
	}
	return traces, all
}

// TestManyFail breaks a router on the path to 99 of 100 targets, and runs the agent with the
// outputs for Telegraf and Prometheus. Only the budget of traces is raised until the healthy
// paths are known, which would take hours.
func TestManyFail(t *testing.T) {
	if *storm == 0 {
		t.Skip("path: a long run: go test ./integration/path -v -run TestManyFail -storm=50000 -timeout 30m")
	}
	s := stormNet{*storm}
	netsim.Run(t, s.rules(0), func(t *testing.T, n *netsim.Net) {
		var learning atomic.Bool
		learning.Store(true)
		file := s.file(t)
		log, signals := new(testlog.Buffer), make(chan os.Signal, 1)
		level := new(slog.LevelVar)
		in, stdin := io.Pipe()
		stdout, out := io.Pipe()
		o := agent.Options{Command: "telegraf", Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})), Level: level,
			Signals: signals, Stdin: in, Stdout: out}
		o.Load = func() (*config.Config, error) {
			c, err := config.Load(file, os.LookupEnv)
			if err == nil && learning.Load() {
				c.Path.Share, c.Path.Max = 1, 1000
			}
			return c, err
		}
		o.Open = func(_ context.Context, c *config.Config, _ func(error)) (agent.Prober, error) {
			return icmpcore.Open(icmpcore.Config{MaxRate: c.Agent.MaxRate})
		}
		lines := &stormLines{known: map[string]bool{}, verdicts: map[string]int{}}
		var running sync.WaitGroup
		running.Go(func() { lines.read(stdout, `verdict="nothing answers beyond `) })
		running.Go(func() { // ends when stdin does
			if err := agent.Run(t.Context(), o); err != nil {
				t.Error(err)
			}
			out.Close()
		})
		long := func(what string, done func() bool) {
			t.Helper()
			begun := time.Now()
			for !done() {
				if time.Since(begun) > 12*time.Minute {
					known, verdicts, _ := lines.count()
					t.Fatalf("no %s; %d paths known, %d verdicts\n%s", what, known, verdicts, log)
				}
				time.Sleep(100 * ms) // to look, nothing waits for it
			}
			t.Logf("%s: %v", what, time.Since(begun).Round(ms))
		}
		long("paths of all targets", func() bool { known, _, _ := lines.count(); return known == s.targets })
		learning.Store(false)
		signals <- syscall.SIGHUP
		_, _, series := lines.count()
		n.Forget()
		long("a healthy interval", func() bool { _, _, now := lines.count(); return now >= series+s.targets })
		traces, all := extra(n)
		t.Logf("healthy: %d echoes, of which %d of traces: %.2f %%", all, traces, 100*float64(traces)/float64(all-traces))

		n.Forget()
		n.Set(s.rules(1)...)
		failing := s.targets - (s.targets+99)/100
		begun := time.Now()
		long("verdicts for all failing targets", func() bool { _, verdicts, _ := lines.count(); return verdicts == failing })
		took := time.Since(begun)
		_, _, series = lines.count()
		long("another interval", func() bool { _, _, now := lines.count(); return now >= series+s.targets })
		traces, all = extra(n)
		share := 100 * float64(traces+lines.traced) / float64(all-traces)
		t.Logf("broken: %d verdicts within %v of the break, %d by traces of their own; %d echoes, of which %d of traces: %.2f %%", failing, took, lines.traced, all, traces, share)
		if share > 1 && s.targets >= 50_000 { // of fewer targets the least budget is a larger part
			t.Errorf("%.2f %% more echoes", share)
		}
		checkBreaks(t, s.router(2), failing)
		stdin.Close()
		running.Wait()
		if len(lines.lost) > 0 {
			t.Errorf("%d series of healthy targets lost echoes, such as %s", len(lines.lost), lines.lost[0])
		}
		causes := regexp.MustCompile(`msg="([^"]*(?:failing targets|answers beyond)[^"]*)"`).FindAllStringSubmatch(log.String(), -1)
		text := strings.TrimPrefix(fmt.Sprintf("%d,%03d", failing/1000, failing%1000), "0,")
		want := fmt.Sprintf("%s of %s failing targets: nothing answers beyond %s", text, text, s.router(2))
		if len(causes) != 1 || causes[0][1] != want {
			t.Errorf("log %q, want %q", causes, want)
		}
		t.Log(log)
	})
}

// checkBreaks looks for the breaks in /metrics.
func checkBreaks(t *testing.T, last netip.Addr, failing int) {
	t.Helper()
	r, err := http.Get("http://127.0.0.1:9473/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close() // was only read
	var breaks []string
	scan := bufio.NewScanner(r.Body)
	for scan.Scan() {
		if strings.HasPrefix(scan.Text(), "ping_path_breaks") {
			breaks = append(breaks, scan.Text())
		}
	}
	if err := scan.Err(); err != nil {
		t.Error(err)
	}
	want := fmt.Sprintf("ping_path_breaks_total{ping_path_last_address=%q} %d", last, failing)
	if len(breaks) != 1 || breaks[0] != want {
		t.Errorf("breaks %q, want %q", breaks, want)
	}
}
