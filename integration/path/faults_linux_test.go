package path

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// place is where a fault is: a target with routers of its own.
type place struct {
	family icmpcore.Family
	number int
}

func (p place) target() netip.Addr { return target(p.family, p.number) }

func (p place) router(hop int) netip.Addr { return numbered(p.family, 100+p.number, hop-1) }

// hops returns a path of n routers, changed as f says.
func (p place) hops(n int, f func(hops []netsim.Hop)) netsim.Rule {
	hops := make([]netsim.Hop, n)
	for i := range hops {
		hops[i] = netsim.Hop{Addr: p.router(i + 1), Delay: ms}
	}
	if f != nil {
		f(hops)
	}
	return netsim.Rule{Prefix: prefix(p.target()), Hops: hops}
}

// code returns a code of Destination Unreachable: four over IPv4, six over IPv6.
func (p place) code(four, six uint8) uint8 {
	if p.family == icmpcore.FamilyIPv4 {
		return four
	}
	return six
}

// fault is a scripted fault and the verdict that it must get.
type fault struct {
	name    string
	rule    func(p place) netsim.Rule
	cause   string
	lastHop int  // 0: none
	down    bool // the target is not reached
	mtu     int  // with --mtu: of the path
	check   func(p place, r report) error
}

// length is how many routers are before the target, unless a fault says otherwise.
const length = 6

// change returns a rule with the usual path, changed as f says.
func change(f func(h []netsim.Hop)) func(place) netsim.Rule {
	return func(p place) netsim.Rule { return p.hops(length, f) }
}

// ending returns a rule with the usual path to a target that answers as a says.
func ending(a netsim.Answer) func(place) netsim.Rule {
	return func(p place) netsim.Rule {
		r := p.hops(length, nil)
		r.Answer = a
		return r
	}
}

// silence makes routers silent, which are numbered from 1.
func silence(h []netsim.Hop, hops ...int) {
	for _, i := range hops {
		h[i-1].Addr = netip.Addr{}
	}
}

// limit limits the errors of a router so that it answers few of a trace's echoes.
func limit(h *netsim.Hop) { h.Rate, h.Burst = 0.5, 3 }

// refuse makes a router report an error in place of forwarding.
func refuse(hop int, four, six uint8) func(place) netsim.Rule {
	return func(p place) netsim.Rule {
		return p.hops(length, func(h []netsim.Hop) {
			h[hop-1].Refuse = &netsim.Error{Kind: netsim.DestinationUnreachable, Code: p.code(four, six)}
		})
	}
}

