package watch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

const ms = time.Millisecond

// outcomes feeds a target from a picture, a character for each echo: a digit is
// an RTT in ms, x a timeout, E an ICMP error, a blank an echo in flight.
func outcomes(t *Target, first int, picture string) {
	addr := netip.MustParseAddr("198.18.0.1") // what names resolve to
	if t.t.literal {
		addr = t.t.addr
	}
	for i, c := range picture {
		e := icmpcore.Echo{Seq: first + i, Addr: addr, Time: newClock().t}
		switch {
		case c >= '0' && c <= '9':
			e.Outcome, e.RTT, e.From, e.TTL = icmpcore.OutcomeReply, time.Duration(c-'0')*ms, e.Addr, 60
		case c == 'x':
			e.Outcome = icmpcore.OutcomeTimeout
		case c == 'E':
			e.Outcome = icmpcore.OutcomeError
			e.Err = &icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Type: 3, Code: 1, Message: "host unreachable", From: netip.MustParseAddr("198.18.0.9")}
		default:
			continue
		}
		t.Echo(e)
	}
}

// settle takes what was fed to the targets.
func settle(s *Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drain()
}

// picture is the reverse of outcomes, for the echoes that are kept.
func picture(t *target) string {
	var b strings.Builder
	for p := max(t.head-int64(len(t.ring)), 0); p < t.head; p++ {
		switch s := t.at(p); {
		case s > 0:
			b.WriteByte('0' + byte(float64(s)/1e6+0.5))
		case s == lost:
			b.WriteByte('x')
		case s == erred:
			b.WriteByte('E')
		case s == failed:
			b.WriteByte('?')
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		name    string
		feed    func(*Target)
		picture string
		streak  int
		loss    string
		down    bool
		trouble string
	}{
		{"nothing yet", func(*Target) {}, "", 0, "-", false, ""},
		{"all well", func(x *Target) { outcomes(x, 1, "1234") }, "1234", 0, "0%", false, ""},
		{"some lost", func(x *Target) { outcomes(x, 1, "1x3x5") }, "1x3x5", 0, "40%", false, ""},
		{"lost now", func(x *Target) { outcomes(x, 1, "123xx") }, "123xx", 2, "40%", false, ""},
		{"down", func(x *Target) { outcomes(x, 1, "123xxx") }, "123xxx", 3, "50%", true, "no reply in time"},
		{"up again", func(x *Target) { outcomes(x, 1, "xxxx1") }, "xxxx1", 0, "80%", false, ""},
		{"never answered", func(x *Target) { outcomes(x, 1, "xx") }, "xx", 2, "100%", false, "no reply in time"},
		{"an error", func(x *Target) { outcomes(x, 1, "1E") }, "1E", 1, "50%", false, "host unreachable, reported by 198.18.0.9"},
		{"a timeout is decided after later replies", func(x *Target) { outcomes(x, 1, "1 34"); outcomes(x, 2, "x") }, "1x34", 0, "25%", false, ""},
		{"a reply is decided after later timeouts", func(x *Target) { outcomes(x, 1, "1 xx"); outcomes(x, 2, "2") }, "12xx", 2, "50%", false, ""},
		{"in flight is no loss", func(x *Target) { outcomes(x, 1, "1  4") }, "1  4", 0, "0%", false, ""},
		{"a series behind a series", func(x *Target) { outcomes(x, 1, "12"); x.Ended(2, nil); outcomes(x, 1, "34") }, "1234", 0, "0%", false, ""},
		{"a gap between series", func(x *Target) { outcomes(x, 1, "12"); x.Ended(3, nil); outcomes(x, 1, "34") }, "12 34", 0, "0%", false, ""},
		{"cannot be pinged", func(x *Target) { x.Ended(0, errors.New("no such host")) }, "?", 0, "-", true, "no such host"},
		{"could not be pinged", func(x *Target) { x.Ended(0, errors.New("no such host")); outcomes(x, 1, "12") }, "?12", 0, "0%", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewStore(0)
			x := s.Add("198.18.0.1", nil, time.Second)
			tt.feed(x)
			settle(s)
			loss := "-"
			if part, ok := x.t.loss(); ok {
				loss = percent(part)
			}
			got := fmt.Sprintf("%q streak %d loss %s down %v %q", picture(x.t), x.t.streak, loss, x.t.down(), x.t.trouble(time.Time{}))
			want := fmt.Sprintf("%q streak %d loss %s down %v %q", tt.picture, tt.streak, tt.loss, tt.down, tt.trouble)
			if got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

// TestRing feeds far more echoes than are kept, in a muddled order and over
// gaps, and holds what the target counts against a list of all of them.
func TestRing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		s := NewStore(0)
		x := s.Add("h", nil, window/100) // 100 are kept
		var all []sample
		next := func() sample { return []sample{lost, erred, 1e6, 2e6, 3e6}[random.IntN(5)] }
		for range random.IntN(600) {
			if random.IntN(50) == 0 {
				all = append(all, make([]sample, random.IntN(150))...)
			}
			x.t.limit = 100
			if all = append(all, 0); random.IntN(3) > 0 { // else it is decided later, or never
				all[len(all)-1] = next()
				x.t.set(int64(len(all)-1), all[len(all)-1])
			}
			if back := len(all) - 1 - random.IntN(8); back >= 0 && all[back] == 0 && x.t.head > int64(back) && x.t.head-int64(back) <= int64(len(x.t.ring)) {
				all[back] = next()
				x.t.set(int64(back), all[back])
			}
		}
		all = all[:x.t.head]
		kept := all[max(len(all)-len(x.t.ring), 0):]
		decided, missed, streak := 0, 0, 0
		for _, v := range kept {
			switch {
			case v > 0:
				decided++
			case v.missed():
				decided++
				missed++
			}
		}
		for i := len(all) - 1; i >= 0 && all[i] <= 0; i-- {
			if all[i].missed() {
				streak++
			}
		}
		var ring []sample
		for p := max(x.t.head-int64(len(x.t.ring)), 0); p < x.t.head; p++ {
			ring = append(ring, x.t.at(p))
		}
		if !slices.Equal(ring, kept) || x.t.decided != decided || x.t.missed != missed || x.t.streak != streak {
			t.Fatalf("of %d: ring\n%v, want\n%v; %d decided, %d missed, streak %d, want %d, %d, %d",
				len(all), ring, kept, x.t.decided, x.t.missed, x.t.streak, decided, missed, streak)
		}
		if len(x.t.ring) > 100 {
			t.Fatalf("%d kept, want 100 at most", len(x.t.ring))
		}
	}
}

func TestFigures(t *testing.T) {
	s := NewStore(0)
	x := s.Add("h", nil, time.Second)
	outcomes(x, 1, "5x1E32 49")
	settle(s)
	f, _ := x.t.figures(nil)
	rtts := []time.Duration{ms, 2 * ms, 3 * ms, 4 * ms, 5 * ms, 9 * ms}
	want := figures{n: 6, min: 1e6, max: 9e6, mean: 4e6, jitter: 2828427.12,
		median: float64(icmpcore.Percentile(rtts, 50)), p90: float64(icmpcore.Percentile(rtts, 90)),
		p95: float64(icmpcore.Percentile(rtts, 95)), p99: float64(icmpcore.Percentile(rtts, 99))}
	f.jitter = float64(int(f.jitter*100)) / 100
	if f != want {
		t.Errorf("figures = %+v\nwant %+v", f, want)
	}
	o := x.t.total
	if o.received != 6 || o.timeouts != 1 || o.errors != 1 || o.min != 1e6 || o.max != 9e6 || o.mean != 4e6 {
		t.Errorf("totals = %+v", o)
	}
}

func TestSelect(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		list := make([]float32, 1+random.IntN(40))
		for i := range list {
			list[i] = float32(random.IntN(20))
		}
		sorted := slices.Clone(list)
		slices.Sort(sorted)
		k := random.IntN(len(list))
		if got := selectAt(slices.Clone(list), k); got != sorted[k] {
			t.Fatalf("selectAt(%v, %d) = %v, want %v", list, k, got, sorted[k])
		}
	}
}

// TestKinds has more kinds of errors and senders than are kept.
func TestKinds(t *testing.T) {
	s := NewStore(0)
	x := s.Add("h", nil, time.Second)
	from := netip.MustParseAddr("198.18.0.1")
	for i := range 40 {
		x.Echo(icmpcore.Echo{Seq: 2*i + 1, Outcome: icmpcore.OutcomeError, Err: fmt.Errorf("error %d", i%20)})
		x.Echo(icmpcore.Echo{Seq: 2*i + 2, Outcome: icmpcore.OutcomeReply, RTT: ms, From: from})
		from = from.Next()
	}
	settle(s)
	p := x.t.problems
	if len(p) != maxKinds || p[len(p)-1].text != "error 19" || len(x.t.sources) != maxKinds || x.t.total.errors != 40 {
		t.Errorf("%d problems, the last %q; %d sources, %d errors", len(p), p[len(p)-1].text, len(x.t.sources), x.t.total.errors)
	}
}

// TestFed has the store fed while nobody looks: what waits stays bounded.
func TestFed(t *testing.T) {
	s := NewStore(0)
	x := s.Add("h", nil, time.Second)
	for i := range 5 * drainAt {
		x.Echo(icmpcore.Echo{Seq: i + 1, Outcome: icmpcore.OutcomeReply, RTT: ms})
	}
	if n := len(s.feed.events); n >= drainAt {
		t.Errorf("%d events wait, want less than %d", n, drainAt)
	}
	settle(s)
	if x.t.total.received != 5*drainAt {
		t.Errorf("%d received, want %d", x.t.total.received, 5*drainAt)
	}
}
