package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

// cause is what a trace has shown that other targets can share.
type cause struct {
	kind  path.Cause
	last  netip.Addr // up to which all was well
	next  netip.Addr // the hop behind it on the healthy path; invalid if not known
	total bool       // every echo was lost
	what  string     // in words
	host  string     // that was traced
	at    time.Time
}

// causeOf returns what others can share of a verdict.
func causeOf(t *path.Trace, v path.Verdict, before *path.Route, s path.Series, now time.Time) (cause, bool) {
	c := cause{kind: v.Cause, last: v.LastAddress, total: s.Received == 0, host: t.Host, at: now}
	switch what, ok := shared(v); {
	case !ok || !v.LastAddress.IsValid():
		return c, false
	default:
		c.what = what
	}
	if before != nil {
		if i := slices.Index(before.Hops, c.last); i >= 0 {
			c.next = following(before.Hops, i)
		}
	}
	return c, c.next != t.Addr // what lies only on the way to one target is shared by no other
}

// shared returns what a verdict says about all targets behind its last hop.
func shared(v path.Verdict) (string, bool) {
	switch v.Cause {
	case path.SilentBeyond:
		return "nothing answers beyond " + v.LastAddress.String(), true
	case path.LossBeyond:
		return "echoes are lost beyond " + v.LastAddress.String(), true
	case path.Unreachable:
		_, reports, ok := strings.Cut(v.Text, " reports")
		return v.LastAddress.String() + " reports" + reports, ok
	}
	return "", false
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

// learn remembers a cause, and joins those that wait to it. o.mu is held.
func (o *Output) learn(c cause, now time.Time) {
	o.causes = slices.DeleteFunc(o.causes, func(old cause) bool {
		return o.stale(&old, now) || old.kind == c.kind && old.last == c.last && old.next == c.next && old.total == c.total
	})
	if len(o.causes) == maxCauses {
		o.causes = slices.Delete(o.causes, 0, 1)
	}
	o.causes = append(o.causes, c)
	kept := o.waiting[:0]
	for _, s := range o.waiting {
		if c, hop := o.match(s, now); c != nil && !s.gone {
			o.join(s, c, hop, now)
			continue
		}
		kept = append(kept, s)
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
}

// stale reports whether a cause was seen too long ago to explain what begins now.
func (o *Output) stale(c *cause, now time.Time) bool { return now.Sub(c.at) > 2*o.interval }

// match returns a cause on the path to a target, and its hop there. The path must lead
// through the same two hops as that of the target that was traced. o.mu is held.
func (o *Output) match(s *state, now time.Time) (*cause, int) {
	if s.route == nil {
		return nil, 0
	}
	for k := len(o.causes) - 1; k >= 0; k-- {
		c := &o.causes[k]
		if o.stale(c, now) || c.total != (s.series.Received == 0) {
			continue
		}
		i := slices.Index(s.route.Hops, c.last)
		if i < 0 || i == len(s.route.Hops)-1 {
			continue
		}
		if next := following(s.route.Hops, i); !c.next.IsValid() || next == c.next {
			return c, i + 1
		}
	}
	return nil, 0
}

// join says of a target what a trace to another one has shown. o.mu is held.
func (o *Output) join(s *state, c *cause, hop int, now time.Time) {
	v := path.Verdict{Cause: c.kind, LastHop: hop, LastAddress: c.last}
	v.Text = fmt.Sprintf("%s, as a trace to %s showed, and the path to this target leads through there (hop %d)", c.what, c.host, hop)
	o.hand(s, &output.Path{Route: *s.route, Verdict: v, At: now, Loss: true})
	o.outage.add(c.what, s.target.Host, v.Text)
}

// outage is targets that begin to fail at about the same time.
type outage struct {
	first, last time.Time
	failing     int // targets
	explained   int
	dropped     int // that were not traced
	groups      map[string]*group
}

// group is the targets of an outage with one cause.
type group struct {
	what string
	n    int
	host string // the first
	text string // of its verdict
}

const (
	quietTime  = time.Second // without a further target an outage is complete
	longestLog = time.Minute // and after this time, or an interval, it is logged in any case
	logged     = 10          // causes
)

func (g *outage) begin(now time.Time) {
	if g.failing == 0 {
		g.first = now
	}
	g.last = now
	g.failing++
}

func (g *outage) drop() { g.dropped++ }

// count counts a target that was traced.
func (g *outage) count(host string, v path.Verdict) {
	what, ok := shared(v)
	switch {
	case ok:
	case v.Cause == path.TargetItself:
		what = "the target itself, or the way back from it"
	case v.Cause == path.Changed:
		what = "the path has changed"
	case v.Cause == path.TooLarge:
		what = "large packets do not get through"
	default:
		what = "a trace shows no loss, or not where it begins"
	}
	g.add(what, host, v.Text)
}

func (g *outage) add(what, host, text string) {
	if g.groups == nil {
		g.groups = make(map[string]*group)
	}
	if g.groups[what] == nil {
		g.groups[what] = &group{what: what, host: host, text: text}
	}
	g.groups[what].n++
	g.explained++
}

// logOutage logs an outage when it is complete.
func (o *Output) logOutage(now time.Time, end bool) {
	o.mu.Lock()
	g := o.outage
	open := g.explained+g.dropped < g.failing
	quiet := !open && now.Sub(g.last) >= quietTime
	long := now.Sub(g.first) >= min(o.interval, longestLog) && g.explained+g.dropped > 0
	if g.failing == 0 || !quiet && !long && !end {
		o.mu.Unlock()
		return
	}
	o.outage = outage{}
	if rest := g.failing - g.explained - g.dropped; rest > 0 && !end {
		o.outage = outage{first: now, last: now, failing: rest}
		g.failing -= rest
	}
	o.mu.Unlock()
	for _, line := range g.lines() {
		o.env.Log.Warn(line)
	}
}

// lines says what was found, the cause of most targets first.
func (g *outage) lines() []string {
	var groups []*group
	for _, one := range g.groups {
		groups = append(groups, one)
	}
	slices.SortFunc(groups, func(a, b *group) int {
		if a.n != b.n {
			return b.n - a.n
		}
		return strings.Compare(a.what, b.what)
	})
	var lines []string
	others := 0
	for i, one := range groups {
		switch {
		case i >= logged:
			others += one.n
		case one.n == 1:
			lines = append(lines, one.host+": "+one.text)
		default:
			lines = append(lines, fmt.Sprintf("%s of %s failing targets: %s", thousands(one.n), thousands(g.failing), one.what))
		}
	}
	if others > 0 {
		lines = append(lines, fmt.Sprintf("%s of %s failing targets: other causes", thousands(others), thousands(g.failing)))
	}
	if left := g.failing - g.explained; left > 0 {
		lines = append(lines, fmt.Sprintf("%s of %s failing targets: not traced, since as many traces ran as path.max and max_rate allow", thousands(left), thousands(g.failing)))
	}
	return lines
}

// thousands writes 4812 as 4,812.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