// sound are paths that lose nothing.
func sound() []fault {
	const end = length + 1
	expired := func(e netsim.Error) *netsim.Error { e.Kind = netsim.TimeExceeded; return &e }
	return []fault{
		{name: "nothing is wrong", rule: change(nil), cause: "none", lastHop: end},
		{name: "one silent hop", rule: change(func(h []netsim.Hop) { silence(h, 3) }), cause: "none", lastHop: end},
		{name: "three silent hops in the middle", rule: change(func(h []netsim.Hop) { silence(h, 2, 3, 4) }), cause: "none", lastHop: end},
		{name: "first hop silent", rule: change(func(h []netsim.Hop) { silence(h, 1) }), cause: "none", lastHop: end},
		{name: "last hop silent", rule: change(func(h []netsim.Hop) { silence(h, 6) }), cause: "none", lastHop: end},
		{name: "all hops silent", rule: change(func(h []netsim.Hop) { silence(h, 1, 2, 3, 4, 5, 6) }), cause: "none", lastHop: end},
		{name: "no hop at all", rule: func(p place) netsim.Rule { return p.hops(0, nil) }, cause: "none", lastHop: 1},
		{name: "25 hops", rule: func(p place) netsim.Rule { return p.hops(25, nil) }, cause: "none", lastHop: 26},
		{name: "a slow hop", rule: change(func(h []netsim.Hop) { h[2].Slow = 200 * ms }), cause: "none", lastHop: end},
		{name: "answers of a hop after the timeout", rule: change(func(h []netsim.Hop) { h[2].Slow = 20 * time.Second }), cause: "none", lastHop: end},
		{name: "quotes of eight bytes", rule: change(func(h []netsim.Hop) {
			for i := range h {
				h[i].Quote.Bytes = 8
			}
		}), cause: "none", lastHop: end},
		{name: "MPLS tunnel", rule: change(func(h []netsim.Hop) {
			for i := 2; i < 5; i++ {
				h[i].Quote.Labels = []netsim.Label{{Label: uint32(16000 + i), TTL: 1}}
			}
		}), cause: "none", lastHop: end, check: func(_ place, r report) error {
			for i, h := range r.Hops[:length] {
				if tunnel := i >= 2 && i < 5; tunnel != (len(h.MPLS) == 1) || tunnel && h.MPLS[0].Label != 16000+i {
					return fmt.Errorf("hop %d has the labels %+v", i+1, h.MPLS)
				}
			}
			return nil
		}},
		{name: "code point changed", rule: change(func(h []netsim.Hop) { h[2].TOS = new(uint8(8 << 2)) }), cause: "none", lastHop: end,
			check: func(_ place, r report) error {
				for i, h := range r.Hops[:length] {
					want := 46
					if i > 2 {
						want = 8
					}
					if h.DSCP != nil && *h.DSCP != want || h.DSCP == nil && r.raw {
						return fmt.Errorf("hop %d has the code point %v, want %d", i+1, h.DSCP, want)
					}
				}
				return nil
			}},
		{name: "errors twice", rule: change(func(h []netsim.Hop) {
			h[2].Answer = netsim.Packets(netsim.Packet{Error: expired(netsim.Error{})}, netsim.Packet{After: ms, Error: expired(netsim.Error{})})
		}), cause: "none", lastHop: end},
		{name: "errors about the packets of others", rule: change(func(h []netsim.Hop) {
			other := func(e netsim.Edit) netsim.Packet {
				return netsim.Packet{Error: expired(netsim.Error{Quote: netsim.Quote{Edit: e}})}
			}
			h[2].Answer = netsim.Packets(other(netsim.OtherDst), other(netsim.OtherID), other(netsim.OtherSeq), netsim.Packet{Error: expired(netsim.Error{})})
		}), cause: "none", lastHop: end},
		{name: "errors from an address off the path", rule: func(p place) netsim.Rule {
			return p.hops(length, func(h []netsim.Hop) { h[2].Addr = p.router(99) })
		}, cause: "none", lastHop: end, check: func(p place, r report) error {
			if want := p.router(99).String(); !slices.Equal(r.Hops[2].Addresses, []string{want}) {
				return fmt.Errorf("hop 3 is %v, want %s", r.Hops[2].Addresses, want)
			}
			return nil
		}},
		{name: "two branches", rule: func(p place) netsim.Rule { return branches(p, false) }, cause: "none", lastHop: end, check: oneBranch},
		{name: "branches of unequal length", rule: func(p place) netsim.Rule {
			return p.hops(5, func(h []netsim.Hop) {
				h[1].Branches = [][]netsim.Hop{netsim.Routers(p.router(21)), netsim.Routers(p.router(31), p.router(32), p.router(33))}
			})
		}, cause: "none", check: func(_ place, r report) error {
			if n := len(r.Hops); !r.Reached || n != 7 && n != 9 || r.LastHop == nil || *r.LastHop != n {
				return fmt.Errorf("%d hops", n)
			}
			return nil
		}},
		{name: "the way back is longer", rule: func(p place) netsim.Rule { r := p.hops(length, nil); r.TTL = 50; return r }, cause: "none", lastHop: end},
		{name: "the way back is shorter", rule: func(p place) netsim.Rule { r := p.hops(length, nil); r.TTL = 67; return r }, cause: "none", lastHop: end},
	}
}

// branches is a path that splits behind its second router. With dead, one of the
// branches forwards nothing.
func branches(p place, dead bool) netsim.Rule {
	return p.hops(5, func(h []netsim.Hop) {
		h[1].Branches = [][]netsim.Hop{netsim.Routers(p.router(21)), netsim.Routers(p.router(31))}
		if dead {
			h[1].Branches[1][0].Loss = 1
		}
	})
}

// oneBranch checks that a trace has followed one branch, not a mixture.
func oneBranch(p place, r report) error {
	for i, h := range r.Hops {
		if len(h.Addresses) != 1 {
			return fmt.Errorf("hop %d is %v", i+1, h.Addresses)
		}
	}
	return nil
}

