package path

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

var (
	target = netip.MustParseAddr("198.18.1.1")
	noon   = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
)

func hopAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 200, byte(i)}) }

// traceOf makes a trace of answers per echoes: "3/3 0/3 1/3 T2/3", where T is the target,
// and "@9" behind a hop gives it another address. The last field may be "-0/6": echoes
// with enough TTL that the target did not answer.
func traceOf(t *testing.T, text string) *Trace {
	t.Helper()
	tr := &Trace{Host: "host", Addr: target, Start: noon}
	for i, field := range strings.Fields(text) {
		figures, other, _ := strings.Cut(field, "@")
		h := Hop{TTL: i + 1, DSCP: -1, Target: figures[0] == 'T'}
		if _, err := fmt.Sscanf(strings.TrimLeft(figures, "T-"), "%d/%d", &h.Answers, &h.Sent); err != nil {
			t.Fatalf("%q: %v", field, err)
		}
		tr.Sent += h.Sent
		from := hopAddr(i + 1)
		switch {
		case figures[0] == '-':
			tr.EndSent = h.Sent
			continue
		case h.Target:
			from, tr.Reached, tr.EndSent, tr.EndReceived = target, true, h.Sent, h.Answers
		case other != "":
			var n int
			if _, err := fmt.Sscan(other, &n); err != nil {
				t.Fatal(err)
			}
			from = hopAddr(n)
		}
		if h.Answers > 0 {
			h.From = []Address{{Addr: from, Answers: h.Answers, Proven: true}}
		}
		tr.Hops = append(tr.Hops, h)
	}
	for len(tr.Hops) > 0 && tr.Hops[len(tr.Hops)-1].Answers == 0 {
		tr.Hops = tr.Hops[:len(tr.Hops)-1]
	}
	return tr
}

