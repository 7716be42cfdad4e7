package netsim_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
)

// behaviour is one case: a rule, and what it makes of three requests, seq 0 to 2, to the
// host 7. The fence is the host ff.
type behaviour struct {
	name string
	rule netsim.Rule // without prefix
	slow bool        // some of it comes 200 ms late
	// want describes all that comes back, see describe.
	want4, want6 []string
}

// describe returns a reply in words. It leaves out everything that equals a true reply to
// the same request.
func describe(p *prober, r reply, probed netip.Addr, payload []byte) string {
	typ := r.typ()
	if typ != 0 && typ != 129 && typ != 8 && typ != 128 {
		return describeError(p, r, probed)
	}
	s := fmt.Sprintf("seq %d", r.seq())
	if typ == 8 || typ == 128 {
		s += " request"
	}
	if r.from != probed {
		s += fmt.Sprintf(" from %v", r.from)
	}
	if r.id() != testID {
		s += " id"
	}
	got := r.msg[8:]
	switch {
	case bytes.Equal(got, payload):
	case len(got) != len(payload):
		s += fmt.Sprintf(" size %d", len(got))
	case !bytes.Equal(got[:8], payload[:8]):
		s += " cookie"
	default:
		s += " payload"
	}
	if p.v4 && plainSum(r.msg) != 0 {
		s += " sum"
	}
	if r.ttl != 64 {
		s += fmt.Sprintf(" ttl %d", r.ttl)
	}
	if r.tos != 0 {
		s += fmt.Sprintf(" tos %d", r.tos)
	}
	if r.options != 0 {
		s += fmt.Sprintf(" options %d", r.options)
	}
	return s
}

func describeError(p *prober, r reply, probed netip.Addr) string {
	s := fmt.Sprintf("error %d/%d", r.typ(), r.code())
	if r.info() != 0 {
		s += fmt.Sprintf(" info %d", r.info())
	}
	if r.from != probed {
		s += fmt.Sprintf(" from %v", r.from)
	}
	if p.v4 && plainSum(r.msg) != 0 {
		s += " sum"
	}
	quote := r.msg[8:]
	head, dst := 40, netip.Addr{}
	if p.v4 && len(quote) >= 20 {
		head, dst = int(quote[0]&0x0f)*4, netip.AddrFrom4([4]byte(quote[16:20]))
		if plainSum(quote[:head]) != 0 {
			s += " header-sum"
		}
	} else if len(quote) >= 40 {
		dst = netip.AddrFrom16([16]byte(quote[24:40]))
	}
	if len(quote) < head+8 {
		return s + fmt.Sprintf(" cut %d", len(quote))
	}
	q := reply{msg: quote[head:]}
	s += fmt.Sprintf(" quote %d+%d seq %d", head, len(q.msg), q.seq())
	if dst != probed {
		s += " dst"
	}
	if q.id() != testID {
		s += " id"
	}
	return s
}

// of repeats a pattern for seq 0, 1 and 2.
func of(pattern string) []string {
	return []string{fmt.Sprintf(pattern, 0), fmt.Sprintf(pattern, 1), fmt.Sprintf(pattern, 2)}
}

func edited(e netsim.Edit) netsim.Answer { return netsim.Packets(netsim.Packet{Edit: e}) }

func one(p netsim.Packet) netsim.Answer { return netsim.Packets(p) }