// limited are paths that lose nothing, on which routers limit their answers.
func limited() []fault {
	const end = length + 1
	return []fault{
		{name: "a hop limits its answers", rule: change(func(h []netsim.Hop) { limit(&h[2]) }), cause: "rate_limited", lastHop: end, check: limits(3)},
		{name: "two hops limit their answers", rule: change(func(h []netsim.Hop) { limit(&h[1]); limit(&h[4]) }), cause: "rate_limited", lastHop: end, check: limits(2, 5)},
		{name: "two hops in a row limit their answers", rule: change(func(h []netsim.Hop) { limit(&h[2]); limit(&h[3]) }), cause: "rate_limited", lastHop: end, check: limits(3, 4)},
		{name: "the first hop limits its answers", rule: change(func(h []netsim.Hop) { limit(&h[0]) }), cause: "rate_limited", lastHop: end, check: limits(1)},
		{name: "the last hop limits its answers", rule: change(func(h []netsim.Hop) { limit(&h[5]) }), cause: "rate_limited", lastHop: end, check: limits(6)},
		{name: "all hops limit their answers", rule: change(func(h []netsim.Hop) {
			for i := range h {
				limit(&h[i])
			}
		}), cause: "rate_limited", lastHop: end, check: limits(1, 2, 3, 4, 5, 6)},
		{name: "a hop limits its answers, another is silent", rule: change(func(h []netsim.Hop) { limit(&h[2]); silence(h, 4) }),
			cause: "rate_limited", lastHop: end, check: limits(3)},
	}
}

// limits checks which hops are said to limit their answers.
func limits(hops ...int) func(place, report) error {
	return func(_ place, r report) error {
		for i, h := range r.Hops {
			if h.Limited != slices.Contains(hops, i+1) {
				return fmt.Errorf("hop %d: limited is %v, with %d of %d answers", i+1, h.Limited, h.Answers, h.Sent)
			}
		}
		return nil
	}
}

// silent are paths on which everything is lost from somewhere on.
func silent() []fault {
	beyond := func(hop int, more func([]netsim.Hop)) func(place) netsim.Rule {
		return change(func(h []netsim.Hop) {
			h[hop].Loss = 1
			if more != nil {
				more(h)
			}
		})
	}
	return []fault{
		{name: "nothing beyond hop 3", rule: beyond(3, nil), cause: "silent_beyond", lastHop: 3, down: true},
		{name: "nothing beyond hop 1", rule: beyond(1, nil), cause: "silent_beyond", lastHop: 1, down: true},
		{name: "nothing at all", rule: beyond(0, nil), cause: "silent_beyond", down: true},
		{name: "nothing beyond a silent hop", rule: beyond(5, func(h []netsim.Hop) { silence(h, 5) }), cause: "silent_beyond", lastHop: 4, down: true},
		{name: "nothing beyond hop 4, hop 2 limits its answers", rule: beyond(4, func(h []netsim.Hop) { limit(&h[1]) }), cause: "silent_beyond", lastHop: 4, down: true},
		{name: "nothing beyond hop 4, which limits its answers", rule: beyond(4, func(h []netsim.Hop) { limit(&h[3]) }), cause: "silent_beyond", lastHop: 4, down: true},
		{name: "nothing beyond hop 4, hops 1 to 3 are silent", rule: beyond(4, func(h []netsim.Hop) { silence(h, 1, 2, 3) }), cause: "silent_beyond", lastHop: 4, down: true},
		{name: "nothing beyond hop 3, quotes of eight bytes", rule: beyond(3, func(h []netsim.Hop) {
			for i := range h {
				h[i].Quote.Bytes = 8
			}
		}), cause: "silent_beyond", lastHop: 3, down: true},
		{name: "nothing beyond hop 20 of 25", rule: func(p place) netsim.Rule {
			return p.hops(25, func(h []netsim.Hop) { h[20].Loss = 1 })
		}, cause: "silent_beyond", lastHop: 20, down: true},
		{name: "nothing comes back from beyond hop 3", rule: change(func(h []netsim.Hop) { h[2].ReturnLoss = 1 }), cause: "silent_beyond", lastHop: 3, down: true},
		{name: "the target is down", rule: ending(netsim.Lost), cause: "silent_beyond", lastHop: 6, down: true},
		{name: "the target and the last hop are silent", rule: func(p place) netsim.Rule {
			r := p.hops(length, func(h []netsim.Hop) { silence(h, 6) })
			r.Answer = netsim.Lost
			return r
		}, cause: "silent_beyond", lastHop: 5, down: true},
		{name: "the target without a hop is down", rule: func(p place) netsim.Rule {
			r := p.hops(0, nil)
			r.Answer = netsim.Lost
			return r
		}, cause: "silent_beyond", down: true},
		{name: "replies after the timeout", rule: ending(netsim.Packets(netsim.Packet{After: 20 * time.Second})), cause: "silent_beyond", lastHop: 6, down: true},
		{name: "replies with a wrong cookie", rule: ending(netsim.Packets(netsim.Packet{Edit: netsim.WrongCookie})), cause: "silent_beyond", lastHop: 6, down: true},
		{name: "one of two branches is dead", rule: func(p place) netsim.Rule { return branches(p, true) }, check: deadBranch},
	}
}

