package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

// cause is what a trace has shown that other targets can share.
type cause struct {
	kind  path.Cause
	last  netip.Addr // up to which all was well; the zero Addr is this machine
	next  netip.Addr // the hop behind it on the healthy path; the target if none is known
	total bool       // the trace lost every echo to the target
	alone bool       // it is known only of the way to one target, so no other shares it

	// ways, if not zero, is on how many ways beyond last traces found no answer, while no
	// target beyond it answered. Then it does not matter what comes next.
	ways int

	way  []netip.Addr // up to last
	what string       // in words
	host string       // that was traced
	seen time.Time    // when the trace began
	at   time.Time    // when it ended
}

const (
	maxCauses = 64 // that are remembered

	// Without so many ways beyond an address, and targets there that lost all since then,
	// nothing is said of all that is beyond it.
	leastWays, leastLost = 3, 10
)

// causeOf returns what others can share of a verdict. route is the healthy path of the
// target, nil if it is not known.
func causeOf(t *path.Trace, v path.Verdict, route *path.Route, now time.Time) (cause, bool) {
	c := cause{kind: v.Cause, last: v.LastAddress, total: t.EndReceived == 0, way: t.Route().Hops, host: t.Host, seen: t.Start, at: now}
	var ok bool
	c.what, ok = shared(v)
	if v.Cause == path.TargetItself && !t.Reached && c.last.IsValid() {
		c.kind, c.what, ok = path.SilentBeyond, beyond(c.last), true
	}
	if route != nil {
		if i, on := index(route.Hops, c.last); on {
			c.next = following(route.Hops, i)
		}
	}
	if c.alone = !c.next.IsValid() || c.next == t.Addr; c.alone {
		c.next = t.Addr
	}
	return c, ok && (!c.alone || c.kind == path.SilentBeyond && c.total && c.last.IsValid())
}

// shared returns what a verdict says about all targets behind its last hop.
func shared(v path.Verdict) (string, bool) {
	switch {
	case v.Cause == path.SilentBeyond && v.LastAddress.IsValid():
		return beyond(v.LastAddress), true
	case v.Cause == path.SilentBeyond: // from this machine on
		what, _, _ := strings.Cut(v.Text, ";")
		return what, true
	case v.Cause == path.LossBeyond && v.LastAddress.IsValid():
		return "echoes are lost beyond " + v.LastAddress.String(), true
	case v.Cause == path.LossBeyond:
		return "echoes are lost from the first hop that answers on", true
	case v.Cause == path.Unreachable:
		_, reports, ok := strings.Cut(v.Text, " reports")
		return v.LastAddress.String() + " reports" + reports, ok
	}
	return "", false
}

func beyond(a netip.Addr) string { return "nothing answers beyond " + a.String() }

// index returns where an address is among hops, and -1 for this machine.
func index(hops []netip.Addr, a netip.Addr) (int, bool) {
	if !a.IsValid() {
		return -1, true
	}
	i := slices.Index(hops, a)
	return i, i >= 0 && i < len(hops)-1
}

