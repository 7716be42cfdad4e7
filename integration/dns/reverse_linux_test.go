package dns_test

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// reverse has the names of the hops 198.18.200.1 and so on.
var reverse = []dns.Reply{
	{Name: "core1.example.net."},
	{Name: "\x1b[2J\x1b]0;owned\a\x9b31m.example."},
	{Name: "\u202emoc.elpmaxe\u2066|rta=0;;;;.example."},
	{Name: "\xff\xfe\xc3(.example."},
	{Name: strings.Repeat(strings.Repeat("n", 60)+".", 4)},
	{Code: dnsmessage.RCodeServerFailure},
	{Drop: true},
	{Name: "x (198.18.9.9)\n 9  198.18.9.9  3/3.example."},
}

// TestPathNames: names of hops come from strangers. What they hold reaches neither the
// terminal nor breaks JSON, and each hop keeps its address and figures.
func TestPathNames(t *testing.T) {
	t.Parallel()
	var routers []netip.Addr
	for i := range reverse {
		routers = append(routers, netip.AddrFrom4([4]byte{198, 18, 200, byte(i + 1)}))
	}
	rule := netsim.Rule{Prefix: netip.MustParsePrefix("198.18.1.0/24"), Hops: netsim.Routers(routers...)}
	netsim.Run(t, []netsim.Rule{rule}, func(t *testing.T, _ *netsim.Net) {
		dns.Serve(t, func(name string, _ bool) dns.Reply {
			last, _, _ := strings.Cut(name, ".")
			if i, err := strconv.Atoi(last); err == nil && strings.HasSuffix(name, ".200.18.198.in-addr.arpa") && i >= 1 && i <= len(reverse) {
				return reverse[i-1]
			}
			return dns.Reply{Code: dnsmessage.RCodeNameError}
		})
		asking := dns.Asking(t, "timeout:30 attempts:5")
		// Enough echoes to each hop that names come before the trace ends.
		path := []string{peer.Pingtel(), "path", "--names", "-c", "30", "-i", "0.1"}
		var stderr strings.Builder
		cmd := asking(append(path, "198.18.1.1")...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || !utf8.Valid(out) {
			t.Fatalf("%v: %q, %s", err, out, stderr.String())
		}
		if want := "pingtel: note: 1 name did not come in time: the next run may find it\n"; stderr.String() != want {
			t.Errorf("stderr %q, want %q", stderr.String(), want)
		}
		lines := strings.Split(string(out), "\n")
		if len(lines) != 1+1+len(reverse)+1+1+1 {
			t.Errorf("%d lines:\n%s", len(lines), out)
		}
		for i := range reverse {
			line := lines[2+i]
			if !strings.Contains(line, routers[i].String()) || !strings.Contains(line, " 30/30 ") || strings.Contains(line, "(198.18.9.9)") {
				t.Errorf("hop %d: %q", i+1, line)
			}
			if strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c >= 0x7f && c <= 0x9f || c == 0x202e || c == 0x2066 }) {
				t.Errorf("hop %d has control characters: %q", i+1, line)
			}
		}
		if !strings.Contains(lines[2], "  core1.example.net (198.18.200.1) ") {
			t.Errorf("the first hop: %q", lines[2])
		}
		namesInJSON(t, asking(append(path, "-j", "198.18.1.1")...))
	})
}

// namesInJSON checks the names that path prints as JSON.
func namesInJSON(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	out := string(b)
	var doc struct {
		Hops []struct {
			Addresses []string
			Names     []*string
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || !utf8.ValidString(out) || strings.Count(out, "\n") != 1 {
		t.Fatalf("%v: %q", err, out)
	}
	if len(doc.Hops) != len(reverse)+1 {
		t.Fatalf("%d hops: %s", len(doc.Hops), out)
	}
	for i, h := range doc.Hops {
		if len(h.Names) != 1 || len(h.Addresses) != 1 {
			t.Errorf("hop %d: %+v", i+1, h)
		}
	}
	if name := doc.Hops[0].Names[0]; name == nil || *name != "core1.example.net" {
		t.Errorf("the first hop: %s", out)
	}
	for _, silent := range []int{5, 6, 8} { // a failure, no answer, no such name
		if doc.Hops[silent].Names[0] != nil {
			t.Errorf("hop %d has the name %q", silent+1, *doc.Hops[silent].Names[0])
		}
	}
}
