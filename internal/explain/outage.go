package explain

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/path"
)

// outage is targets that begin to fail at about the same time.
type outage struct {
	first, last time.Time
	failing     int // targets
	explained   int
	dropped     int // that were not traced
	unknown     int // of these, those whose path was not known
	groups      map[string]*group
	wider       map[string]string // for keys of groups: what is known of all targets of the group
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
	longestLog = time.Minute // after that, or an interval if it is shorter, and twice quietTime, it is logged in any case
	logged     = 10          // causes
)

func (g *outage) begin(now time.Time) {
	if g.failing == 0 {
		g.first = now
	}
	g.last = now
	g.failing++
}

// drop counts a target that was not traced.
func (g *outage) drop(s *state) {
	g.dropped++
	if s.route == nil {
		g.unknown++
	}
}

// leave takes back a target that is of no interest any more.
func (g *outage) leave() { g.failing = max(g.failing-1, 0) }

// itself is the key of the group of targets of which only the last hop before them answers.
func itself(last netip.Addr) string { return "itself " + last.String() }

// count counts a target that was traced.
func (g *outage) count(host string, v path.Verdict) {
	what, ok := shared(v)
	key := ""
	switch {
	case ok:
	case v.Cause == path.TargetItself:
		what = "the target itself, or the way back from it"
		key = itself(v.LastAddress)
	case v.Cause == path.Changed:
		what = "the path has changed"
	case v.Cause == path.TooLarge:
		what = "large packets do not get through"
	default:
		what = "a trace shows no loss, or not where it begins"
	}
	if key == "" {
		key = what
	}
	g.add(key, what, host, v.Text)
}

func (g *outage) add(key, what, host, text string) {
	if g.groups == nil {
		g.groups = make(map[string]*group)
	}
	if wider := g.wider[key]; wider != "" {
		key, what = wider, wider
	}
	if g.groups[key] == nil {
		g.groups[key] = &group{what: what, host: host, text: text}
	}
	g.groups[key].n++
	g.explained++
}

// merge adds a group, also what comes to it later, to one that says more.
func (g *outage) merge(key, what string) {
	if g.wider == nil {
		g.wider = make(map[string]string)
	}
	g.wider[key] = what
	one := g.groups[key]
	if one == nil {
		return
	}
	delete(g.groups, key)
	if into := g.groups[what]; into != nil {
		into.n += one.n
		return
	}
	one.what = what
	g.groups[what] = one
}

// logOutage logs an outage when it is complete.
func (o *Output) logOutage(now time.Time, end bool) {
	o.mu.Lock()
	g := o.outage
	open := g.explained+g.dropped < g.failing
	quiet := !open && now.Sub(g.last) >= quietTime
	long := now.Sub(g.first) >= min(o.interval, longestLog)+2*quietTime && g.explained+g.dropped > 0
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
	said := make(map[string]*group)
	for _, key := range slices.Sorted(maps.Keys(g.groups)) {
		one := *g.groups[key]
		if into := said[one.what]; into != nil {
			into.n += one.n
			continue
		}
		said[one.what] = &one
		groups = append(groups, &one)
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
		line := fmt.Sprintf("%s of %s failing targets: not traced, since path.max, max_rate and the share of traces allow no more", thousands(left), thousands(g.failing))
		if g.unknown > 0 {
			line += fmt.Sprintf("; the paths of %s of them were not known yet", thousands(min(g.unknown, left)))
		}
		lines = append(lines, line)
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
