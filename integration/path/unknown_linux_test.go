package path

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestUnknownCodePoint: a router changes the code point and reports an MPLS label. Linux
// keeps the quoted IP header from datagram sockets, so there the code point is not known:
// no cell, null in JSON, and no word of a change. The label is known on both.
func TestUnknownCodePoint(t *testing.T) {
	rules := rulesOf([]fault{{rule: change(func(h []netsim.Hop) {
		h[2].TOS = new(uint8(8 << 2))
		h[3].Quote.Labels = []netsim.Label{{Label: 16003, TTL: 1}}
	})}})
	eachSocket(t, rules, func(t *testing.T, n network) {
		host := place{n.family, 0}.target().String()
		raw := n.kind == icmpcore.SocketRaw
		r := runPath(t, []string{host}, "--socket", n.kind.String())[host]
		if len(r.Hops) != length+1 || r.Cause != "none" || strings.Contains(r.Verdict, "code point") {
			t.Fatalf("%+v", r)
		}
		for i, h := range r.Hops[:length] {
			want := 46
			if i > 2 {
				want = 8
			}
			if raw && (h.DSCP == nil || *h.DSCP != want) || !raw && h.DSCP != nil {
				t.Errorf("hop %d: code point %v", i+1, h.DSCP)
			}
			if (len(h.MPLS) == 1) != (i == 3) || i == 3 && h.MPLS[0].Label != 16003 {
				t.Errorf("hop %d: labels %v", i+1, h.MPLS)
			}
		}
		text, err := exec.CommandContext(t.Context(), peer.Pingtel(), "path", "--dscp", "46", "--socket", n.kind.String(), host).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		for _, known := range []string{"46 EF", "8 CS1"} {
			if strings.Contains(string(text), known) != raw {
				t.Errorf("%s: %s", known, text)
			}
		}
		if !strings.Contains(string(text), "16003") {
			t.Errorf("no label: %s", text)
		}
	})
}
