package path

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// world is a path with all that may be wrong with it at once.
type world struct {
	hops   []worldHop // the last is the target
	refuse int        // this hop reports an error in place of forwarding; 0: none does
	echoes int
}

type worldHop struct {
	addrs        []netip.Addr // more than one where each echo takes another way
	silent       bool
	most         int     // answers; 0: all
	lost, coming float64 // parts that are lost on the way to it, and of its answers on the way back
}

// newWorld draws a world.
func newWorld(r *rand.Rand) world {
	w := world{hops: make([]worldHop, 1+r.IntN(9)), echoes: []int{1, 3, 5, 10, 20, 50}[r.IntN(6)]}
	chance := func(p float64) bool { return r.Float64() < p }
	parts := []float64{0.02, 0.1, 0.3, 0.5, 0.9, 1}
	for i := range w.hops {
		h := &w.hops[i]
		h.addrs = []netip.Addr{hopAddr(i + 1)}
		if chance(0.1) {
			h.addrs = append(h.addrs, hopAddr(100+i))
		}
		h.silent = chance(0.15)
		if chance(0.15) {
			h.most = 1 + r.IntN(w.echoes)
		}
		if chance(0.07) {
			h.lost = parts[r.IntN(len(parts))]
		}
		if chance(0.07) {
			h.coming = parts[r.IntN(len(parts))]
		}
	}
	h := &w.hops[len(w.hops)-1]
	h.addrs, h.most, h.silent = []netip.Addr{target}, 0, chance(0.05)
	if chance(0.1) {
		w.refuse = 1 + r.IntN(len(w.hops))
	}
	return w
}

// probe sends an echo whose TTL ends at hop ttl, and returns the hop that answers, 0 if
// none does, and whether its answer is an error.
func (w *world) probe(r *rand.Rand, ttl int, answers []int) (hop int, refused bool) {
	ttl = min(ttl, len(w.hops))
	for i := range ttl {
		h := &w.hops[i]
		if r.Float64() < h.lost {
			return 0, false
		}
		refused = w.refuse == i+1 && (ttl > i+1 || ttl == len(w.hops))
		if refused || i == ttl-1 {
			hop = i + 1
			break
		}
	}
	h := &w.hops[hop-1]
	if h.silent || h.most > 0 && answers[hop] >= h.most && !refused {
		return 0, false
	}
	answers[hop]++
	for i := range hop {
		if r.Float64() < w.hops[i].coming {
			return 0, false
		}
	}
	return hop, refused
}

// trace is what a trace of the world sees.
func (w *world) trace(r *rand.Rand) *Trace {
	t := &Trace{Host: "host", Addr: target, Start: noon.Add(time.Hour)}
	answers := make([]int, len(w.hops)+1)
	end := tally{}
	var errs []icmpcore.EchoError
	for ttl := 1; ttl <= len(w.hops)+3; ttl++ {
		h := Hop{TTL: ttl, Sent: w.echoes, DSCP: -1}
		for range w.echoes {
			hop, refused := w.probe(r, ttl, answers)
			switch {
			case hop > 0 && refused:
				errs = append(errs, icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Code: 1, Message: "host unreachable", From: w.hops[hop-1].addrs[0], Quote: &icmpcore.Quote{Cookie: true}})
			case hop == len(w.hops):
				h.Target = true
				h.add(answer{from: target, rtt: time.Millisecond})
				h.Answers++
			case hop > 0:
				from := w.hops[hop-1].addrs
				h.add(answer{from: from[r.IntN(len(from))], rtt: time.Millisecond, quote: &icmpcore.Quote{Cookie: true, DSCP: -1}})
				h.Answers++
			}
		}
		t.Sent += h.Sent
		t.Probed = ttl
		t.Hops = append(t.Hops, h)
		if h.Target {
			t.Reached = true
			break
		}
	}
	for !t.Reached && len(t.Hops) > 0 && t.Hops[len(t.Hops)-1].Answers == 0 {
		end.sent += t.Hops[len(t.Hops)-1].Sent
		t.Hops = t.Hops[:len(t.Hops)-1]
	}
	if t.Reached {
		last := &t.Hops[len(t.Hops)-1]
		end = tally{last.Sent, last.Sent - last.Answers}
	}
	t.EndSent, t.EndReceived = end.sent, 0
	if t.Reached {
		t.EndReceived = end.sent - end.lost
	}
	t.worst(errs)
	return t
}