func behaviours() []behaviour {
	const ms = time.Millisecond
	sound := of("seq %d")
	return []behaviour{
		{name: "true", want4: sound, want6: sound},
		{name: "lost", rule: netsim.Rule{Answer: netsim.Lost}},
		{name: "all lost", rule: netsim.Rule{Loss: 1}},
		{
			name:  "one lost",
			rule:  netsim.Rule{Answer: netsim.Only(netsim.Lost, 1)},
			want4: []string{"seq 0", "seq 2"}, want6: []string{"seq 0", "seq 2"},
		},
		{
			name:  "every second lost",
			rule:  netsim.Rule{Answer: netsim.Every(2, netsim.Lost)},
			want4: []string{"seq 0", "seq 2"}, want6: []string{"seq 0", "seq 2"},
		},
		{
			name:  "duplicate",
			rule:  netsim.Rule{Answer: netsim.Only(netsim.Packets(netsim.Packet{}, netsim.Packet{After: ms}), 2)},
			want4: []string{"seq 0", "seq 1", "seq 2", "seq 2"}, want6: []string{"seq 0", "seq 1", "seq 2", "seq 2"},
		},
		{
			name:  "late",
			slow:  true,
			rule:  netsim.Rule{Delay: ms, Answer: netsim.Only(one(netsim.Packet{After: 200 * ms}), 0)},
			want4: []string{"seq 1", "seq 2", "seq 0"}, want6: []string{"seq 1", "seq 2", "seq 0"},
		},
		{
			name:  "reordered",
			rule:  netsim.Rule{Answer: netsim.Only(one(netsim.Packet{Behind: 1}), 0)},
			want4: []string{"seq 1", "seq 0", "seq 2"}, want6: []string{"seq 1", "seq 0", "seq 2"},
		},
		{
			name:  "reordered with delay",
			rule:  netsim.Rule{Delay: ms, Answer: netsim.Only(one(netsim.Packet{Behind: 2}), 0)},
			want4: []string{"seq 1", "seq 2", "seq 0"}, want6: []string{"seq 1", "seq 2", "seq 0"},
		},
		{name: "TTL", rule: netsim.Rule{TTL: 128}, want4: of("seq %d ttl 128"), want6: of("seq %d ttl 128")},
		{
			name:  "TTL of one packet",
			rule:  netsim.Rule{Answer: one(netsim.Packet{TTL: 3})},
			want4: of("seq %d ttl 3"), want6: of("seq %d ttl 3"),
		},
		{name: "TOS", rule: netsim.Rule{TOS: new(uint8(184))}, want4: of("seq %d tos 184"), want6: of("seq %d tos 184")},
		{
			name:  "hops",
			rule:  netsim.Rule{Hops: make([]netsim.Hop, 3), TTL: 255},
			want4: of("seq %d ttl 252"), want6: of("seq %d ttl 252"),
		},
		{name: "wrong id", rule: netsim.Rule{Answer: edited(netsim.WrongID)}, want4: of("seq %d id"), want6: of("seq %d id")},
		{
			name:  "wrong seq",
			rule:  netsim.Rule{Answer: edited(netsim.WrongSeq)},
			want4: []string{"seq 33024", "seq 33025", "seq 33026"}, want6: []string{"seq 33024", "seq 33025", "seq 33026"},
		},
		{name: "wrong cookie", rule: netsim.Rule{Answer: edited(netsim.WrongCookie)}, want4: of("seq %d cookie"), want6: of("seq %d cookie")},
		{name: "wrong payload", rule: netsim.Rule{Answer: edited(netsim.WrongPayload)}, want4: of("seq %d payload"), want6: of("seq %d payload")},
		{name: "shorter", rule: netsim.Rule{Answer: edited(netsim.Keep(18))}, want4: of("seq %d size 10"), want6: of("seq %d size 10")},
		{name: "longer", rule: netsim.Rule{Answer: edited(netsim.Grow(3))}, want4: of("seq %d size 19"), want6: of("seq %d size 19")},
		{name: "reflected", rule: netsim.Rule{Answer: edited(netsim.Reflected)}, want4: of("seq %d request"), want6: of("seq %d request")},
		{
			// The kernel itself drops ICMPv6 with a wrong sum.
			name: "wrong sum", rule: netsim.Rule{Answer: one(netsim.Packet{BadSum: true})},
			want4: of("seq %d sum"),
		},
		{
			name:  "options",
			rule:  netsim.Rule{Answer: one(netsim.Packet{Options: []byte{0, 0, 0}})},
			want4: of("seq %d options 4"), want6: sound,
		},
		{
			name:  "forged",
			rule:  netsim.Rule{Delay: ms, Answer: netsim.Only(netsim.Forged(2, netsim.WrongCookie), 0)},
			want4: []string{"seq 0 cookie", "seq 0 cookie", "seq 0", "seq 1", "seq 2"},
			want6: []string{"seq 0 cookie", "seq 0 cookie", "seq 0", "seq 1", "seq 2"},
		},
	}
}

// fail is a rule with an error from the probed address itself.
func fail(e netsim.Error) netsim.Rule { return netsim.Rule{Answer: netsim.Fail(netip.Addr{}, e)} }

