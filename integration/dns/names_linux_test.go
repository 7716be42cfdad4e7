package dns_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

const addr4, addr6 = "198.18.3.1", "2001:db8::31"

// dropped is a name without an answer. Its look-up takes as long as the resolv.conf of
// the tests says, and so does every look-up that waits for a query without an answer.
const dropped = "dropped.test"

// options make a look-up without an answer take so long that even a busy machine can
// tell it from one with an answer.
const options = "timeout:8 attempts:1"

// names are the names of the tests: how the server treats each question, and the address
// that family auto chooses, or the error of the name.
var names = []struct {
	name      string
	a, aaaa   dns.Reply
	addr, err string
}{
	{"both.test", dns.Addr(addr4), dns.Addr(addr6), addr4, ""},
	{"aaaa-dropped.test", dns.Addr(addr4), dns.Reply{Drop: true}, addr4, ""},
	{"aaaa-slow.test", dns.Addr(addr4), dns.Reply{Addrs: dns.Addr(addr6).Addrs, After: 7 * time.Second}, addr4, ""},
	{"aaaa-fails.test", dns.Addr(addr4), dns.Reply{Code: dnsmessage.RCodeServerFailure}, addr4, ""},
	{"aaaa-refused.test", dns.Addr(addr4), dns.Reply{Code: dnsmessage.RCodeRefused}, addr4, ""},
	{"aaaa-empty.test", dns.Addr(addr4), dns.Reply{}, addr4, ""},
	{"a-dropped.test", dns.Reply{Drop: true}, dns.Addr(addr6), addr6, ""},
	{"a-fails.test", dns.Reply{Code: dnsmessage.RCodeServerFailure}, dns.Addr(addr6), addr6, ""},
	{"a-empty.test", dns.Reply{}, dns.Addr(addr6), addr6, ""},
	{"xn--mnchen-3ya.test", dns.Addr(addr4), dns.Reply{Drop: true}, addr4, ""}, // asked for as münchen.test
	{"none.test", dns.Reply{Code: dnsmessage.RCodeNameError}, dns.Reply{Code: dnsmessage.RCodeNameError}, "", "no such host"},
	{"fails.test", dns.Reply{Code: dnsmessage.RCodeServerFailure}, dns.Reply{Code: dnsmessage.RCodeServerFailure}, "", "the DNS server 127.0.0.1 answered with a failure"},
	{dropped, dns.Reply{Drop: true}, dns.Reply{Drop: true}, "", "the DNS server 127.0.0.1 did not answer in time"},
}

// written returns a name in the form that pingtel gets.
func written(name string) string {
	return strings.Replace(name, "xn--mnchen-3ya", "münchen", 1)
}

func rule(name string, ipv6 bool) dns.Reply {
	for _, n := range names {
		switch {
		case n.name == name && ipv6:
			return n.aaaa
		case n.name == name:
			return n.a
		}
	}
	return dns.Reply{Code: dnsmessage.RCodeNameError}
}

// hosts returns the names as they are written. With found it returns only names with an
// address.
func hosts(found bool) (list []string) {
	for _, n := range names {
		if n.addr != "" || !found {
			list = append(list, written(n.name))
		}
	}
	return list
}

func network() []netsim.Rule {
	return []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/15")}, {Prefix: netip.MustParsePrefix("2001:db8::/32")}}
}

// inNetwork runs a test in the simulated network, with the server.
func inNetwork(t *testing.T, test func(t *testing.T, asking func(args ...string) *exec.Cmd)) {
	t.Helper()
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		dns.Serve(t, rule)
		test(t, dns.Asking(t, options))
	})
}

// config writes a configuration of one series of one echo a name.
func config(t *testing.T, more string, list []string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pingtel.toml")
	text := fmt.Sprintf("%s\n[defaults]\ncount = 1\n[[targets]]\nhosts = [\"%s\"]\n", more, strings.Join(list, `", "`))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPing looks up all names at once. Results come as hosts finish: a name whose other
// query is dropped or slow must not come after the name without an answer.
func TestPing(t *testing.T) {
	inNetwork(t, func(t *testing.T, asking func(args ...string) *exec.Cmd) {
		out, err := asking(append([]string{peer.Pingtel(), "ping", "-c", "1", "-j"}, hosts(false)...)...).Output()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("ping ended with %v, want status 1", err)
		}
		type result struct{ Host, Address, Error string }
		got := make(map[string]result)
		var order []string
		for line := range strings.Lines(string(out)) {
			var r result
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			got[r.Host] = r
			order = append(order, r.Host)
		}
		for _, n := range names {
			host := written(n.name)
			r, want := got[host], n.err
			if want != "" {
				want = "lookup " + host + ": " + want
			}
			if r.Address != n.addr || r.Error != want {
				t.Errorf("%+v, want address %q, error %q", r, n.addr, want)
			}
		}
		if i := slices.Index(order, dropped); i != len(names)-1 {
			t.Errorf("results came as %q, want %s as the last", order, dropped)
		}
	})
}