// claim is a sentence, or a part of one, and what must have been observed for it.
type claim struct {
	words *regexp.Regexp
	true  func(c *claims, m []string) error
}

// claims is what a verdict on a trace claims.
type claims struct {
	*Trace
	before *Route
	v      Verdict
}

// number returns a number of a sentence.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// at checks that a hop of a sentence has an address of the trace.
func (c *claims) at(hop, addr string) (int, error) {
	n := number(hop)
	if n < 1 || n > len(c.Hops) || !c.Hops[n-1].has(netip.MustParseAddr(addr)) {
		return n, fmt.Errorf("%s did not answer for hop %s", addr, hop)
	}
	return n, nil
}

// quiet checks that no hop behind n answered.
func (c *claims) quiet(n int) error {
	if c.EndReceived > 0 || slices.ContainsFunc(c.Hops, func(h Hop) bool { return h.TTL > n && h.Answers > 0 }) {
		return fmt.Errorf("something answered beyond hop %d", n)
	}
	return nil
}

// lossBeyond checks that all hops behind n, the target included, lost, and which of those up to
// it did.
func (c *claims) lossBeyond(n int, share, upTo string) error {
	all, some := true, tally{}
	for i := range c.Hops {
		h := &c.Hops[i]
		switch lost := h.Sent - h.Answers; {
		case h.Answers == 0: // it never answers
		case h.TTL > n:
			all = all && lost > 0
		case !h.Limited:
			some = some.plus(tally{h.Sent, lost})
		case !strings.Contains(c.v.Text, "limit their answers"):
			return fmt.Errorf("hop %d limits its answers, and the verdict does not say so", h.TTL)
		}
	}
	if !all || c.EndReceived == c.EndSent || c.EndReceived == 0 {
		return fmt.Errorf("not all hops beyond %d and the target lose", n)
	}
	if upTo != "" && upTo != percent(some) {
		return fmt.Errorf("up to it %s are lost", percent(some))
	}
	if share == "100 %" {
		return fmt.Errorf("some were answered")
	}
	return nil
}