func errorBehaviours() []behaviour {
	const unreachable = netsim.DestinationUnreachable
	return []behaviour{
		{
			name:  "unreachable",
			rule:  fail(netsim.Error{Kind: unreachable, Code: 1}),
			want4: of("error 3/1 quote 20+24 seq %d"), want6: of("error 1/1 quote 40+24 seq %d"),
		},
		{
			name:  "too big",
			rule:  fail(netsim.Error{Kind: netsim.PacketTooBig, Info: 1400}),
			want4: of("error 3/4 info 1400 quote 20+24 seq %d"), want6: of("error 2/0 info 1400 quote 40+24 seq %d"),
		},
		{
			name:  "time exceeded",
			rule:  fail(netsim.Error{Kind: netsim.TimeExceeded, Code: 1}),
			want4: of("error 11/1 quote 20+24 seq %d"), want6: of("error 3/1 quote 40+24 seq %d"),
		},
		{
			name:  "parameter problem",
			rule:  fail(netsim.Error{Kind: netsim.ParameterProblem, Info: 6}),
			want4: of("error 12/0 info 100663296 quote 20+24 seq %d"), want6: of("error 4/0 info 6 quote 40+24 seq %d"),
		},
		{
			name:  "any type",
			rule:  fail(netsim.Error{Type: 5, Code: 1, Info: 7}),
			want4: of("error 5/1 info 7 quote 20+24 seq %d"), want6: of("error 5/1 info 7 quote 40+24 seq %d"),
		},
		{
			name:  "eight bytes",
			rule:  fail(netsim.Error{Kind: unreachable, Quote: netsim.Quote{Bytes: 8}}),
			want4: of("error 3/0 quote 20+8 seq %d"), want6: of("error 1/0 quote 40+8 seq %d"),
		},
		{
			name:  "quoted options",
			rule:  fail(netsim.Error{Kind: unreachable, Quote: netsim.Quote{Options: []byte{1, 1, 1, 1, 1}}}),
			want4: of("error 3/0 quote 28+24 seq %d"), want6: of("error 1/0 quote 40+24 seq %d"),
		},
		{
			name:  "foreign destination",
			rule:  fail(netsim.Error{Kind: unreachable, Quote: netsim.Quote{Edit: netsim.OtherDst}}),
			want4: of("error 3/0 quote 20+24 seq %d dst"), want6: of("error 1/0 quote 40+24 seq %d dst"),
		},
		{
			name:  "foreign id",
			rule:  fail(netsim.Error{Kind: unreachable, Quote: netsim.Quote{Edit: netsim.OtherID}}),
			want4: of("error 3/0 quote 20+24 seq %d id"), want6: of("error 1/0 quote 40+24 seq %d id"),
		},
		{
			name:  "foreign seq",
			rule:  fail(netsim.Error{Kind: unreachable, Quote: netsim.Quote{Bytes: 8, Edit: netsim.OtherSeq}}),
			want4: []string{"error 3/0 quote 20+8 seq 33024", "error 3/0 quote 20+8 seq 33025", "error 3/0 quote 20+8 seq 33026"},
			want6: []string{"error 1/0 quote 40+8 seq 33024", "error 1/0 quote 40+8 seq 33025", "error 1/0 quote 40+8 seq 33026"},
		},
		{
			name:  "short quote",
			rule:  fail(netsim.Error{Kind: unreachable, Quote: netsim.Quote{Edit: netsim.Keep(10)}}),
			want4: []string{"error 3/0 cut 10", "error 3/0 cut 10", "error 3/0 cut 10"},
			want6: []string{"error 1/0 cut 10", "error 1/0 cut 10", "error 1/0 cut 10"},
		},
		{
			name:  "wrong sum",
			rule:  netsim.Rule{Answer: one(netsim.Packet{BadSum: true, Error: &netsim.Error{Kind: unreachable}})},
			want4: of("error 3/0 sum quote 20+24 seq %d"),
		},
	}
}

// run runs one case: three requests, then the fence.
func (b behaviour) run(t *testing.T, n *netsim.Net, v4 bool) {
	host, fence := addr(v4, "7"), addr(v4, "99")
	rule := b.rule
	rule.Prefix = netip.PrefixFrom(host, host.BitLen())
	last := netsim.Rule{
		Prefix: netip.PrefixFrom(fence, fence.BitLen()),
		Delay:  2*rule.Delay + 20*time.Millisecond,
	}
	if b.slow {
		last.Delay += 200 * time.Millisecond
	}
	n.Replace(rule, last)
	p := newProber(t, v4)
	payload := []byte("0123456789abcdef")
	for seq := range 3 {
		p.send(host, testID, seq, payload)
	}
	var got []string
	for _, r := range p.collect(fence) {
		got = append(got, describe(p, r, host, payload))
	}
	want := b.want4
	if !v4 {
		want = b.want6
	}
	if !slices.Equal(got, want) {
		t.Errorf("came back:\n%q, want\n%q", got, want)
	}
}

func TestBehaviour(t *testing.T) {
	netsim.Run(t, nil, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			for _, b := range slices.Concat(behaviours(), errorBehaviours()) {
				t.Run(b.name, func(t *testing.T) {
					// Each case begins with request 0 to its host.
					n.Forget()
					b.run(t, n, v4)
				})
			}
		})
	})
}
