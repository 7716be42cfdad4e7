package path

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// Cause is what a verdict names.
type Cause string

// The causes.
const (
	None         Cause = "none"          // no loss, or none that the trace can place
	Unreachable  Cause = "unreachable"   // an ICMP error says why
	SilentBeyond Cause = "silent_beyond" // nothing answers beyond a hop
	LossBeyond   Cause = "loss_beyond"   // a part is lost beyond a hop
	RateLimited  Cause = "rate_limited"  // no loss, but a hop that limits its own answers
	Changed      Cause = "changed"       // no loss, but another path than before
	TargetItself Cause = "target"        // every hop answers, but not the target
	TooLarge     Cause = "mtu"           // large packets do not get through
)

// Series is the series of echoes that made somebody ask for a trace. The zero value
// means that there was none.
type Series struct{ Sent, Received int }

// Verdict is what a trace shows.
type Verdict struct {
	Cause Cause

	// LastHop and LastAddress are the last hop up to which all is well: the last one that
	// answers, or that does not lose; for Unreachable the one that reported the error. 0
	// and the zero Addr if none is known.
	LastHop     int
	LastAddress netip.Addr

	Text string // one sentence
}

// Judge returns the verdict on a trace. before is the route of the last healthy trace of
// the target, nil if there is none. It marks the hops of t that limit their answers.
func Judge(t *Trace, before *Route, s Series) Verdict {
	ps := t.points()
	markLimited(ps)
	v := Verdict{Cause: None, LastHop: len(t.Hops)}
	if h := t.last(); h != nil {
		v.LastHop, v.LastAddress = h.TTL, h.Addr()
	} else {
		v.LastHop = 0
	}
	switch {
	case t.Held && t.EndReceived == 0 && v.LastHop == 0:
		v.Cause = SilentBeyond
		v.Text = "no request left this machine: the next hop does not answer ARP or neighbour discovery, or the network device is stalled"
	case t.Error != nil && (t.EndReceived == 0 || t.Errors >= leastLost):
		v.unreachable(t)
	case t.Sent == 0 && t.Err != nil:
		v.Text = "nothing could be sent: " + strings.TrimPrefix(t.Err.Error(), "icmpcore: ")
	case !t.Reached:
		v.silent(t, before)
	default:
		v.reached(t, ps, before, s)
	}
	if v.Cause != Changed && before != nil && t.Sent > 0 {
		if hop := before.changed(t); hop > 0 {
			v.Text += "; " + change(t, before, hop)
		}
	}
	return v
}

// unreachable names who reported an ICMP error.
func (v *Verdict) unreachable(t *Trace) {
	e := t.Error
	v.Cause, v.LastHop, v.LastAddress = Unreachable, t.ErrorHop, e.From
	if e.Kind == icmpcore.PacketTooBig {
		v.Cause = TooLarge
	}
	who := place(t.ErrorHop, e.From)
	if e.From == t.Addr {
		who = "the target, " + e.From.String() + ","
	}
	part := ""
	if t.EndReceived > 0 {
		part = fmt.Sprintf("; %d of %d echoes were answered", t.EndReceived, t.EndSent)
	}
	switch {
	case e.Kind == icmpcore.TimeExceeded && e.Code == 0:
		v.Text = who + " reports that echoes used up their TTL" + loop(t) + part
	case e.Kind == icmpcore.PacketTooBig && e.MTU > 0:
		v.Text = fmt.Sprintf("%s reports that the next link takes packets of at most %d bytes%s", who, e.MTU, part)
	default:
		v.Text = who + " reports: " + e.Message + part
	}
	if e.Quote != nil && !e.Quote.Cookie {
		v.Text += " (the report quotes too little to prove that its sender has seen the echo)"
	}
}

