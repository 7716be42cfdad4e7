package netsim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/icmp"
)

// hopAddr returns the address of the i-th router of a path.
func hopAddr(v4 bool, i int) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{198, 18, 200, byte(i)})
	}
	a := peer6.As16()
	a[13], a[15] = 200, byte(i)
	return netip.AddrFrom16(a)
}

// asking returns an echo request with a TTL, and as many bytes as payload.
func asking(t testing.TB, v4 bool, ttl uint8, seq, payload int, df bool) []byte {
	b := request(t, v4, seq, make([]byte, payload))
	if !v4 {
		b[7] = ttl
		return b
	}
	if df {
		b[6] |= 0x40
	}
	b[8] = ttl
	sumHeader4(b)
	return b
}

// told describes a packet that came back: whose it is, what it says, and with what
// the request that it quotes had arrived.
func told(packet []byte) string {
	src, msg := netip.AddrFrom4([4]byte(packet[12:16])), packet[header4:]
	quotedHead, v4 := header4, packet[0]>>4 == 4
	if !v4 {
		src, msg, quotedHead = netip.AddrFrom16([16]byte(packet[8:24])), packet[header6:], header6
	}
	if b := src.As16(); b[13] == 200 || b[14] == 200 {
		src = netip.AddrFrom4([4]byte{0, 0, 0, b[15]})
	} else {
		return fmt.Sprintf("reply tos %d", tosOf(packet))
	}
	q := msg[headerIC:]
	ttl := q[8]
	if !v4 {
		ttl = q[7]
	} else if fold(0, q[:header4]) != 0 {
		return "wrong header sum in the quote"
	}
	s := fmt.Sprintf("%d: %s ttl %d tos %d", src.As4()[3], kindOf(v4, msg), ttl, tosOf(q))
	if n := len(q) - quotedHead; n == headerIC {
		s += " short"
	}
	return s
}

func tosOf(packet []byte) byte {
	if packet[0]>>4 == 4 {
		return packet[1]
	}
	return packet[0]<<4 | packet[1]>>4
}

func kindOf(v4 bool, msg []byte) string {
	names := map[byte]string{1: "unreachable", 2: "too big", 3: "expired", 4: "problem"}
	if v4 {
		names = map[byte]string{3: "unreachable", 11: "expired", 12: "problem"}
		if msg[0] == 3 && msg[1] == 4 {
			return fmt.Sprintf("too big %d", binary.BigEndian.Uint16(msg[6:]))
		}
	}
	name := names[msg[0]]
	if msg[0] == 2 {
		name += fmt.Sprintf(" %d", binary.BigEndian.Uint32(msg[4:]))
	}
	return name
}

func TestHopBehaviour(t *testing.T) {
	const ms = time.Millisecond
	ef := uint8(46 << 2)
	tests := []struct {
		name  string
		hops  []Hop // the Addr of each is set by its place, unless it is silent
		quiet []int // places of silent routers, from 1
		size  int
		df    bool
		want  string // for TTL 1, 2 and so on, as far as one behind the last router
	}{
		{name: "plain", hops: make([]Hop, 2),
			want: "1: expired ttl 1 tos 40 at 0s, 2: expired ttl 1 tos 40 at 0s, reply tos 40 at 0s"},
		{name: "silent", hops: make([]Hop, 2), quiet: []int{1},
			want: "-, 2: expired ttl 1 tos 40 at 0s, reply tos 40 at 0s"},
		{name: "delays add up", hops: []Hop{{Delay: ms}, {Delay: 2 * ms, Slow: 10 * ms}, {Delay: 4 * ms}},
			want: "1: expired ttl 1 tos 40 at 1ms, 2: expired ttl 1 tos 40 at 13ms, 3: expired ttl 1 tos 40 at 7ms, reply tos 40 at 7ms"},
		{name: "loss of all", hops: []Hop{{}, {Loss: 1}, {}},
			want: "1: expired ttl 1 tos 40 at 0s, -, -, -"},
		{name: "loss of all that comes back", hops: []Hop{{}, {ReturnLoss: 1}, {}},
			want: "1: expired ttl 1 tos 40 at 0s, 2: expired ttl 1 tos 40 at 0s, -, -"},
		{name: "code point changed", hops: []Hop{{TOS: new(uint8)}, {TOS: &ef}, {}},
			want: "1: expired ttl 1 tos 40 at 0s, 2: expired ttl 1 tos 0 at 0s, 3: expired ttl 1 tos 184 at 0s, reply tos 184 at 0s"},
		{name: "refusal", hops: []Hop{{}, {Refuse: &Error{Kind: DestinationUnreachable, Code: 1}}, {}},
			want: "1: expired ttl 1 tos 40 at 0s, 2: expired ttl 1 tos 40 at 0s, 2: unreachable ttl 2 tos 40 at 0s, 2: unreachable ttl 3 tos 40 at 0s"},
		{name: "too big", hops: []Hop{{}, {MTU: 1400}, {}}, size: 1500, df: true,
			want: "1: expired ttl 1 tos 40 at 0s, 2: expired ttl 1 tos 40 at 0s, 2: too big 1400 ttl 2 tos 40 at 0s, 2: too big 1400 ttl 3 tos 40 at 0s"},
		{name: "black hole", hops: []Hop{{MTU: 1400, Blackhole: true}, {}}, size: 1500, df: true,
			want: "1: expired ttl 1 tos 40 at 0s, -, -"},
		{name: "not too big", hops: []Hop{{MTU: 1600}}, size: 1500, df: true,
			want: "1: expired ttl 1 tos 40 at 0s, reply tos 40 at 0s"},
		{name: "short quote", hops: []Hop{{Quote: Quote{Bytes: 8}}},
			want: "1: expired ttl 1 tos 40 at 0s short, reply tos 40 at 0s"},
		{name: "two errors for one", hops: []Hop{{Answer: Packets(Packet{Error: &Error{Kind: TimeExceeded}}, Packet{After: ms, Error: &Error{Kind: TimeExceeded}})}},
			want: "1: expired ttl 1 tos 40 at 0s 1: expired ttl 1 tos 40 at 1ms, reply tos 40 at 0s"},
		{name: "limited", hops: []Hop{{Rate: 1, Burst: 1}, {}},
			want: "1: expired ttl 1 tos 40 at 0s, 2: expired ttl 1 tos 40 at 0s, reply tos 40 at 0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, v4 bool) {
				hops := slices.Clone(tt.hops)
				for i := range hops {
					if !slices.Contains(tt.quiet, i+1) {
						hops[i].Addr = hopAddr(v4, i+1)
					}
				}
				if got := walk(t, v4, hops, tt.size, tt.df); got != tt.want {
					t.Errorf("got\n%s, want\n%s", got, tt.want)
				}
			})
		})
	}
}