var allClaims = []claim{
	{regexp.MustCompile(`^the target answers, (\d+) hops? away`), func(c *claims, m []string) error {
		if c.EndReceived < c.EndSent || c.EndSent == 0 || number(m[1]) != len(c.Hops) {
			return fmt.Errorf("%d of %d answered at hop %d", c.EndReceived, c.EndSent, len(c.Hops))
		}
		return nil
	}},
	{regexp.MustCompile(`^no loss: hop (\d+), (\S+) answers only (\d+) of (\d+) echoes, but what lies behind it loses none`), func(c *claims, m []string) error {
		n, err := c.at(m[1], m[2])
		if err != nil {
			return err
		}
		if h := c.Hops[n-1]; h.Answers != number(m[3]) || h.Sent != number(m[4]) {
			return fmt.Errorf("%d of %d", h.Answers, h.Sent)
		}
		for _, h := range c.Hops[n:] {
			if h.Answers > 0 && h.Answers < h.Sent {
				return fmt.Errorf("hop %d behind it answers only %d of %d", h.TTL, h.Answers, h.Sent)
			}
		}
		return nil
	}},
	{regexp.MustCompile(`^no loss: hop (\d+), (\S+) answers only (\d+) of (\d+) echoes, but the target loses none`), func(c *claims, m []string) error {
		_, err := c.at(m[1], m[2])
		if err == nil && c.EndReceived < c.EndSent {
			err = fmt.Errorf("the target loses")
		}
		return err
	}},
	{regexp.MustCompile(`^(\d+) of (\d+) echo(?:es)? to the target got no answer, too few to say`), func(c *claims, m []string) error {
		if number(m[1]) != c.EndSent-c.EndReceived || number(m[2]) != c.EndSent || c.EndReceived == 0 {
			return fmt.Errorf("%d of %d answered", c.EndReceived, c.EndSent)
		}
		return nil
	}},
	{regexp.MustCompile(`^(\d+) of (\d+) echo(?:es)? to the target got no answer, but the hops? before it answers?, up to hop (\d+), (\S+): it is the target itself`), func(c *claims, m []string) error {
		n, err := c.at(m[3], m[4])
		if err != nil {
			return err
		}
		if n != len(c.Hops)-1 || c.Hops[n-1].Limited {
			return fmt.Errorf("hop %d is not the last before the target, or limits its answers", n)
		}
		return nil
	}},
	{regexp.MustCompile(`^(\d+ %) of the echoes beyond hop (\d+), (\S+), get no answer, at every later hop and at the target; up to it (none|\d+ %)`), func(c *claims, m []string) error {
		n, err := c.at(m[2], m[3])
		if err != nil {
			return err
		}
		return c.lossBeyond(n, m[1], m[4])
	}},
	{regexp.MustCompile(`^(\d+ %) of the echoes to the target get no answer, and no hop before it answers`), func(c *claims, m []string) error {
		if slices.ContainsFunc(c.Hops, func(h Hop) bool { return h.Answers > 0 && !h.Target }) {
			return fmt.Errorf("some hop answers")
		}
		return c.lossBeyond(len(c.Hops)-1, m[1], "")
	}},
	{regexp.MustCompile(`^(\d+ %) of the echoes to the target get no answer, and the hops before it limit their answers`), func(c *claims, m []string) error {
		for _, h := range c.Hops {
			if h.Answers > 0 && !h.Target && !h.Limited {
				return fmt.Errorf("hop %d answers", h.TTL)
			}
		}
		return nil
	}},
	{regexp.MustCompile(`^(\d+ %) of the echoes get no answer, from (the first hop that answers|hop) \(?(?:hop )?(\d+), (\S+?)\)? (?:on )?up to the target`), func(c *claims, m []string) error {
		n, err := c.at(m[3], m[4])
		if err != nil {
			return err
		}
		for _, h := range c.Hops[:n-1] {
			if h.Answers > 0 && (m[2] != "hop" || !h.Limited) {
				return fmt.Errorf("hop %d answers before it", h.TTL)
			}
		}
		return c.lossBeyond(n-1, m[1], "")
	}},
	{regexp.MustCompile(`^nothing answers beyond hop (\d+), ([^\s;]+)`), func(c *claims, m []string) error {
		n, err := c.at(m[1], m[2])
		if err != nil {
			return err
		}
		return c.quiet(n)
	}},
	{regexp.MustCompile(`^nothing answers, not even a first hop|^the target does not answer, and there was no hop before it`), func(c *claims, _ []string) error { return c.quiet(0) }},
	{regexp.MustCompile(`^the last hop before the target answers \(hop (\d+), (\S+)\), but the target does not`), func(c *claims, m []string) error {
		n, err := c.at(m[1], m[2])
		if err != nil {
			return err
		}
		if c.before == nil || len(c.before.Hops) != n+1 || c.before.changed(c.Trace) > 0 {
			return fmt.Errorf("hop %d is not known to be the last", n)
		}
		return c.quiet(n)
	}},
	{regexp.MustCompile(`^(?:hop (\d+), )?(?:the target, )?(\S+?),? reports: host unreachable(?:; (\d+) of (\d+) echoes were answered)?`), func(c *claims, m []string) error {
		if c.Error == nil || c.Error.From.String() != m[2] {
			return fmt.Errorf("error %v", c.Error)
		}
		if m[1] != "" {
			if _, err := c.at(m[1], m[2]); err != nil {
				return err
			}
		}
		if m[3] != "" && (number(m[3]) != c.EndReceived || number(m[4]) != c.EndSent) || m[3] == "" && c.EndReceived > 0 {
			return fmt.Errorf("%d of %d answered", c.EndReceived, c.EndSent)
		}
		return nil
	}},
	{regexp.MustCompile(`(?:^|; )the path has changed since \S+: hop (\d+) is ([0-9.]+|silent|the target), and was ([0-9.]+|silent|the target)(?:$|;)`), func(c *claims, m []string) error {
		n := number(m[1])
		h := c.Hops[n-1]
		now, was := "silent", "silent"
		if len(h.From) > 0 {
			now = h.Addr().String()
		}
		if a := c.before.Hops[n-1]; a.IsValid() {
			was = a.String()
		}
		if m[2] == "the target" && !h.Target || m[2] != "the target" && now != m[2] {
			return fmt.Errorf("hop %d is %v", n, h.From)
		}
		if m[3] == "the target" && (n != len(c.before.Hops) || !c.before.Reached) || m[3] != "the target" && was != m[3] || m[2] == m[3] {
			return fmt.Errorf("hop %d was %v", n, was)
		}
		return nil
	}},
	{regexp.MustCompile(`; before the loss the path continued to hop (\d+), ([^\s,]+)(, the target)?$`), func(c *claims, m []string) error {
		n := number(m[1])
		if c.before.Hops[n-1].String() != m[2] || n <= c.v.LastHop || (m[3] != "") != (n == len(c.before.Hops)) || c.before.changed(c.Trace) > 0 {
			return fmt.Errorf("before %v", c.before.Hops)
		}
		return nil
	}},
	{regexp.MustCompile(`; this trace lost nothing, so the loss of (\d+) of (\d+) echoes before it is over or rare`), func(c *claims, _ []string) error {
		if c.EndReceived < c.EndSent || c.Errors > 0 && c.v.Cause == Unreachable {
			return fmt.Errorf("it lost %d", c.EndSent-c.EndReceived)
		}
		return nil
	}},
}

