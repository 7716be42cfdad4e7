package netsim

import (
	"encoding/binary"
	"math"
	"net/netip"
	"sync/atomic"
	"time"
)

// sim decides what to send for each packet that arrives, and when. It does no I/O and
// reads no clock. Only one goroutine may use it, except for the rules and the
// counters.
type sim struct {
	rules  atomic.Pointer[table]
	record record
	stats  counters
	write  func(packet []byte) // sends a packet to the host

	fragments assembler
	queue     queue
	held      map[netip.Addr][]heldPacket
	buckets   map[netip.Addr]*bucket
	way       []*Hop // the routers that the request in hand passes
	failure   Error  // the error in hand
	message   []byte // buffer for an ICMP message
	packet    []byte // buffer for an IP packet
}

// heldPacket waits for a later request to its address.
type heldPacket struct {
	behind int // the number of that request
	delay  time.Duration
	packet []byte
}

// counters are read from other goroutines.
type counters struct {
	requests, silent, other, sent, failed atomic.Uint64
}

// refused corrects the counters for a packet that the host did not take.
func (c *counters) refused() {
	c.sent.Add(^uint64(0))
	c.failed.Add(1)
}

func newSim(write func([]byte)) *sim {
	s := &sim{write: write, held: map[netip.Addr][]heldPacket{}, buckets: map[netip.Addr]*bucket{}}
	s.rules.Store(&table{})
	return s
}

// receive answers one packet that came out of the host at the time now.
func (s *sim) receive(packet []byte, now time.Duration) {
	if packet = s.fragments.add(packet); packet == nil {
		return
	}
	req, ok := parse(packet)
	if !ok {
		s.stats.other.Add(1)
		return
	}
	req.At = now
	s.stats.requests.Add(1)
	rule := s.rules.Load().find(req.Dst)
	s.record.add(&req)
	if rule == nil {
		s.stats.silent.Add(1)
		return
	}
	s.answer(&req, rule)
	if len(s.held) > 0 {
		s.release(&req)
	}
}

// answer sends or queues the packets of the rule for the request.
func (s *sim) answer(req *Request, rule *Rule) {
	delay := rule.Delay
	if rule.Jitter > 0 {
		delay += time.Duration(chance(req, 'j') * float64(rule.Jitter))
	}
	delay, ok := s.forward(req, rule, delay)
	if !ok {
		return
	}
	if req.lost || rule.Loss > 0 && chance(req, 'l') < rule.Loss {
		s.stats.silent.Add(1)
		return
	}
	if rule.Answer == nil {
		s.send(req, rule, &Packet{}, delay)
		return
	}
	packets := rule.Answer(*req)
	if len(packets) == 0 {
		s.stats.silent.Add(1)
	}
	for i := range packets {
		s.send(req, rule, &packets[i], delay)
	}
}

// send builds a packet and writes, queues or holds it.
func (s *sim) send(req *Request, rule *Rule, p *Packet, delay time.Duration) {
	s.build(req, rule, p)
	if p.After < -delay {
		delay = 0
	} else {
		delay += p.After
	}
	switch {
	case p.Behind > 0:
		h := heldPacket{req.N + p.Behind, delay, append([]byte(nil), s.packet...)}
		s.held[req.Dst] = append(s.held[req.Dst], h)
	case delay > 0:
		s.queue.push(req.At+delay, s.packet)
	default:
		s.write(s.packet)
	}
}

// release sends the packets that waited for the answer to the request req.
func (s *sim) release(req *Request) {
	held := s.held[req.Dst]
	kept := held[:0]
	for _, h := range held {
		switch {
		case h.behind > req.N:
			kept = append(kept, h)
		case h.delay > 0:
			s.queue.push(req.At+h.delay, h.packet)
		default:
			s.write(h.packet)
		}
	}
	if len(kept) == 0 {
		delete(s.held, req.Dst)
		return
	}
	s.held[req.Dst] = kept
}

// flush writes the packets that are due now. It returns when the next packet is due,
// and false if none waits.
func (s *sim) flush(now time.Duration) (time.Duration, bool) {
	for {
		due, ok := s.queue.next()
		if !ok || due > now {
			return due, ok
		}
		s.write(s.queue.pop())
	}
}

// build makes s.packet out of p.
func (s *sim) build(req *Request, rule *Rule, p *Packet) {
	raw := Raw{Src: p.From, Dst: req.Src, TTL: p.TTL, Options: p.Options, BadSum: p.BadSum}
	if !raw.Src.IsValid() {
		raw.Src = req.Dst
	}
	if raw.TTL == 0 {
		start := int(rule.TTL)
		if start == 0 {
			start = defaultTTL
		}
		raw.TTL = uint8(max(start-len(s.way), 1))
	}
	switch {
	case p.TOS != nil:
		raw.TOS = *p.TOS
	case p.Error != nil:
		raw.TOS = 0xc0 // internetwork control, RFC 1812, section 4.3.2.5
	case rule.TOS != nil:
		raw.TOS = *rule.TOS
	default:
		raw.TOS = req.tos
	}
	if p.Error != nil {
		s.message = appendError(s.message[:0], req, p.Error)
	} else {
		s.message = appendReply(s.message[:0], req)
	}
	if p.Edit != nil {
		s.message = p.Edit(s.message)
	}
	raw.Message = s.message
	s.packet = raw.Append(s.packet[:0])
}

// appendReply appends the ICMP message of the true reply.
func appendReply(b []byte, req *Request) []byte {
	at := len(b)
	b = append(b, req.packet[req.head:]...)
	b[at] = echoReply4
	if !req.Dst.Is4() {
		b[at] = echoReply6
	}
	return b
}

// chance returns a number from 0 to 1, without 1. It depends only on the destination
// and number of the request and on its purpose. The mixing function is that of
// SplitMix64 (Steele, Lea, Flood 2014).
func chance(req *Request, purpose uint64) float64 {
	a := req.Dst.As16()
	x := purpose
	for _, v := range []uint64{binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:]), uint64(req.N)} {
		x = (x ^ v) + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return float64(x>>11) / math.Exp2(53)
}