// walk sends a request with each TTL as far as the host and returns what came back
// for each.
func walk(t *testing.T, v4 bool, hops []Hop, size int, df bool) string {
	var all []string
	n := pathNetwork(t, v4, hops)
	for ttl := 1; ttl <= len(hops)+1; ttl++ {
		n.sent = nil
		start := n.now
		n.base = start
		n.receive(asking(t, v4, uint8(ttl), ttl, max(size-28, 40), df), start)
		n.until(start + time.Minute)
		if n.sent == nil {
			n.sent = []string{"-"}
		}
		all = append(all, strings.Join(n.sent, " "))
	}
	return strings.Join(all, ", ")
}

// pathway is a network that describes what comes back.
type pathway struct {
	*network
	base time.Duration
}

func pathNetwork(t *testing.T, v4 bool, hops []Hop) *pathway {
	rule := Rule{Prefix: netip.PrefixFrom(peer6, 128), Hops: hops}
	if v4 {
		rule.Prefix = netip.PrefixFrom(peer4, 32)
	}
	n := &pathway{network: newNetwork(t, rule)}
	n.write = func(packet []byte) {
		text := told(packet)
		rest := ""
		if cut, ok := strings.CutSuffix(text, " short"); ok {
			text, rest = cut, " short"
		}
		n.sent = append(n.sent, fmt.Sprintf("%s at %v%s", text, n.now-n.base, rest))
	}
	return n
}

