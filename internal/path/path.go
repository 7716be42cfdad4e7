// Package path follows the way to a target: which routers answer on it, where loss
// begins, and how large a packet may be. A trace is a value, and the verdict on it is a
// pure function. It never claims more than was observed: a hop is "the last to answer",
// never the one that dropped a packet.
package path

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// Trace is what one trace saw. Nobody changes it after it was handed over.
type Trace struct {
	Host string     // as given
	Addr netip.Addr // the target
	DSCP int        // of the echoes

	Start    time.Time
	Duration time.Duration
	Sent     int // echo requests of the whole trace

	// Hops are the hops from the first one to the target or, if that did not answer, to
	// the last one that did. Hops[i] is hop i+1; one that did not answer has no addresses.
	Hops    []Hop
	Reached bool // the target answered
	Probed  int  // the largest TTL sent for a hop

	// Echoes that had enough TTL for the whole path. If the target did not answer, they
	// are those beyond the last hop that did.
	EndSent, EndReceived int

	// Error is the ICMP error, other than an expired TTL of a hop, that came most, and
	// Errors how many came. ErrorHop is the hop that reported it, 0 if that is not known.
	Error    *icmpcore.EchoError
	Errors   int
	ErrorHop int

	Held bool  // no request left this machine: the neighbour or the device is to blame
	MTU  *MTU  // nil if it was not asked for, or the target did not answer
	Err  error // why nothing, or not all, could be sent
}

// Hop is one hop of a trace.
type Hop struct {
	TTL     int
	From    []Address // that answered, most answers first
	Sent    int       // echoes whose TTL ends here; for the target those that just reach it
	Answers int
	RTTs    []time.Duration // of the answers, ascending
	DSCP    int             // with which the echoes arrived, by the router's quote; -1 if not known
	MPLS    []icmpcore.MPLSLabel
	Target  bool // the target answered

	// Limited is set by the verdict's rules: the hop answers less often than the hops
	// behind it, so it limits its own answers.
	Limited bool
}

// Address is an address that answered for a hop.
type Address struct {
	Addr    netip.Addr
	Answers int

	// Proven is false if every answer quoted too little of our packet to prove that its
	// sender has seen it.
	Proven bool
}

// Addr returns the address that answered most, the zero Addr if none did.
func (h *Hop) Addr() netip.Addr {
	if len(h.From) == 0 {
		return netip.Addr{}
	}
	return h.From[0].Addr
}

// has reports whether a answered for the hop.
func (h *Hop) has(a netip.Addr) bool {
	return slices.ContainsFunc(h.From, func(f Address) bool { return f.Addr == a })
}

// Min returns the least time of the answers, 0 if there are none.
func (h *Hop) Min() time.Duration { return icmpcore.Percentile(h.RTTs, 0) }

// Median returns the median of the answers' times.
func (h *Hop) Median() time.Duration { return icmpcore.Percentile(h.RTTs, 50) }

// Max returns the longest time of the answers.
func (h *Hop) Max() time.Duration { return icmpcore.Percentile(h.RTTs, 100) }

// Length returns the number of hops to the target, 0 if it did not answer.
func (t *Trace) Length() int {
	if !t.Reached {
		return 0
	}
	return len(t.Hops)
}

// last returns the last hop that answered, nil if none did.
func (t *Trace) last() *Hop {
	for i := len(t.Hops) - 1; i >= 0; i-- {
		if t.Hops[i].Answers > 0 {
			return &t.Hops[i]
		}
	}
	return nil
}

// hopOf returns the number of the first hop that a answered for, 0 if there is none.
func (t *Trace) hopOf(a netip.Addr) int {
	for i := range t.Hops {
		if t.Hops[i].has(a) {
			return i + 1
		}
	}
	return 0
}

// Route is the addresses of a path, hop by hop; the zero Addr stands for a hop that is
// not known. It is what is remembered of a trace.
type Route struct {
	Hops    []netip.Addr
	Reached bool      // the last one is the target
	At      time.Time // of the newest trace that saw it
}

// Route returns the addresses that answered most.
func (t *Trace) Route() Route {
	r := Route{Hops: make([]netip.Addr, len(t.Hops)), Reached: t.Reached, At: t.Start}
	for i := range t.Hops {
		r.Hops[i] = t.Hops[i].Addr()
	}
	return r
}

// changed returns the first hop at which trace t takes another way than r, 0 if there is
// none. A hop that only one of them knows is no difference.
func (r *Route) changed(t *Trace) int {
	for i := range min(len(r.Hops), len(t.Hops)) {
		if old := r.Hops[i]; old.IsValid() && len(t.Hops[i].From) > 0 && !t.Hops[i].has(old) {
			return i + 1
		}
	}
	if r.Reached && t.Reached && r.longer(t) {
		return min(len(r.Hops), len(t.Hops))
	}
	if !t.Reached && r.Reached && len(t.Hops) >= len(r.Hops) {
		return len(r.Hops)
	}
	return 0
}

// longer reports whether one of r and t has a router where the other has its target, or
// behind that. If there is only silence, the echoes to the target of one may be lost.
func (r *Route) longer(t *Trace) bool {
	n := min(len(r.Hops), len(t.Hops))
	for _, a := range r.Hops[n-1:] {
		if len(r.Hops) > n && a.IsValid() && a != t.Addr {
			return true
		}
	}
	for i := range t.Hops[n-1:] {
		if h := &t.Hops[n-1+i]; len(t.Hops) > n && len(h.From) > 0 && !h.Target {
			return true
		}
	}
	return false
}

// Join returns the route of t, in which hops that did not answer this time have the
// address that r has. ok is false if t takes another way than r.
func (r *Route) Join(t *Trace) (joined Route, ok bool) {
	now := t.Route()
	if r == nil || len(r.Hops) == 0 || r.changed(t) > 0 {
		return now, r == nil || len(r.Hops) == 0
	}
	if !t.Reached {
		return *r, true
	}
	if len(now.Hops) > len(r.Hops) { // r knows better where the target is
		joined := *r
		joined.At = now.At
		return joined, true
	}
	for i, a := range r.Hops[:len(now.Hops)-1] {
		if t.Hops[i].has(a) || !now.Hops[i].IsValid() {
			now.Hops[i] = a // also of several that share the load
		}
	}
	return now, true
}

// ID is a short name of the route: equal routes have equal ones.
func (r *Route) ID() string {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	for _, a := range r.Hops {
		b := a.As16()
		if !a.IsValid() {
			b = [16]byte{}
		}
		for _, c := range b {
			h = (h ^ uint64(c)) * prime
		}
	}
	const digits = "0123456789abcdef"
	var id [16]byte
	for i := range id {
		id[i] = digits[h>>(60-4*i)&15]
	}
	return string(id[:])
}

// String returns the addresses with blanks between them, * for those not known.
func (r *Route) String() string {
	var b []byte
	for i, a := range r.Hops {
		if i > 0 {
			b = append(b, ' ')
		}
		if a.IsValid() {
			b = a.AppendTo(b)
		} else {
			b = append(b, '*')
		}
	}
	return string(b)
}
