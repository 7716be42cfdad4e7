package path

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// report is what `pingtel path -j` prints of a host.
type report struct {
	Host        string
	Reached     bool
	Length      *int
	Hops        []hop
	Cause       string
	LastHop     *int    `json:"last_hop"`
	LastAddress *string `json:"last_address"`
	MTU         *int
	Verdict     string

	raw bool // the socket
}

type hop struct {
	Addresses     []string
	Sent, Answers int
	DSCP          *int
	MPLS          []struct{ Label int }
	Limited       bool
}

// TestVerdicts traces many paths at once by the command, each with one fault. Each
// must get the right cause and hop, on raw and datagram sockets, over IPv4 and IPv6.
func TestVerdicts(t *testing.T) {
	faults := slices.Concat(sound(), limited(), silent(), partial(), refused())
	deadBranches := fault{name: "one of two branches is dead", rule: func(p place) netsim.Rule { return branches(p, true) }, check: deadBranch}
	faults = append(faults, deadBranches, deadBranches, deadBranches)
	t.Run("echoes", func(t *testing.T) { judged(t, faults) })
	t.Run("mtu", func(t *testing.T) { judged(t, tooLarge(), "--mtu") })
}

// judged traces a target for each fault.
func judged(t *testing.T, faults []fault, flags ...string) {
	rules := func(f icmpcore.Family) []netsim.Rule {
		var rules []netsim.Rule
		for i, fault := range faults {
			rules = append(rules, fault.rule(place{f, i}))
		}
		return rules
	}
	eachSocket(t, rules, func(t *testing.T, n network) {
		if err := n.SetMTU(1500); err != nil {
			t.Fatal(err)
		}
		var hosts []string
		for i := range faults {
			hosts = append(hosts, place{n.family, i}.target().String())
		}
		reports := runPath(t, hosts, append(flags, "--socket", n.kind.String())...)
		for i, f := range faults {
			p := place{n.family, i}
			r, ok := reports[p.target().String()]
			if !ok {
				t.Errorf("%s: no report", f.name)
				continue
			}
			r.raw = n.kind == icmpcore.SocketRaw
			if err := f.judge(p, r); err != nil {
				t.Errorf("%s: %v\n%s\n%s", f.name, err, r.Verdict, r.table())
			}
		}
	})
}

// judge compares a report with what the fault must get.
func (f *fault) judge(p place, r report) error {
	if f.cause != "" {
		last := 0
		if r.LastHop != nil {
			last = *r.LastHop
		}
		if r.Cause != f.cause || last != f.lastHop && f.lastHop > 0 || r.Reached == f.down {
			return fmt.Errorf("cause %s, last hop %d, reached %v; want %s, %d, %v", r.Cause, last, r.Reached, f.cause, f.lastHop, !f.down)
		}
		if f.lastHop == 0 && (f.cause == "silent_beyond" || f.cause == "loss_beyond") && last != 0 {
			return fmt.Errorf("last hop %d, want none", last)
		}
	}
	if f.mtu > 0 && (r.MTU == nil || *r.MTU != f.mtu) {
		return fmt.Errorf("MTU %v, want %d", r.MTU, f.mtu)
	}
	if f.check != nil {
		return f.check(p, r)
	}
	return nil
}

// table shows the answers of each hop.
func (r *report) table() string {
	var b strings.Builder
	for i, h := range r.Hops {
		fmt.Fprintf(&b, "  %d %v %d/%d", i+1, h.Addresses, h.Answers, h.Sent)
	}
	return b.String()
}

// runPath traces hosts by the command, and returns its reports by host.
func runPath(t *testing.T, hosts []string, flags ...string) map[string]report {
	t.Helper()
	args := append([]string{"path", "-j", "-c", "20", "-t", "3", "--dscp", "46", "-f", "-"}, flags...)
	cmd := exec.CommandContext(t.Context(), peer.Pingtel(), args...)
	cmd.Stdin = strings.NewReader(strings.Join(hosts, "\n"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) || errs.Len() > 0 {
		t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	reports := map[string]report{}
	for line := range bytes.Lines(out.Bytes()) {
		var r report
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		reports[r.Host] = r
	}
	return reports
}