// deadBranch checks the verdict on a path of which one branch is dead: it depends
// on the branch that the flow takes.
func deadBranch(p place, r report) error {
	if err := oneBranch(p, r); err != nil {
		return err
	}
	if r.Reached {
		if r.Cause != "none" || r.Hops[2].Addresses[0] != p.router(21).String() {
			return fmt.Errorf("reached by %v: %s", r.Hops[2].Addresses, r.Cause)
		}
		return nil
	}
	if r.Cause != "silent_beyond" || r.LastHop == nil || *r.LastHop != 2 {
		return fmt.Errorf("not reached: %s %v", r.Cause, r.LastHop)
	}
	return nil
}

// partial are paths that lose a part.
func partial() []fault {
	loses := func(hop int, part float64, more func([]netsim.Hop)) func(place) netsim.Rule {
		return change(func(h []netsim.Hop) {
			h[hop-1].Loss = part
			if more != nil {
				more(h)
			}
		})
	}
	return []fault{
		{name: "half is lost at hop 4", rule: loses(4, 0.5, nil), cause: "loss_beyond", lastHop: 3},
		{name: "a third is lost at hop 3", rule: loses(3, 0.33, nil), cause: "loss_beyond", lastHop: 2},
		{name: "half is lost at the first hop", rule: loses(1, 0.5, nil), cause: "loss_beyond"},
		{name: "half is lost at the last hop", rule: loses(6, 0.5, nil), cause: "loss_beyond", lastHop: 5},
		{name: "half is lost at hop 4, hop 2 limits its answers", rule: loses(4, 0.5, func(h []netsim.Hop) { limit(&h[1]) }), cause: "loss_beyond", lastHop: 3},
		{name: "half is lost at hop 4, hop 3 is silent", rule: loses(4, 0.5, func(h []netsim.Hop) { silence(h, 3) }), cause: "loss_beyond", lastHop: 2},
		{name: "half of what comes back is lost at hop 3", rule: change(func(h []netsim.Hop) { h[2].ReturnLoss = 0.5 }), cause: "loss_beyond", lastHop: 3},
		{name: "half is lost at the target", rule: func(p place) netsim.Rule {
			r := p.hops(length, nil)
			r.Loss = 0.5
			return r
		}, cause: "target", lastHop: 6},
		{name: "half is lost at the target, hop 3 limits its answers", rule: func(p place) netsim.Rule {
			r := p.hops(length, func(h []netsim.Hop) { limit(&h[2]) })
			r.Loss = 0.5
			return r
		}, cause: "target", lastHop: 6},
	}
}

