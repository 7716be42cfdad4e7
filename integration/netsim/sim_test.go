package netsim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// network is a simulator in virtual time. It records its packets and their times.
type network struct {
	*sim
	now  time.Duration
	sent []string
}

func newNetwork(t *testing.T, rules ...Rule) *network {
	t.Helper()
	n := &network{}
	n.sim = newSim(func(packet []byte) {
		head := header4
		if packet[0]>>4 == 6 {
			head = header6
		}
		seq := binary.BigEndian.Uint16(packet[head+6:])
		n.sent = append(n.sent, fmt.Sprintf("%d at %v", seq, n.now))
	})
	table, err := newTable(rules)
	if err != nil {
		t.Fatal(err)
	}
	n.rules.Store(table)
	return n
}

// ping sends requests with seq 0 to count-1, one every gap, and then runs the simulator
// until its queue is empty.
func (n *network) ping(t *testing.T, v4 bool, count int, gap time.Duration) {
	t.Helper()
	for seq := range count {
		at := n.now
		n.receive(request(t, v4, seq, phrase), n.now)
		n.until(at + gap)
	}
	n.until(time.Hour)
}

// until moves the time, from one due packet to the next.
func (n *network) until(end time.Duration) {
	for {
		due, ok := n.flush(n.now)
		if !ok || due > end {
			n.now = end
			return
		}
		n.now = due
	}
}

func TestSimTimes(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name string
		rule Rule
		want []string
	}{
		{"no delay", Rule{}, []string{"0 at 0s", "1 at 10ms", "2 at 20ms"}},
		{"delay", Rule{Delay: 15 * ms}, []string{"0 at 15ms", "1 at 25ms", "2 at 35ms"}},
		{
			"duplicate", Rule{Delay: ms, Answer: Packets(Packet{}, Packet{}, Packet{After: ms})},
			[]string{"0 at 1ms", "0 at 1ms", "0 at 2ms", "1 at 11ms", "1 at 11ms", "1 at 12ms", "2 at 21ms", "2 at 21ms", "2 at 22ms"},
		},
		{
			"late", Rule{Delay: ms, Answer: Only(Packets(Packet{After: time.Second}), 1)},
			[]string{"0 at 1ms", "2 at 21ms", "1 at 1.011s"},
		},
		{
			"at once", Rule{Delay: 3 * ms, Answer: Packets(Packet{After: AtOnce}, Packet{After: -ms}, Packet{})},
			[]string{"0 at 0s", "0 at 2ms", "0 at 3ms", "1 at 10ms", "1 at 12ms", "1 at 13ms", "2 at 20ms", "2 at 22ms", "2 at 23ms"},
		},
		{
			"behind", Rule{Delay: ms, Answer: Only(Packets(Packet{Behind: 1}), 0)},
			[]string{"1 at 11ms", "0 at 11ms", "2 at 21ms"},
		},
		{
			"behind one that is lost",
			Rule{Answer: func(r Request) []Packet {
				if r.N == 0 {
					return []Packet{{Behind: 1}}
				}
				return Only(Lost, 1)(r)
			}},
			[]string{"0 at 10ms", "2 at 20ms"},
		},
		{"behind nothing", Rule{Answer: Only(Packets(Packet{Behind: 1}), 2)}, []string{"0 at 0s", "1 at 10ms"}},
		{"every second", Rule{Answer: Every(2, Lost)}, []string{"0 at 0s", "2 at 20ms"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, v4 bool) {
				tt.rule.Prefix = netip.PrefixFrom(peer6, 32)
				if v4 {
					tt.rule.Prefix = netip.PrefixFrom(peer4, 15)
				}
				n := newNetwork(t, tt.rule)
				n.ping(t, v4, 3, 10*ms)
				if !slices.Equal(n.sent, tt.want) {
					t.Errorf("sent %q, want %q", n.sent, tt.want)
				}
			})
		})
	}
}

// TestSimChance: random loss and jitter must be repeatable, within bounds, and spread.
func TestSimChance(t *testing.T) {
	rule := Rule{Prefix: netip.PrefixFrom(peer4, 32), Delay: time.Second, Jitter: 10 * time.Millisecond, Loss: 0.25}
	const count = 2000
	var runs [2]*network
	for i := range runs {
		runs[i] = newNetwork(t, rule)
		runs[i].ping(t, true, count, time.Minute)
	}
	if !slices.Equal(runs[0].sent, runs[1].sent) {
		t.Error("two runs differ")
	}
	// Five standard deviations of a binomial distribution are 97.
	if got := len(runs[0].sent); got < count*3/4-97 || got > count*3/4+97 {
		t.Errorf("%d of %d answered, want about %d", got, count, count*3/4)
	}
	var least, most float64 = 1, 0
	for i := range count {
		c := chance(&Request{Dst: peer4, N: i}, 'j')
		least, most = min(least, c), max(most, c)
	}
	if least < 0 || least > 0.01 || most < 0.99 || most >= 1 {
		t.Errorf("chance is from %v to %v, want 0 to 1", least, most)
	}
}

func TestSimAllocates(t *testing.T) {
	n := newNetwork(t, Rule{Prefix: netip.PrefixFrom(peer4, 32), Delay: time.Millisecond, Answer: Every(3, Lost)})
	n.write = func([]byte) {}
	packet := request(t, true, 1, phrase)
	step := func() {
		n.receive(packet, n.now)
		n.until(n.now + time.Second)
	}
	step()
	n.record.chunks[0] = make([]Request, 0, chunkSize)
	if got := testing.AllocsPerRun(chunkSize/2, step); got != 0 {
		t.Errorf("%v allocations for each request, want 0", got)
	}
}

func TestSimCounts(t *testing.T) {
	n := newNetwork(t)
	n.receive(request(t, true, 1, nil), 0)
	n.receive([]byte{0x45, 0}, 0)
	n.receive([]byte{}, 0)
	if got := n.stats.requests.Load(); got != 1 {
		t.Errorf("requests = %d, want 1", got)
	}
	if got := n.stats.silent.Load(); got != 1 {
		t.Errorf("silent = %d, want 1: no rule", got)
	}
	if got := n.stats.other.Load(); got != 2 {
		t.Errorf("other = %d, want 2", got)
	}
}

func BenchmarkSim(b *testing.B) {
	s := newSim(func([]byte) {})
	table, err := newTable([]Rule{{Prefix: netip.PrefixFrom(peer4, 15)}})
	if err != nil {
		b.Fatal(err)
	}
	s.rules.Store(table)
	packet := request(b, true, 1, make([]byte, 56))
	b.ReportAllocs()
	for b.Loop() {
		s.receive(packet, 0)
	}
}