// following returns the first known address behind hops[i].
func following(hops []netip.Addr, i int) netip.Addr {
	for _, a := range hops[i+1:] {
		if a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// crossed reports whether a trace had answers from behind the two hops of a cause for total
// loss, which then is not that of all that leads through them.
func (c *cause) crossed(way []netip.Addr) bool {
	i, ok := index(way, c.last)
	if !ok || !c.total {
		return false
	}
	next := following(way, i)
	return next.IsValid() && (c.ways > 0 || next == c.next)
}

// on returns the hop of the cause on a route, and false if the route does not lead through
// the same two hops.
func (c *cause) on(r *path.Route) (int, bool) {
	i, ok := index(r.Hops, c.last)
	return i + 1, ok && (c.ways > 0 || following(r.Hops, i) == c.next)
}

// same reports whether two causes say the same.
func (c *cause) same(o *cause) bool {
	return c.kind == o.kind && c.last == o.last && c.next == o.next && c.total == o.total && (c.ways > 0) == (o.ways > 0)
}

// learn remembers a cause, and joins those that wait to it. o.mu is held.
func (o *Output) learn(c cause, now time.Time) {
	o.remember(c, now)
	o.joinWaiting(now)
}

// joinWaiting joins targets that wait to the causes that are known. o.mu is held.
func (o *Output) joinWaiting(now time.Time) {
	kept := o.waiting[:0]
	for _, s := range o.waiting {
		if c, hop := o.match(s, now); c != nil && !s.gone {
			s.waiting = false
			o.join(s, c, hop, now)
			continue
		}
		kept = append(kept, s)
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
}

// contradict marks the causes of which a trace shows that not all share them. o.mu is held.
func (o *Output) contradict(way []netip.Addr) {
	for i := range o.causes {
		c := &o.causes[i]
		c.alone = c.alone || c.crossed(way)
	}
}

// remember adds a cause, and drops what is too old or says the same. o.mu is held.
func (o *Output) remember(c cause, now time.Time) {
	for i := range o.causes {
		old := &o.causes[i]
		c.alone = c.alone || c.crossed(old.way) || old.alone && old.same(&c)
	}
	o.causes = slices.DeleteFunc(o.causes, func(old cause) bool { return o.stale(&old, now) || old.same(&c) })
	if len(o.causes) == maxCauses {
		o.causes = slices.Delete(o.causes, 0, 1)
	}
	o.causes = append(o.causes, c)
}

// widenAll looks for addresses beyond which nothing answers on any way. o.mu is held.
func (o *Output) widenAll(now time.Time) {
	ways := make(map[netip.Addr]*cause)
	for i := range o.causes { // each with the same address has another next hop
		c := &o.causes[i]
		switch {
		case c.kind != path.SilentBeyond || !c.total || !c.last.IsValid() || c.ways > 0 || o.stale(c, now):
		case ways[c.last] == nil:
			wide := *c
			wide.next, wide.alone, wide.ways = netip.Addr{}, false, 1
			ways[c.last] = &wide
		default:
			wide := ways[c.last]
			wide.host, wide.way, wide.at, wide.ways = c.host, c.way, c.at, wide.ways+1
		}
	}
	for _, wide := range ways {
		if wide.ways >= leastWays && o.allLost(wide) {
			o.remember(*wide, now)
			o.outage.merge(itself(wide.last), wide.what)
		}
	}
}

// allLost reports whether all targets beyond c.last lost all since the first trace that
// showed it. o.mu is held.
func (o *Output) allLost(c *cause) bool {
	lost := 0
	for _, s := range o.targets {
		if s.route == nil || !s.heard.After(c.seen) && !s.lost.After(c.seen) {
			continue
		}
		if _, on := index(s.route.Hops, c.last); !on {
			continue
		}
		if s.heard.After(c.seen) {
			return false
		}
		lost++
	}
	return lost >= leastLost
}

// refute drops the causes that a reply to an echo, sent at a time after their traces had
// begun, shows to be over. o.mu is held.
func (o *Output) refute(s *state) {
	if len(o.causes) == 0 || s.route == nil {
		return
	}
	o.causes = slices.DeleteFunc(o.causes, func(c cause) bool {
		_, on := c.on(s.route)
		return on && c.total && s.heard.After(c.seen)
	})
}

// stale reports whether a cause was seen too long ago to explain what begins now.
func (o *Output) stale(c *cause, now time.Time) bool { return now.Sub(c.at) > 2*o.interval }

// match returns a cause on the path to a target, and its hop there. o.mu is held.
func (o *Output) match(s *state, now time.Time) (*cause, int) {
	if s.route == nil {
		return nil, 0
	}
	for k := len(o.causes) - 1; k >= 0; k-- {
		c := &o.causes[k]
		switch all := s.series.Received == 0; {
		case c.alone || o.stale(c, now) || all && !c.total:
			continue
		case !all && c.total && !s.heard.Before(c.seen): // else the loss began within the series
			continue
		}
		if hop, on := c.on(s.route); on {
			return c, hop
		}
	}
	return nil, 0
}

// join says of a target what a trace to another one has shown. o.mu is held.
func (o *Output) join(s *state, c *cause, hop int, now time.Time) {
	v := path.Verdict{Cause: c.kind, LastHop: hop, LastAddress: c.last}
	showed, led := "a trace to "+c.host+" showed", fmt.Sprintf("led through there (hop %d)", hop)
	if c.ways > 0 {
		showed = fmt.Sprintf("traces to %s and %d others showed", c.host, c.ways-1)
	}
	if !c.last.IsValid() {
		led = "began with the same hop"
	}
	v.Text = fmt.Sprintf("%s, as %s, and before the loss the path to this target %s", c.what, showed, led)
	o.hand(s, &output.Path{Route: *s.route, Verdict: v, At: now, Loss: true})
	o.outage.add(c.what, c.what, s.target.Host, v.Text)
}
