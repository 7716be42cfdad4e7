package otel

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// totals are the counters of a stream and its histogram.
type totals struct {
	requests, replies, duplicates, reordered, corrupt uint64

	changes uint64 // of the path

	failed [failures]uint64
	rtts   histogram
}

func (t *totals) record(r *icmpcore.PingResult) {
	t.count(r)
	for _, rtt := range r.RTTs {
		t.rtts.observe(rtt)
	}
}

// count is record without the histogram.
func (t *totals) count(r *icmpcore.PingResult) {
	t.requests += uint64(r.Sent)
	t.replies += uint64(r.Received)
	t.duplicates += uint64(r.Duplicates)
	t.reordered += uint64(r.Reordered)
	t.corrupt += uint64(r.Corrupt)
	for i := range r.Errors {
		t.failed[failureOf(r.Errors[i].Kind)]++
	}
	silent := max(0, r.Sent-r.Received-len(r.Errors))
	late := min(r.Late, silent)
	t.failed[failedLate] += uint64(late)
	t.failed[failedTimeout] += uint64(silent - late)
	if r.Sent == 0 && r.Err != nil {
		t.failed[reason(r.Err)]++
	}
}

// ended reports whether a series was cancelled before its first request, so that
// there is nothing to count.
func ended(r *icmpcore.PingResult) bool {
	return r.Sent == 0 && r.Err != nil && (errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, net.ErrClosed))
}

// reason tells why nothing could be sent.
func reason(err error) failure {
	var resolve *icmpcore.ResolveError
	if errors.As(err, &resolve) {
		return failedResolve
	}
	return failedSend
}

func (t *totals) merge(o *totals) {
	t.requests += o.requests
	t.replies += o.replies
	t.duplicates += o.duplicates
	t.reordered += o.reordered
	t.corrupt += o.corrupt
	t.changes += o.changes
	for i, n := range o.failed {
		t.failed[i] += n
	}
	t.rtts.merge(o.rtts)
}

func (t *totals) reset() {
	rtts := t.rtts
	rtts.reset()
	*t = totals{rtts: rtts}
}

// latest are the figures of the latest series. A figure that does not exist is NaN,
// ttl and hops are zero then.
type latest struct {
	loss, jitter, ipdv float64
	ttl, hops          uint8
	up                 bool

	pathHops uint8 // of the latest trace that reached the target, 0 if there is none
	traced   bool  // there was a trace
}

func latestOf(r *icmpcore.PingResult) latest {
	l := latest{loss: math.NaN(), jitter: math.NaN(), ipdv: math.NaN(), up: r.Received > 0}
	if r.Sent > 0 {
		l.loss = r.Loss / 100
	}
	if r.Received > 0 {
		l.ttl, l.hops = uint8(r.TTL), uint8(r.Hops)
	}
	if r.Received > 1 { // a single RTT has no jitter
		l.jitter = r.Jitter.Seconds()
	}
	if r.IPDVPairs > 0 {
		l.ipdv = r.IPDV.Seconds()
	}
	return l
}

// stream is one address of a target, or, if addr is not valid, the target while it
// has no address. All its points have the same attributes.
type stream struct {
	addr   netip.Addr
	text   string  // of addr
	start  int64   // when counting began, Unix ns; with delta, the time of the last delivery
	total  totals  // with delta, what no push has taken yet
	taken  *totals // with delta, what pushes have taken and none has delivered; otherwise nil
	latest latest

	round               uint64 // the target's rounds when this stream was last recorded
	recorded, delivered uint64 // series so far, and how many of them a push has delivered
	push                uint64 // the number of the push that delivered it last
}

func newStream(addr netip.Addr, start time.Time, rtts histogram) *stream {
	return &stream{addr: addr, text: addr.String(), start: start.UnixNano(), total: totals{rtts: rtts}}
}

func (s *stream) record(r *icmpcore.PingResult) {
	s.total.record(r)
	l := latestOf(r)
	l.pathHops, l.traced = s.latest.pathHops, s.latest.traced
	s.latest = l
	s.recorded++
}

// take returns what a push has to carry.
func (s *stream) take(delta bool) *totals {
	if !delta {
		return &s.total
	}
	if s.taken == nil {
		s.taken = &totals{rtts: s.total.rtts.empty()}
	}
	s.taken.merge(&s.total)
	s.total.reset()
	return s.taken
}

// deliver records that a push made at now has delivered the first series, recorded
// in number.
func (s *stream) deliver(recorded uint64, now int64) {
	s.delivered = recorded
	if s.taken != nil { // the next push makes a new one, so few streams have one at a time
		s.taken, s.start = nil, now
	}
}

// networkType returns the value of network.type: the family of the address, or the
// family that the target asks for if it has no address.
func networkType(f icmpcore.Family, addr netip.Addr) string {
	switch {
	case addr.Is4() || !addr.IsValid() && f == icmpcore.FamilyIPv4:
		return icmpcore.FamilyIPv4.String()
	case addr.Is6() || f == icmpcore.FamilyIPv6:
		return icmpcore.FamilyIPv6.String()
	}
	return ""
}
