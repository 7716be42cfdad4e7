package path

import (
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var withMTR = flag.Bool("mtr", false, "read mtr's report on the scripted faults beside the verdicts")

// TestMTR reads mtr's report on each scripted fault as people do: the first hop with
// loss is to blame. It writes a table of that and of the verdicts.
func TestMTR(t *testing.T) {
	if !*withMTR {
		t.Skip("takes a minute: go test ./integration/path -run TestMTR -v -mtr")
	}
	mtr, err := exec.LookPath("mtr")
	if err != nil {
		t.Skip("mtr not installed: apt-get install mtr-tiny")
	}
	faults := slices.Concat(sound(), limited(), silent(), partial(), refused())
	for _, f := range []icmpcore.Family{icmpcore.FamilyIPv4, icmpcore.FamilyIPv6} {
		t.Run(f.String(), func(t *testing.T) {
			netsim.Run(t, rulesOf(faults)(f), func(t *testing.T, n *netsim.Net) {
				var hosts []string
				for i := range faults {
					hosts = append(hosts, place{f, i}.target().String())
				}
				reports := runPath(t, hosts)
				blamed := blame(t, mtr, hosts)
				right, rightMTR := 0, 0
				var b strings.Builder
				for i, fault := range faults {
					p := place{f, i}
					r := reports[hosts[i]]
					r.raw = true
					verdict := mark(fault.judge(p, r) == nil, &right)
					fmt.Fprintf(&b, "%-52s | %-13s %-2s | %-5s | %-9s %s\n", fault.name, r.Cause, number(r.LastHop), verdict,
						blamed[i].text(), mark(fault.blames(r, blamed[i].hop), &rightMTR))
				}
				t.Logf("fault | cause and last hop of pingtel path | right | first hop with loss of mtr, and right\n%s%d of %d right; mtr %d",
					b.String(), right, len(faults), rightMTR)
			})
		})
	}
}

// mark counts what is right.
func mark(right bool, count *int) string {
	if !right {
		return "wrong"
	}
	*count++
	return "right"
}

func number(n *int) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// blames reports whether the first hop with loss is where the fault is: behind the
// last hop up to which all is well, or the hop that refuses the echoes.
func (f *fault) blames(r report, hop int) bool {
	last := f.lastHop
	switch {
	case f.cause == "none" || f.cause == "rate_limited" || f.cause == "" && r.Reached:
		return hop == 0
	case f.cause == "":
		last = 2 // the dead branch
	case f.cause == "unreachable" && last == 0:
		return hop > 0
	case f.cause == "unreachable":
		return hop == last || hop == last+1
	}
	return hop == last+1
}

// blamed is the first hop with loss in a report of mtr; 0 if there is none.
type blamed struct {
	hop  int
	loss float64
}

func (b blamed) text() string {
	if b.hop == 0 {
		return "none"
	}
	return fmt.Sprintf("%d (%.0f %%)", b.hop, b.loss)
}

// blame runs mtr for every host.
func blame(t *testing.T, mtr string, hosts []string) []blamed {
	found := make([]blamed, len(hosts))
	var running sync.WaitGroup
	turns := make(chan bool, 8)
	for i, host := range hosts {
		turns <- true
		running.Go(func() {
			defer func() { <-turns }()
			out, err := peer.Output(exec.CommandContext(t.Context(), mtr, "--report", "-c", "10", "-i", "0.1", "-G", "1", "-j", "-n", host))
			var doc struct {
				Report struct {
					Hubs []struct {
						Count int
						Loss  float64 `json:"Loss%"`
					}
				}
			}
			if err == nil {
				err = json.Unmarshal([]byte(out), &doc)
			}
			if err != nil {
				t.Errorf("%s: %v\n%s", host, err, out)
				return
			}
			for _, h := range doc.Report.Hubs {
				if h.Loss > 0 {
					found[i] = blamed{h.Count, h.Loss}
					break
				}
			}
		})
	}
	running.Wait()
	return found
}