// loop names the hops between which packets go round, "" if they do not.
func loop(t *Trace) string {
	for i := range t.Hops {
		a := t.Hops[i].Addr()
		if !a.IsValid() {
			continue
		}
		for j := i + 1; j < len(t.Hops); j++ {
			if t.Hops[j].has(a) {
				return fmt.Sprintf(": %s answers for hop %d and again for hop %d, so packets go round in a loop", a, i+1, j+1)
			}
		}
	}
	return ""
}

// silent says how far the path answers, and what is known of how it went on.
func (v *Verdict) silent(t *Trace, before *Route) {
	v.Cause = SilentBeyond
	known := before != nil && before.Reached && before.changed(t) == 0
	if known && v.LastHop > 0 && v.LastHop == len(before.Hops)-1 {
		v.Cause = TargetItself
		v.Text = fmt.Sprintf("the last hop before the target answers (%s), but the target does not: it is the target itself, or the way back from it", place(v.LastHop, v.LastAddress))
		return
	}
	v.Text = "nothing answers beyond " + place(v.LastHop, v.LastAddress)
	if v.LastHop == 0 {
		v.Text = "nothing answers, not even a first hop"
		if known && len(before.Hops) == 1 {
			v.Cause, v.Text = TargetItself, "the target does not answer, and there was no hop before it"
		}
	}
	if !known {
		return
	}
	for i := v.LastHop; i < len(before.Hops); i++ {
		if a := before.Hops[i]; a.IsValid() && (i < len(before.Hops)-1 || v.LastHop > 0) {
			v.Text += fmt.Sprintf("; before the loss the path continued to %s", place(i+1, a))
			if i == len(before.Hops)-1 {
				v.Text += ", the target"
			}
			return
		}
	}
}

// reached is the verdict on a path whose target answered.
func (v *Verdict) reached(t *Trace, ps []point, before *Route, s Series) {
	lost := t.EndSent - t.EndReceived
	changed := 0
	if before != nil {
		changed = before.changed(t)
	}
	k := -1
	if lost > 0 {
		k = begins(ps)
	}
	switch {
	case k >= 0:
		v.partial(t, ps, k)
	case lost > 0:
		v.Text = fmt.Sprintf("%d of %s to the target got no answer, too few to say from where on: more echoes to each hop would show more", lost, echoes(t.EndSent))
	case t.MTU != nil && t.MTU.bounded():
		v.Cause, v.LastHop, v.LastAddress, v.Text = TooLarge, t.MTU.Hop, t.MTU.From, t.MTU.text()
	case changed > 0:
		v.Cause, v.Text = Changed, change(t, before, changed)
	default:
		v.healthy(t)
	}
	if lost > 0 && t.MTU != nil && t.MTU.bounded() {
		v.Text += "; " + t.MTU.text()
	}
	if t.MTU != nil && t.MTU.Lossy {
		v.Text += "; the MTU of the path cannot be told, since too many echoes of every size are lost"
	}
	if lost == 0 && s.Sent > s.Received {
		v.Text += fmt.Sprintf("; this trace lost nothing, so the loss of %d of %d echoes before it is over or rare", s.Sent-s.Received, s.Sent)
	}
}