// TestJudge looks at the sentence for many traces.
func TestJudge(t *testing.T) {
	const healthy = "3/3 3/3 3/3 3/3 T3/3"
	unreachable := func(kind icmpcore.ErrorKind, message string, from netip.Addr, n int) func(*Trace) {
		return func(tr *Trace) {
			tr.Error = &icmpcore.EchoError{Kind: kind, Code: 1, Message: message, From: from, Quote: &icmpcore.Quote{Cookie: true}}
			tr.Errors, tr.ErrorHop = n, tr.hopOf(from)
		}
	}
	for _, tt := range []struct {
		name, trace, before string
		change              func(*Trace)
		series              Series
		cause               Cause
		last                int
		text                string
	}{
		{"healthy", healthy, "", nil, Series{}, None, 5, "the target answers, 5 hops away"},
		{"one hop", "T3/3", "", nil, Series{}, None, 1, "the target answers, 1 hop away"},
		{"as before", healthy, healthy, nil, Series{}, None, 5, "the target answers, 5 hops away"},
		{"the loss is over", healthy, healthy, nil, Series{5, 3}, None, 5,
			"the target answers, 5 hops away; this trace lost nothing, so the loss of 2 of 5 echoes before it is over or rare"},
		{"a silent hop", "3/3 0/3 3/3 0/3 T3/3", healthy, nil, Series{}, None, 5, "the target answers, 5 hops away"},

		// Silence.
		{"silent", "3/3 3/3 3/3 -0/30", "", nil, Series{}, SilentBeyond, 3, "nothing answers beyond hop 3, 198.18.200.3"},
		{"silent, path known", "3/3 3/3 -0/30", healthy, nil, Series{5, 0}, SilentBeyond, 2,
			"nothing answers beyond hop 2, 198.18.200.2; before the loss the path continued to hop 3, 198.18.200.3"},
		{"silent, a hop never answered", "3/3 3/3 -0/30", "3/3 3/3 0/3 3/3 T3/3", nil, Series{}, SilentBeyond, 2,
			"nothing answers beyond hop 2, 198.18.200.2; before the loss the path continued to hop 4, 198.18.200.4"},
		{"silent, no hop answered behind", "3/3 3/3 -0/30", "3/3 3/3 0/3 T3/3", nil, Series{}, SilentBeyond, 2,
			"nothing answers beyond hop 2, 198.18.200.2; before the loss the path continued to hop 4, 198.18.1.1, the target"},
		{"the target", "3/3 3/3 3/3 3/3 -0/4", healthy, nil, Series{}, TargetItself, 4,
			"the last hop before the target answers (hop 4, 198.18.200.4), but the target does not: it is the target itself, or the way back from it"},
		{"the target, no path known", "3/3 3/3 3/3 3/3 -0/4", "", nil, Series{}, SilentBeyond, 4, "nothing answers beyond hop 4, 198.18.200.4"},
		{"nothing at all", "-0/30", "", nil, Series{}, SilentBeyond, 0, "nothing answers, not even a first hop"},
		{"nothing at all, path known", "-0/30", healthy, nil, Series{}, SilentBeyond, 0,
			"nothing answers, not even a first hop; before the loss the path continued to hop 1, 198.18.200.1"},
		{"a neighbour", "-0/3", "T3/3", nil, Series{}, TargetItself, 0, "the target does not answer, and there was no hop before it"},
		{"nothing left", "-0/3", "", func(tr *Trace) { tr.Held = true }, Series{}, SilentBeyond, 0,
			"no request left this machine: the next hop does not answer ARP or neighbour discovery, or the network device is stalled"},
		{"silent and changed", "3/3 3/3@9 -0/30", healthy, nil, Series{}, SilentBeyond, 2,
			"nothing answers beyond hop 2, 198.18.200.9; the path has changed since 12:00:00: hop 2 is 198.18.200.9, and was 198.18.200.2"},
		{"limited before silence", "3/3 1/3 3/3 -0/30", "", nil, Series{}, SilentBeyond, 3, "nothing answers beyond hop 3, 198.18.200.3"},
		{"nothing was sent", "", "", func(tr *Trace) { tr.Err = errors.New("icmpcore: no route to host") }, Series{}, None, 0,
			"nothing could be sent: no route to host"},

		// ICMP errors.
		{"unreachable", "3/3 3/3 -0/9", healthy, unreachable(icmpcore.DestinationUnreachable, "host unreachable", hopAddr(2), 9), Series{}, Unreachable, 2,
			"hop 2, 198.18.200.2 reports: host unreachable"},
		{"unreachable by a stranger", "3/3 3/3 -0/9", healthy, unreachable(icmpcore.DestinationUnreachable, "host unreachable", hopAddr(77), 9), Series{}, Unreachable, 0,
			"198.18.200.77 reports: host unreachable"},
		{"refused by the target", "3/3 3/3 -0/9", "", unreachable(icmpcore.DestinationUnreachable, "communication prohibited", target, 9), Series{}, Unreachable, 0,
			"the target, 198.18.1.1, reports: communication prohibited"},
		{"unreachable at times", "3/3 3/3 T5/10", "", unreachable(icmpcore.DestinationUnreachable, "host unreachable", hopAddr(2), 5), Series{}, Unreachable, 2,
			"hop 2, 198.18.200.2 reports: host unreachable; 5 of 10 echoes were answered"},
		{"one error among replies", "3/3 3/3 T3/3", "", unreachable(icmpcore.DestinationUnreachable, "host unreachable", hopAddr(2), 1), Series{}, None, 3,
			"the target answers, 3 hops away"},
		{"a loop", "3/3 3/3 3/3@1 3/3@2 3/3@1 -0/9", "", func(tr *Trace) {
			tr.Error, tr.Errors, tr.ErrorHop = &icmpcore.EchoError{Kind: icmpcore.TimeExceeded, From: hopAddr(2)}, 1, 2
		}, Series{}, Unreachable, 2, "hop 2, 198.18.200.2 reports that echoes used up their TTL: 198.18.200.1 answers for hop 1 and again for hop 3, so packets go round in a loop"},
		{"too big", "3/3 3/3 -0/9", "", unreachable(icmpcore.PacketTooBig, "packet too big", hopAddr(2), 9), Series{}, TooLarge, 2,
			"hop 2, 198.18.200.2 reports: packet too big"},

		// A part is lost.
		{"one echo is no verdict", "5/5 5/5 5/5 5/5 T4/5", "", nil, Series{5, 4}, None, 5,
			"1 of 5 echoes to the target got no answer, too few to say from where on: more echoes to each hop would show more"},
		{"one at each of two hops", "5/5 5/5 5/5 4/5 T4/5", "", nil, Series{}, None, 5,
			"1 of 5 echoes to the target got no answer, too few to say from where on: more echoes to each hop would show more"},
		{"half beyond hop 2", "10/10 10/10 5/10 6/10 T5/10", "", nil, Series{}, LossBeyond, 2,
			"47 % of the echoes beyond hop 2, 198.18.200.2, get no answer, at every later hop and at the target; up to it none"},
		{"a later hop loses nothing", "10/10 10/10 5/10 10/10 T10/10", "", nil, Series{}, RateLimited, 5,
			"no loss: hop 3, 198.18.200.3 answers only 5 of 10 echoes, but what lies behind it loses none, so it limits its own answers"},
		{"a hop limits within the loss", "20/20 20/20 10/20 0/20 2/20 12/20 T10/20", "", nil, Series{}, LossBeyond, 2,
			"47 % of the echoes beyond hop 2, 198.18.200.2, get no answer, at every later hop and at the target; up to it none"},
		{"a hop limits before the loss", "20/20 2/20 20/20 20/20 12/20 T11/20", "", nil, Series{}, LossBeyond, 4,
			"43 % of the echoes beyond hop 4, 198.18.200.4, get no answer, at every later hop and at the target; up to it none, apart from hops that limit their answers"},
		{"a lost answer before the loss", "20/20 19/20 20/20 20/20 12/20 T11/20", "", nil, Series{}, LossBeyond, 4,
			"43 % of the echoes beyond hop 4, 198.18.200.4, get no answer, at every later hop and at the target; up to it 1 %"},
		{"only the target", "10/10 10/10 10/10 T4/10", "", nil, Series{}, TargetItself, 3,
			"6 of 10 echoes to the target got no answer, but the hops before it answer, up to hop 3, 198.18.200.3: it is the target itself, or the way back from it"},
		{"only the target, a silent hop before it", "10/10 10/10 0/10 T4/10", "", nil, Series{}, LossBeyond, 2,
			"60 % of the echoes beyond hop 2, 198.18.200.2, get no answer, at every later hop and at the target; up to it none"},
		{"only the target, the hop before it limits", "20/20 20/20 1/20 T10/20", "", nil, Series{}, LossBeyond, 2,
			"50 % of the echoes beyond hop 2, 198.18.200.2, get no answer, at every later hop and at the target; up to it none, apart from hops that limit their answers"},
		{"only the target, all hops limit", "1/20 1/20 T10/20", "", nil, Series{}, LossBeyond, 0,
			"50 % of the echoes to the target get no answer, and the hops before it limit their answers"},
		{"from a hop that limits on", "2/20 10/20 11/20 T10/20", "", nil, Series{}, LossBeyond, 0,
			"48 % of the echoes get no answer, from hop 2, 198.18.200.2 on up to the target; hops before it limit their answers"},
		{"nearly all", "400/400 1/400 T1/400", "", nil, Series{}, LossBeyond, 1,
			"99 % of the echoes beyond hop 1, 198.18.200.1, get no answer, at every later hop and at the target; up to it none"},
		{"from the first hop on", "5/10 6/10 5/10 T5/10", "", nil, Series{}, LossBeyond, 0,
			"48 % of the echoes get no answer, from the first hop that answers (hop 1, 198.18.200.1) up to the target"},
		{"no hop answers", "0/10 0/10 T5/10", "", nil, Series{}, LossBeyond, 0,
			"50 % of the echoes to the target get no answer, and no hop before it answers"},
		{"the place is not clear", "10/10 9/10 9/10 7/10 T7/10", "", nil, Series{}, LossBeyond, 1,
			"20 % of the echoes beyond hop 1, 198.18.200.1, get no answer, at every later hop and at the target; up to it none"},
		{"less loss further on", "30/30 20/30 29/30 T20/30", "", nil, Series{}, TargetItself, 3,
			"10 of 30 echoes to the target got no answer, but the hops before it answer, up to hop 3, 198.18.200.3: it is the target itself, or the way back from it"},
		{"loss, and changed", "10/10 10/10@9 5/10 6/10 T5/10", "3/3 3/3 3/3 3/3 T3/3", nil, Series{}, LossBeyond, 2,
			"47 % of the echoes beyond hop 2, 198.18.200.9, get no answer, at every later hop and at the target; up to it none; the path has changed since 12:00:00: hop 2 is 198.18.200.9, and was 198.18.200.2"},

		// Hops that limit their answers.
		{"one of three", "3/3 1/3 3/3 3/3 T3/3", "", nil, Series{}, RateLimited, 5,
			"no loss: hop 2, 198.18.200.2 answers only 1 of 3 echoes, but what lies behind it loses none, so it limits its own answers"},
		{"two of three may be chance", "3/3 2/3 3/3 3/3 T3/3", "", nil, Series{}, None, 5, "the target answers, 5 hops away"},
		{"three hops limit", "1/3 1/3 1/3 3/3 3/3 T3/3", "", nil, Series{}, RateLimited, 6,
			"no loss: hop 1, 198.18.200.1 answers only 1 of 3 echoes, but the target loses none, so it limits its own answers (so do 2 more)"},

		// Another path.
		{"changed", "3/3 3/3@9 3/3 3/3 T3/3", healthy, nil, Series{}, Changed, 5,
			"the path has changed since 12:00:00: hop 2 is 198.18.200.9, and was 198.18.200.2"},
		{"longer", "3/3 3/3 3/3 3/3 3/3 T3/3", healthy, nil, Series{}, Changed, 6,
			"the path has changed since 12:00:00: hop 5 is 198.18.200.5, and was the target"},
		{"shorter", "3/3 3/3 3/3 T3/3", healthy, nil, Series{}, Changed, 4,
			"the path has changed since 12:00:00: hop 4 is the target, and was 198.18.200.4"},
		{"a silent hop more", "3/3 3/3 3/3 3/3 0/3 T3/3", healthy, nil, Series{}, None, 6, "the target answers, 6 hops away"},
		{"a silent hop less", "3/3 3/3 3/3 T3/3", "3/3 3/3 3/3 0/3 T3/3", nil, Series{}, None, 4, "the target answers, 4 hops away"},
		{"a router behind where the target was", "3/3 3/3 3/3 3/3 0/3 3/3 T3/3", healthy, nil, Series{}, Changed, 7,
			"the path has changed since 12:00:00: hop 5 is silent, and was the target"},
		{"the target where a silent hop was", "3/3 3/3 T3/3", "3/3 3/3 0/3 3/3 T3/3", nil, Series{}, Changed, 3,
			"the path has changed since 12:00:00: hop 3 is the target, and was silent"},
		{"the same as far as known", "3/3 0/3 3/3 3/3 T3/3", "3/3 3/3 0/3 3/3 T3/3", nil, Series{}, None, 5, "the target answers, 5 hops away"},
		{"changed, after loss", "3/3 3/3@9 3/3 3/3 T3/3", healthy, nil, Series{5, 0}, Changed, 5,
			"the path has changed since 12:00:00: hop 2 is 198.18.200.9, and was 198.18.200.2; this trace lost nothing, so the loss of 5 of 5 echoes before it is over or rare"},

		// Size.
		{"a black hole", healthy, "", func(tr *Trace) { tr.MTU = &MTU{Size: 1400, Exact: true, Interface: 1500, Hop: 3, From: hopAddr(3)} }, Series{}, TooLarge, 3,
			"larger packets than 1400 bytes get no answer beyond hop 3, 198.18.200.3, and no router reports why: a black hole"},
		{"reported", healthy, "", func(tr *Trace) {
			tr.MTU = &MTU{Size: 1400, Exact: true, Interface: 1500, Reported: true, Hop: 3, From: hopAddr(3)}
		}, Series{}, TooLarge, 3,
			"the path takes packets of at most 1400 bytes: hop 3, 198.18.200.3 reports that they are too big for the next link"},
		{"that of the interface", healthy, "", func(tr *Trace) { tr.MTU = &MTU{Size: 1500, Exact: true, Interface: 1500} }, Series{}, None, 5,
			"the target answers, 5 hops away"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := traceOf(t, tt.trace)
			if tt.change != nil {
				tt.change(tr)
			}
			var before *Route
			if tt.before != "" {
				route := traceOf(t, tt.before).Route()
				before = &route
			}
			v := Judge(tr, before, tt.series)
			if v.Cause != tt.cause || v.LastHop != tt.last || v.Text != tt.text {
				t.Errorf("Judge(%s) = %s, hop %d: %s\nwant %s, hop %d: %s", tt.trace, v.Cause, v.LastHop, v.Text, tt.cause, tt.last, tt.text)
			}
			if v.LastHop > 0 && v.LastAddress != tr.Hops[v.LastHop-1].Addr() {
				t.Errorf("last address %s, that of hop %d is %s", v.LastAddress, v.LastHop, tr.Hops[v.LastHop-1].Addr())
			}
		})
	}
}