// TestCheck checks each name in less time than a query without an answer takes.
func TestCheck(t *testing.T) {
	inNetwork(t, func(t *testing.T, asking func(args ...string) *exec.Cmd) {
		args := func(hosts ...string) []string {
			return append([]string{peer.Pingtel(), "check", "-n", "1", "-w", "2s,50%", "-c", "2s,90%", "-t", "6"}, hosts...)
		}
		out, err := peer.Output(asking(args(hosts(true)...)...))
		if err != nil || !strings.HasPrefix(out, "PING OK - ") {
			t.Errorf("%v, %s", err, out)
		}
		for host, want := range map[string]string{
			"none.test": "name not resolved: no such host",
			dropped:     "name not resolved: the DNS did not answer in time",
		} {
			out, err := peer.Output(asking(args(host)...))
			exit := (*exec.ExitError)(nil)
			if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(out, "PING UNKNOWN - "+host+": "+want) {
				t.Errorf("%s: %v, want status 3 and %q", host, err, want)
			}
		}
	})
}

// checkPoint compares the first point of a host with the result of its look-up.
func checkPoint(t *testing.T, points []peer.Point, host, addr, text string) {
	t.Helper()
	of := peer.Of(points, host)
	if len(of) == 0 {
		t.Errorf("%s has no point", host)
		return
	}
	p := of[0]
	said, _ := p.Fields["error"].(string)
	want := int64(2)
	if addr != "" {
		want = 0
	}
	if p.Int("result_code") != want || p.Tags["address"] != addr || !strings.Contains(said, text) {
		t.Errorf("%s: first point %v %v, want address %q, error %q", host, p.Tags, p.Fields, addr, text)
	}
}

// TestTelegraf checks the first point of each name: on the schedule, in one round for
// all, and in rounds that stdin asks for.
func TestTelegraf(t *testing.T) {
	inNetwork(t, func(t *testing.T, asking func(args ...string) *exec.Cmd) {
		t.Run("schedule", func(t *testing.T) {
			s := peer.StartService(t, "[agent]\ninterval = \"3s\"\n[defaults]\ncount = 1\n[[targets]]\nhosts = [\""+strings.Join(hosts(false), `", "`)+"\"]\n", asking)
			s.More(t, 1, hosts(false)...)
			points := s.Points(t)
			s.End(t)
			for _, n := range names {
				text := n.err
				if n.name == dropped { // the series waits for its interval at most
					text = "no answer from the DNS yet"
				}
				checkPoint(t, points, written(n.name), n.addr, text)
			}
		})
		t.Run("once", func(t *testing.T) {
			out, err := asking(peer.Pingtel(), "telegraf", "--once", "--config", config(t, "", hosts(false))).Output()
			if err != nil {
				t.Error(err)
			}
			points, err := peer.ParsePoints(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range names {
				text := n.err
				if n.name == dropped { // the round waits for six seconds
					text = "no answer from the DNS yet"
				}
				checkPoint(t, points, written(n.name), n.addr, text)
			}
		})
		t.Run("stdin", func(t *testing.T) {
			cmd := asking(peer.Pingtel(), "telegraf", "--config", config(t, "[telegraf]\nsignal = \"STDIN\"\n", hosts(true)))
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out lines
			cmd.Stdout = &out
			p := peer.Start(t, cmd)
			for round := 1; round <= 2; round++ {
				if _, err := stdin.Write([]byte("\n")); err != nil {
					t.Fatal(err)
				}
				peer.Await(t, "the round's points", func() bool {
					return slices.IndexFunc(hosts(true), func(h string) bool { return len(peer.Of(out.points(t), h)) < round }) < 0
				}, p)
			}
			stdin.Close()
			peer.Await(t, "the end", p.Ended)
			for _, n := range names {
				if n.addr != "" {
					checkPoint(t, out.points(t), written(n.name), n.addr, "")
				}
			}
		})
	})
}

// lines keeps what a process prints.
type lines struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

// whole returns all lines that have ended.
func (l *lines) whole() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text[:strings.LastIndexByte(string(l.text), '\n')+1])
}

func (l *lines) points(t *testing.T) []peer.Point {
	t.Helper()
	points, err := peer.ParsePoints([]byte(l.whole()))
	if err != nil {
		t.Fatal(err)
	}
	return points
}