// check returns what a verdict claims that was not observed.
func (c *claims) check() (wrong []error) {
	found := false
	for _, one := range allClaims {
		m := one.words.FindStringSubmatch(c.v.Text)
		if m == nil {
			continue
		}
		found = found || strings.HasPrefix(one.words.String(), "^") || strings.HasPrefix(c.v.Text, "the path has changed")
		if err := one.true(c, m); err != nil {
			wrong = append(wrong, err)
		}
	}
	if !found {
		wrong = append(wrong, fmt.Errorf("nobody checks this sentence"))
	}
	if a := c.v.LastAddress; c.v.LastHop > 0 && !c.Hops[c.v.LastHop-1].has(a) {
		wrong = append(wrong, fmt.Errorf("last hop %d, %s", c.v.LastHop, a))
	}
	return wrong
}

// TestWorlds draws worlds, traces them before and after they change, and compares each
// sentence with what the trace saw.
func TestWorlds(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 7))
	causes, failed := map[Cause]int{}, 0
	for i := range 30_000 {
		w := newWorld(random)
		tr := w.trace(random)
		var before *Route
		if i%3 > 0 {
			was := w
			if i%3 == 2 {
				was = newWorld(random)
			}
			was.refuse = 0
			r := Route{Reached: true, At: noon}
			for _, h := range was.hops {
				a := h.addrs[random.IntN(len(h.addrs))]
				if h.silent && a != target {
					a = netip.Addr{}
				}
				r.Hops = append(r.Hops, a)
			}
			before = &r
		}
		series := Series{Sent: 5, Received: random.IntN(6)}
		v := Judge(tr, before, series)
		causes[v.Cause]++
		if wrong := (&claims{tr, before, v}).check(); len(wrong) > 0 {
			if failed++; failed <= 20 {
				t.Errorf("%s\n%v\nbefore %v\n%s", v.Text, wrong, before, rows(tr))
			}
		}
	}
	t.Logf("%v", causes)
	for _, c := range []Cause{None, Unreachable, SilentBeyond, LossBeyond, RateLimited, Changed, TargetItself} {
		if causes[c] < 100 {
			t.Errorf("only %d verdicts %s", causes[c], c)
		}
	}
	if failed > 0 {
		t.Errorf("%d sentences claim what was not observed", failed)
	}
}

// rows writes the hops of a trace in one line.
func rows(t *Trace) string {
	var b strings.Builder
	for _, h := range t.Hops {
		fmt.Fprintf(&b, "%d/%d", h.Answers, h.Sent)
		if h.Limited {
			b.WriteByte('L')
		}
		if h.Target {
			b.WriteByte('T')
		}
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "end %d/%d, error %v x%d", t.EndReceived, t.EndSent, t.Error, t.Errors)
	return b.String()
}