// partial says from where on echoes are lost.
func (v *Verdict) partial(t *Trace, ps []point, k int) {
	after := pool(ps[k:])
	share := percent(after)
	v.Cause, v.LastHop, v.LastAddress = LossBeyond, 0, netip.Addr{}
	limited := false // a hop before the loss limits its answers
	for _, p := range ps[:k] {
		if limited = limited || p.hop.Limited; !p.hop.Limited {
			v.LastHop, v.LastAddress = p.hop.TTL, p.hop.Addr()
		}
	}
	only := ps[k].hop == nil
	switch {
	case only && v.LastHop > 0 && v.LastHop == len(t.Hops)-1:
		v.Cause = TargetItself
		v.Text = fmt.Sprintf("%d of %s to the target got no answer, but the hops before it answer, up to %s: it is the target itself, or the way back from it",
			after.lost, echoes(after.sent), place(v.LastHop, v.LastAddress))
	case v.LastHop == 0 && only && limited:
		v.Text = fmt.Sprintf("%s of the echoes to the target get no answer, and the hops before it limit their answers", share)
	case v.LastHop == 0 && only:
		v.Text = fmt.Sprintf("%s of the echoes to the target get no answer, and no hop before it answers", share)
	case v.LastHop == 0 && limited:
		v.Text = fmt.Sprintf("%s of the echoes get no answer, from %s on up to the target; hops before it limit their answers", share, place(ps[k].hop.TTL, ps[k].hop.Addr()))
	case v.LastHop == 0:
		v.Text = fmt.Sprintf("%s of the echoes get no answer, from the first hop that answers (%s) up to the target", share, place(ps[k].hop.TTL, ps[k].hop.Addr()))
	default:
		v.Text = fmt.Sprintf("%s of the echoes beyond %s, get no answer, at every later hop and at the target; up to it %s", share, place(v.LastHop, v.LastAddress), percent(pool(ps[:k])))
		if limited {
			v.Text += ", apart from hops that limit their answers"
		}
	}
}

// healthy is the verdict on a path that loses nothing.
func (v *Verdict) healthy(t *Trace) {
	var limited []*Hop
	for i := range t.Hops {
		if t.Hops[i].Limited {
			limited = append(limited, &t.Hops[i])
		}
	}
	if len(limited) == 0 {
		v.Text = "the target answers, " + strconv.Itoa(len(t.Hops)) + plural(len(t.Hops), " hop", " hops") + " away"
		return
	}
	v.Cause = RateLimited
	h := limited[0]
	behind := "what lies behind it"
	if slices.ContainsFunc(t.Hops[h.TTL:], func(h Hop) bool { return h.Answers > 0 && h.Answers < h.Sent }) {
		behind = "the target"
	}
	v.Text = fmt.Sprintf("no loss: %s answers only %d of %d echoes, but %s loses none, so it limits its own answers", place(h.TTL, h.Addr()), h.Answers, h.Sent, behind)
	if n := len(limited) - 1; n > 0 {
		v.Text += fmt.Sprintf(" (so %s %d more)", plural(n, "does", "do"), n)
	}
}

// change says how the path differs from the one before.
func change(t *Trace, before *Route, hop int) string {
	now, was := "silent", "silent"
	switch h := &t.Hops[hop-1]; {
	case h.Target:
		now = "the target"
	case len(h.From) > 0:
		now = h.Addr().String()
	}
	switch a := before.Hops[hop-1]; {
	case before.Reached && hop == len(before.Hops):
		was = "the target"
	case a.IsValid():
		was = a.String()
	}
	if now == was { // the same address at the end, but as a router
		now, was = t.Hops[hop-1].Addr().String(), before.Hops[hop-1].String()
	}
	return fmt.Sprintf("the path has changed since %s: hop %d is %s, and was %s", stamp(before.At, t.Start), hop, now, was)
}

// stamp writes a time as shortly as the time after it allows.
func stamp(at, now time.Time) string {
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

// place is a hop and its address in words.
func place(hop int, a netip.Addr) string {
	switch {
	case hop == 0 && !a.IsValid():
		return "this machine"
	case hop == 0:
		return a.String()
	case !a.IsValid():
		return "hop " + strconv.Itoa(hop)
	}
	return "hop " + strconv.Itoa(hop) + ", " + a.String()
}

// percent writes a share of loss. Only none at all is "none", and only all is 100 %.
func percent(t tally) string {
	if t.lost == 0 {
		return "none"
	}
	most := 100
	if t.lost < t.sent {
		most = 99
	}
	return strconv.Itoa(min(max((200*t.lost+t.sent)/(2*t.sent), 1), most)) + " %"
}

func echoes(n int) string { return strconv.Itoa(n) + plural(n, " echo", " echoes") }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
