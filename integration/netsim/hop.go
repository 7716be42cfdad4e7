package netsim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Hop is a router on the way to a host. The zero Hop forwards everything and never
// answers.
type Hop struct {
	// Addr is the source of the router's errors. A router with the zero Addr sends
	// none.
	Addr netip.Addr
	// Delay is the time that the link to the router adds to the answers of it and
	// of everything behind it.
	Delay time.Duration
	// Slow is the time that the router takes to make an error.
	Slow time.Duration
	// Loss is the part of the requests that the router loses, from 0 to 1: then
	// neither it answers nor anything behind it. It is the same in every run, like
	// that of a Rule.
	Loss float64
	// ReturnLoss is the part of the answers from behind it that it loses.
	ReturnLoss float64
	// Rate, if not zero, limits its errors to so many a second over all targets (a
	// token bucket of Burst, at least 1, that is full at first). Routers with the
	// same Addr have one bucket.
	Rate  float64
	Burst int
	// TOS, if not nil, replaces the TOS or traffic class byte of the requests that
	// it forwards.
	TOS *uint8
	// MTU, if not zero, is the size in bytes of the largest packet that it
	// forwards. It answers larger ones that must not be fragmented with Packet Too
	// Big. With Blackhole it loses them.
	MTU       int
	Blackhole bool
	// Refuse, if not nil, is its answer to every request that it would forward.
	Refuse *Error
	// Quote says how its errors quote the request. The quote has the TTL and TOS
	// with which the request arrived.
	Quote Quote
	// Answer, if not nil, returns the packets for a request whose TTL runs out
	// here. From of a packet means Addr if it is the zero Addr.
	Answer Answer
	// Branches are paths of equal cost that begin behind the router. Each flow takes
	// one of them, and goes on with the next Hop of the path that this one is in.
	Branches [][]Hop
}

// Routers returns a path of routers that only have an address.
func Routers(addrs ...netip.Addr) []Hop {
	hops := make([]Hop, len(addrs))
	for i, a := range addrs {
		hops[i].Addr = a
	}
	return hops
}