// TestFamilies has files with one family, or both, for names whose other query is never
// answered.
func TestFamilies(t *testing.T) {
	inNetwork(t, func(t *testing.T, asking func(args ...string) *exec.Cmd) {
		file := filepath.Join(t.TempDir(), "pingtel.toml")
		text := `[defaults]
count = 1
[[targets]]
hosts = ["aaaa-dropped.test"]
family = "ipv4"
tags = { want = "ipv4" }
[[targets]]
hosts = ["a-dropped.test"]
family = "ipv6"
tags = { want = "ipv6" }
[[targets]]
hosts = ["aaaa-empty.test"]
family = "ipv6"
tags = { want = "none" }
[[targets]]
hosts = ["aaaa-dropped.test"]
family = "both"
tags = { want = "both" }
`
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := asking(peer.Pingtel(), "telegraf", "--once", "--config", file).Output()
		if err != nil {
			t.Error(err)
		}
		points, err := peer.ParsePoints(out)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int)
		for _, p := range points {
			if p.Measurement == "ping" {
				text, _ := p.Fields["error"].(string)
				got[p.Tags["want"]+" "+p.Tags["address"]+text]++
			}
		}
		for _, want := range []string{"ipv4 " + addr4, "ipv6 " + addr6, "none lookup aaaa-empty.test: no IPv6 address",
			"both " + addr4, "both lookup aaaa-dropped.test: no answer from the DNS yet"} {
			if got[want] != 1 {
				t.Errorf("points %v, want one %q", got, want)
			}
		}
	})
}

// TestOTel waits until the addresses of all names are in the pushed metrics.
func TestOTel(t *testing.T) {
	inNetwork(t, func(t *testing.T, asking func(args ...string) *exec.Cmd) {
		cmd := asking(peer.Pingtel(), "otel", "--stdout", "--config", config(t, "[agent]\ninterval = \"3s\"\n[otel]\ninterval = \"1s\"\n", hosts(true)))
		var out lines
		cmd.Stdout = &out
		p := peer.Start(t, cmd)
		peer.Await(t, "each name with its address", func() bool {
			text := out.whole()
			for _, n := range names {
				if n.addr != "" && !pushed(text, written(n.name), n.addr) {
					return false
				}
			}
			return true
		}, p)
		if text := out.whole(); strings.Contains(text, `"resolve"`) {
			t.Error("a series of a name with an address failed for its look-up")
		}
		if _, status := p.Stop(); status != 0 {
			t.Errorf("otel ended with %d", status)
		}
	})
}

// pushed reports whether a point of OTLP's JSON has a host and its address.
func pushed(text, host, addr string) bool {
	for part := range strings.SplitSeq(text, `"attributes":`) {
		attributes, _, _ := strings.Cut(part, "]")
		if strings.Contains(attributes, `"`+host+`"`) && strings.Contains(attributes, `"`+addr+`"`) {
			return true
		}
	}
	return false
}

// TestLateAnswer has a server whose A reply comes after the series has started over IPv6.
// It must count from the next round on, and stay while the server fails.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		server := dns.Serve(t, func(_ string, ipv6 bool) dns.Reply {
			r := dns.Addr(addr4, addr6)
			if !ipv6 {
				r.After = 1500 * time.Millisecond
			}
			return r
		})
		s := peer.StartService(t, "[agent]\ninterval = \"1s\"\n[defaults]\ncount = 1\ntimeout = \"500ms\"\n[[targets]]\nhosts = [\"late.test\"]\n", dns.Asking(t, options))
		last := func(addr string) func() bool {
			return func() bool {
				of := s.Of(t, "late.test")
				return len(of) > 0 && of[len(of)-1].Tags["address"] == addr
			}
		}
		peer.Await(t, "IPv4", last(addr4), s.Process)
		if first := s.Of(t, "late.test")[0]; first.Tags["address"] != addr6 {
			t.Errorf("the first series went to %s, want %s", first.Tags["address"], addr6)
		}
		server.Say(func(_ string, ipv6 bool) dns.Reply {
			if !ipv6 {
				return dns.Reply{Code: dnsmessage.RCodeServerFailure}
			}
			return dns.Addr(addr6)
		})
		s.Says(t, 0, "look-up failed host=late.test")
		s.More(t, 2, "late.test")
		if !last(addr4)() {
			t.Error("the last good IPv4 address did not stay")
		}
		server.Say(func(_ string, ipv6 bool) dns.Reply {
			if !ipv6 {
				return dns.Reply{}
			}
			return dns.Addr(addr6)
		})
		peer.Await(t, "IPv6, now that the name has no IPv4 address", last(addr6), s.Process)
		s.End(t)
	})
}

// TestDescriptors looks a name up without a free file descriptor. That is not an answer
// of the DNS about the name.
func TestDescriptors(t *testing.T) {
	inNetwork(t, func(t *testing.T, asking func(args ...string) *exec.Cmd) {
		const want = "both.test: name not resolved: cannot query the DNS: too many open files"
		seen := false
		for limit := 8; limit <= 30; limit++ {
			out, err := asking("sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, limit), "sh", peer.Pingtel(), "ping", "-c", "1", "both.test").CombinedOutput()
			text := string(out)
			begun := strings.Contains(text, "both.test")
			seen = seen || strings.Contains(text, want)
			if err != nil && begun && !strings.Contains(text, want) {
				t.Errorf("%d descriptors: %v, %s", limit, err, text)
			}
		}
		if !seen {
			t.Error("no limit let pingtel start and its look-up fail")
		}
	})
}