// TestHopFragments: IPv4 packets that may be fragmented pass a small link.
func TestHopFragments(t *testing.T) {
	got := walk(t, true, []Hop{{Addr: hopAddr(true, 1), MTU: 1400}}, 1500, false)
	if want := "1: expired ttl 1 tos 40 at 0s, reply tos 40 at 0s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestHopLoss: loss at a router counts against everything behind it, and against
// nothing before it.
func TestHopLoss(t *testing.T) {
	eachFamily(t, func(t *testing.T, v4 bool) {
		hops := Routers(hopAddr(v4, 1), hopAddr(v4, 2), hopAddr(v4, 3))
		hops[1].Loss = 0.25
		n := pathNetwork(t, v4, hops)
		const count = 2000
		for ttl := 1; ttl <= 4; ttl++ {
			n.sent = nil
			for seq := range count {
				n.receive(asking(t, v4, uint8(ttl), seq, 40, false), n.now)
			}
			want := count * 3 / 4
			if ttl == 1 {
				want = count
			}
			// Five standard deviations of a binomial distribution are 97.
			if got := len(n.sent); got < want-97 || got > want+97 {
				t.Errorf("TTL %d: %d of %d answered, want about %d", ttl, got, count, want)
			}
		}
	})
}

// TestHopRate: a router answers as many requests at once as its bucket holds, then
// as many as its rate allows, whichever host they are for. What it forwards is not
// limited.
func TestHopRate(t *testing.T) {
	hops := Routers(hopAddr(true, 1), hopAddr(true, 2))
	hops[0].Rate, hops[0].Burst = 100, 5
	n := pathNetwork(t, true, hops)
	for _, step := range []struct {
		after     time.Duration
		ttl, want int
	}{
		{0, 1, 5}, {0, 1, 0}, {30 * time.Millisecond, 1, 3}, {0, 2, 20}, {0, 3, 20}, {time.Minute, 1, 5}, {15 * time.Millisecond, 1, 1},
	} {
		n.now += step.after
		n.sent = nil
		for seq := range 20 {
			n.receive(asking(t, true, uint8(step.ttl), seq, 40, false), n.now)
		}
		if len(n.sent) != step.want {
			t.Errorf("at %v, TTL %d: %d answers, want %d", n.now, step.ttl, len(n.sent), step.want)
		}
	}
}

// TestHopBranches: a flow takes one branch, at every TTL; different flows take all
// of them.
func TestHopBranches(t *testing.T) {
	eachFamily(t, func(t *testing.T, v4 bool) {
		at := func(i int) Hop { return Hop{Addr: hopAddr(v4, i)} }
		hops := []Hop{at(1), at(9)}
		hops[0].Branches = [][]Hop{{at(2), at(3)}, {at(4), at(5)}, {at(6)}}
		n := pathNetwork(t, v4, hops)
		seen := map[string]int{}
		for id := range 300 {
			var way []string
			for ttl := uint8(1); ttl <= 5; ttl++ {
				packet := asking(t, v4, ttl, 0, 40, false)
				head := header4
				if !v4 {
					head = header6
				}
				binary.BigEndian.PutUint16(packet[head+4:], uint16(id))
				resum(packet, head)
				n.sent = nil
				n.receive(packet, n.now)
				who, _, _ := strings.Cut(strings.Join(n.sent, ""), ":")
				who, _, _ = strings.Cut(who, " ")
				way = append(way, who)
			}
			seen[strings.Join(way, " ")]++
		}
		for _, want := range []string{"1 2 3 9 reply", "1 4 5 9 reply", "1 6 9 reply reply"} {
			if seen[want] < 60 {
				t.Errorf("%d of 300 flows take %s", seen[want], want)
			}
		}
		if len(seen) != 3 {
			t.Errorf("ways %v", seen)
		}
	})
}

// resum computes the checksum of the ICMP message in a packet anew.
func resum(packet []byte, head int) {
	packet[head+2], packet[head+3] = 0, 0
	sum := uint64(0)
	if packet[0]>>4 == 6 {
		sum = pseudoSum6(packet[8:header6], len(packet)-head)
	}
	binary.BigEndian.PutUint16(packet[head+2:], fold(sum, packet[head:]))
}

// TestHopLabels compares the label stack with what golang.org/x/net/icmp reads.
func TestHopLabels(t *testing.T) {
	eachFamily(t, func(t *testing.T, v4 bool) {
		for _, size := range []int{40, 101, 400, 3000} {
			hops := []Hop{{Addr: hopAddr(v4, 1), Quote: Quote{Labels: []Label{{16001, 3, 1}, {1048575, 7, 255}}}}}
			n := pathNetwork(t, v4, hops)
			var msg []byte
			n.write = func(packet []byte) {
				proto, head := protoICMP4, header4
				if !v4 {
					proto, head = protoICMP6, header6
				}
				if len(packet) > 1280 || v4 && len(packet) > 576 {
					t.Errorf("payload %d: an error of %d bytes", size, len(packet))
				}
				msg = packet[head:]
				m, err := icmp.ParseMessage(proto, msg)
				if err != nil {
					t.Fatal(err)
				}
				exceeded, ok := m.Body.(*icmp.TimeExceeded)
				if !ok || len(exceeded.Extensions) != 1 {
					t.Fatalf("payload %d: %+v", size, m.Body)
				}
				want := []icmp.MPLSLabel{{Label: 16001, TC: 3, TTL: 1}, {Label: 1048575, TC: 7, S: true, TTL: 255}}
				if got := exceeded.Extensions[0].(*icmp.MPLSLabelStack); !slices.Equal(got.Labels, want) {
					t.Errorf("payload %d: labels %+v, want %+v", size, got.Labels, want)
				}
			}
			n.receive(asking(t, v4, 1, 0, size, false), n.now)
			if msg == nil {
				t.Fatalf("payload %d: no answer", size)
			}
			sized := bytesOf(v4, msg)
			hops[0].Quote.Unsized = true
			n.receive(asking(t, v4, 1, 0, size, false), n.now)
			if sized == 0 || bytesOf(v4, msg) != 0 {
				t.Errorf("payload %d: size %d with the length field, %d without it", size, sized, bytesOf(v4, msg))
			}
		}
	})
}

// bytesOf returns the length field of an error, in its units.
func bytesOf(v4 bool, msg []byte) byte {
	if v4 {
		return msg[5]
	}
	return msg[4]
}