// TestJoin: what a trace did not see stays known, and another way is another route.
func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		before, trace, want string
		same                bool
	}{
		{"", "3/3 0/3 T3/3", "198.18.200.1 * 198.18.1.1", true},
		{"3/3 3/3 T3/3", "3/3 0/3 T3/3", "198.18.200.1 198.18.200.2 198.18.1.1", true},
		{"3/3 0/3 T3/3", "3/3 3/3 T3/3", "198.18.200.1 198.18.200.2 198.18.1.1", true},
		{"3/3 3/3 T3/3", "3/3 3/3@9 T3/3", "198.18.200.1 198.18.200.9 198.18.1.1", false},
		{"3/3 3/3 T3/3", "3/3 T3/3", "198.18.200.1 198.18.1.1", false},
		{"3/3 3/3 T3/3", "3/3 3/3 0/3 T3/3", "198.18.200.1 198.18.200.2 198.18.1.1", true},
		{"3/3 3/3 0/3 T3/3", "3/3 3/3 T3/3", "198.18.200.1 198.18.200.2 198.18.1.1", true},
		{"3/3 3/3 T3/3", "3/3 3/3 0/3 3/3 T3/3", "198.18.200.1 198.18.200.2 * 198.18.200.4 198.18.1.1", false},
		{"3/3 3/3 T3/3", "3/3 -0/9", "198.18.200.1 198.18.200.2 198.18.1.1", true},
	} {
		var before *Route
		if tt.before != "" {
			r := traceOf(t, tt.before).Route()
			before = &r
		}
		got, same := before.Join(traceOf(t, tt.trace))
		if got.String() != tt.want || same != tt.same {
			t.Errorf("(%s).Join(%s) = %s, %v, want %s, %v", tt.before, tt.trace, got.String(), same, tt.want, tt.same)
		}
		if before != nil && (before.ID() == got.ID()) != (before.String() == got.String()) {
			t.Errorf("%s and %s have the names %s and %s", before, &got, before.ID(), got.ID())
		}
	}
}