// refused are paths on which somebody reports an error.
func refused() []fault {
	const unreachable = netsim.DestinationUnreachable
	at := func(p place, hop int, e netsim.Error) netsim.Rule {
		return p.hops(length, func(h []netsim.Hop) { h[hop-1].Refuse = &e })
	}
	return []fault{
		{name: "network unreachable", rule: refuse(4, 0, 0), cause: "unreachable", lastHop: 4, down: true},
		{name: "host unreachable, from the last hop", rule: refuse(6, 1, 3), cause: "unreachable", lastHop: 6, down: true},
		{name: "prohibited", rule: refuse(5, 13, 1), cause: "unreachable", lastHop: 5, down: true},
		{name: "prohibited by the first hop", rule: refuse(1, 9, 5), cause: "unreachable", lastHop: 1, down: true},
		{name: "port unreachable, from the target", rule: ending(netsim.Fail(netip.Addr{}, netsim.Error{Kind: unreachable, Code: 3})), cause: "unreachable", down: true,
			check: func(p place, r report) error {
				if r.LastAddress == nil || *r.LastAddress != p.target().String() {
					return fmt.Errorf("reported by %v, want the target", r.LastAddress)
				}
				return nil
			}},
		{name: "unreachable, from an address off the path", rule: func(p place) netsim.Rule {
			r := p.hops(length, nil)
			r.Answer = netsim.Fail(p.router(99), netsim.Error{Kind: unreachable, Code: 1})
			return r
		}, cause: "unreachable", down: true, check: func(p place, r report) error {
			if r.LastAddress == nil || *r.LastAddress != p.router(99).String() {
				return fmt.Errorf("reported by %v, want %s", r.LastAddress, p.router(99))
			}
			return nil
		}},
		{name: "parameter problem", rule: func(p place) netsim.Rule { return at(p, 3, netsim.Error{Kind: netsim.ParameterProblem}) },
			cause: "unreachable", lastHop: 3, down: true},
		{name: "unreachable, quote of eight bytes", rule: func(p place) netsim.Rule {
			return at(p, 4, netsim.Error{Kind: unreachable, Code: p.code(1, 0), Quote: netsim.Quote{Bytes: 8}})
		}, cause: "unreachable", lastHop: 4, down: true},
		{name: "loop of two hops", rule: func(p place) netsim.Rule {
			return p.hops(200, func(h []netsim.Hop) {
				for i := range h {
					h[i].Delay = 0
					if i > 4 {
						h[i].Addr = h[3+(i-3)%2].Addr
					}
				}
			})
		}, cause: "unreachable", down: true},
		{name: "every second echo is unreachable", rule: func(p place) netsim.Rule {
			r := p.hops(length, nil)
			r.Answer = netsim.Every(2, netsim.Fail(p.router(6), netsim.Error{Kind: unreachable, Code: 1}))
			return r
		}, cause: "unreachable", lastHop: 6},
	}
}

// tooLarge are paths that take smaller packets than the interface. They are traced
// with --mtu.
func tooLarge() []fault {
	narrow := func(hop, mtu int, hole bool) func(place) netsim.Rule {
		return change(func(h []netsim.Hop) { h[hop-1].MTU, h[hop-1].Blackhole = mtu, hole })
	}
	return []fault{
		{name: "MTU of all hops is large", rule: change(nil), cause: "none", lastHop: 7, mtu: 1500},
		{name: "packet too big, reported", rule: narrow(3, 1400, false), cause: "mtu", lastHop: 3, mtu: 1400},
		{name: "packet too big, reported by two", rule: change(func(h []netsim.Hop) { h[1].MTU, h[4].MTU = 1480, 1300 }), cause: "mtu", lastHop: 5, mtu: 1300},
		{name: "packet too big, MTU not said", rule: change(func(h []netsim.Hop) { h[2].MTU, h[2].Quote = 1400, netsim.Quote{Bytes: 8} }),
			cause: "mtu", lastHop: 3, mtu: 1400},
		{name: "black hole", rule: narrow(4, 1400, true), cause: "mtu", lastHop: 4, mtu: 1400},
		{name: "black hole of a silent hop", rule: change(func(h []netsim.Hop) { h[3].MTU, h[3].Blackhole = 1333, true; silence(h, 4) }),
			cause: "mtu", lastHop: 3, mtu: 1333},
		{name: "black hole at the first hop", rule: narrow(1, 1492, true), cause: "mtu", lastHop: 1, mtu: 1492},
		{name: "black hole behind a reported limit", rule: change(func(h []netsim.Hop) {
			h[1].MTU = 1450
			h[3].MTU, h[3].Blackhole = 1290, true
		}), cause: "mtu", lastHop: 4, mtu: 1290},
	}
}