// checkHops returns what is wrong with a path.
func checkHops(hops []Hop) error {
	for i := range hops {
		h := &hops[i]
		if h.Loss < 0 || h.Loss > 1 || h.ReturnLoss < 0 || h.ReturnLoss > 1 {
			return fmt.Errorf("hop %v: loss %v or %v is not from 0 to 1", h.Addr, h.Loss, h.ReturnLoss)
		}
		for _, b := range h.Branches {
			if err := checkHops(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendWay appends the routers that a request passes.
func appendWay(way []*Hop, hops []Hop, req *Request) []*Hop {
	for i := range hops {
		h := &hops[i]
		way = append(way, h)
		if n := len(h.Branches); n > 0 {
			way = appendWay(way, h.Branches[req.flow(len(way))%uint32(n)], req)
		}
	}
	return way
}

// flow returns a hash of everything in a request by which routers choose between
// paths of equal cost: the addresses, the first eight bytes of the ICMP message
// without the sequence number, and the IPv6 flow label. It differs from hop to hop.
// The function is FNV-1a.
func (r *Request) flow(hop int) uint32 {
	sum := uint32(2166136261)
	add := func(b byte) { sum = (sum ^ uint32(b)) * 16777619 }
	src, dst := r.Src.As16(), r.Dst.As16()
	for i := range src {
		add(src[i])
		add(dst[i])
	}
	for _, b := range r.packet[r.head : r.head+6] {
		add(b)
	}
	add(byte(r.Label >> 16))
	add(byte(r.Label >> 8))
	add(byte(r.Label))
	add(byte(hop))
	return sum ^ sum>>16
}

// forward takes a request along the routers of its way. It returns the delay of an
// answer from the host, and false if the request does not get there.
func (s *sim) forward(req *Request, rule *Rule, delay time.Duration) (time.Duration, bool) {
	s.way = appendWay(s.way[:0], rule.Hops, req)
	for i, h := range s.way {
		delay += h.Delay
		if hit(req, 'f', i, h.Loss) {
			s.stats.silent.Add(1)
			return 0, false
		}
		if req.ttl <= 1 {
			s.expire(req, rule, i, delay)
			return 0, false
		}
		if h.Refuse != nil {
			s.report(req, rule, i, *h.Refuse, delay)
			return 0, false
		}
		if h.MTU > 0 && req.Size > h.MTU && req.DF {
			if h.Blackhole {
				s.stats.silent.Add(1)
			} else {
				s.report(req, rule, i, Error{Kind: PacketTooBig, Info: uint32(h.MTU)}, delay)
			}
			return 0, false
		}
		req.ttl--
		if h.TOS != nil {
			req.tos = *h.TOS
		}
		req.lost = req.lost || hit(req, 'r', i, h.ReturnLoss)
	}
	return delay, true
}

// hit reports whether something that has a chance happens to a request at a hop.
func hit(req *Request, purpose uint64, hop int, part float64) bool {
	return part > 0 && chance(req, purpose<<8|uint64(hop)) < part
}

// expire answers a request whose TTL ran out at the hop with the index at.
func (s *sim) expire(req *Request, rule *Rule, at int, delay time.Duration) {
	h := s.way[at]
	if h.Answer == nil {
		s.report(req, rule, at, Error{Kind: TimeExceeded}, delay)
		return
	}
	if req.lost {
		s.stats.silent.Add(1)
		return
	}
	packets := h.Answer(*req)
	if len(packets) == 0 {
		s.stats.silent.Add(1)
	}
	for i := range packets {
		p := packets[i]
		if !p.From.IsValid() {
			p.From = h.Addr
		}
		s.send(req, rule, &p, delay+h.Slow)
	}
}

// report sends an error of the router at the hop with the index at, if it sends any
// and may send one now.
func (s *sim) report(req *Request, rule *Rule, at int, e Error, delay time.Duration) {
	h := s.way[at]
	if req.lost || !h.Addr.IsValid() || !s.allow(h, req.At) {
		s.stats.silent.Add(1)
		return
	}
	if e.Quote.plain() {
		e.Quote = h.Quote
	}
	s.failure = e
	s.send(req, rule, &Packet{From: h.Addr, TTL: uint8(max(defaultTTL-at, 1)), Error: &s.failure}, delay+h.Slow)
}

// bucket holds what a router may send: tokens at a time.
type bucket struct {
	tokens float64
	at     time.Duration
}

// allow reports whether a router may send an error now, and counts it.
func (s *sim) allow(h *Hop, now time.Duration) bool {
	if h.Rate == 0 {
		return true
	}
	most := float64(max(h.Burst, 1))
	b := s.buckets[h.Addr]
	if b == nil {
		b = &bucket{most, now}
		s.buckets[h.Addr] = b
	}
	b.tokens = min(b.tokens+(now-b.at).Seconds()*h.Rate, most)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Label is one entry of an MPLS label stack (RFC 3032).
type Label struct {
	Label uint32 // 20 bits
	TC    uint8  // 3 bits
	TTL   uint8
}

// appendLabels appends an extension structure (RFC 4884) with a label stack (RFC
// 4950).
func appendLabels(b []byte, labels []Label) []byte {
	at := len(b)
	b = append(b, 0x20, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(4+4*len(labels)))
	b = append(b, 1, 1)
	for i, l := range labels {
		v := l.Label<<12 | uint32(l.TC&7)<<9 | uint32(l.TTL)
		if i == len(labels)-1 {
			v |= 1 << 8
		}
		b = binary.BigEndian.AppendUint32(b, v)
	}
	binary.BigEndian.PutUint16(b[at+2:], fold(0, b[at:]))
	return b
}