// TestChance places loss at a hop in many random traces: of those that name a hop, few may
// name one that is too near, and hardly any one beyond which nothing is lost.
func TestChance(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		echoes      int
		loss        float64
		least, late int // percent of traces that find the hop or one before it; that name a later one, at most
	}{{3, 0.5, 0, 5}, {5, 0.2, 0, 5}, {20, 0.33, 95, 1}, {20, 0.5, 95, 1}, {100, 0.1, 95, 1}, {20, 0, 0, 0}} {
		const traces = 1000
		right, late, none := 0, 0, 0
		for range traces {
			var b strings.Builder
			for hop := 1; hop <= 8; hop++ {
				answers := 0
				for range tt.echoes {
					if hop <= 3 || random.Float64() >= tt.loss {
						answers++
					}
				}
				if hop == 8 {
					if answers == 0 {
						answers = 1
					}
					b.WriteByte('T')
				}
				fmt.Fprintf(&b, "%d/%d ", answers, tt.echoes)
			}
			v := Judge(traceOf(t, b.String()), nil, Series{})
			switch {
			case v.Cause != LossBeyond && v.Cause != TargetItself && v.Cause != SilentBeyond:
				none++
			case v.LastHop <= 3:
				right++
			default:
				late++
			}
		}
		t.Logf("%d echoes, loss %g: %d right, %d later, %d without a place", tt.echoes, tt.loss, right, late, none)
		if right*100 < tt.least*traces || late*100 > tt.late*traces {
			t.Errorf("%d echoes, loss %g: %d of %d right, %d later", tt.echoes, tt.loss, right, traces, late)
		}
	}
}
