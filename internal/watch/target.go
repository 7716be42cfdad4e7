package watch

import (
	"net/netip"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// sample is what became of one echo: its RTT in nanoseconds, which has seven
// digits in a float32, or one of the outcomes below. Zero is an echo that is
// still in flight, or was never sent.
type sample float32

const (
	lost   sample = -1 // no reply in time
	erred  sample = -2 // an ICMP error, or the system refused to send it
	failed sample = -3 // nothing could be sent: the name does not resolve, there is no socket
)

// missed reports whether an echo was sent, or meant to be, and got no reply.
func (s sample) missed() bool { return s == lost || s == erred }

// downAfter is how many lost echoes in a row make a target count as down.
const downAfter = 3

// target is what is known of one target. It belongs to its store, whose lock
// guards it.
type target struct {
	host     string // cleaned of what a terminal would act upon
	tags     string // "key=value key=value", cleaned
	lower    string // host, addr and tags in lower case, for the filter
	index    int    // in the order given
	literal  bool   // host is an address
	interval time.Duration
	opts     *icmpcore.Options // that it is pinged with; nobody changes them

	addr    netip.Addr
	ring    []sample // the last echoes, by position modulo its length
	limit   int      // what ring grows to
	base    int64    // position of the echo before the first one of the series that runs
	head    int64    // one more than the highest position so far
	good    int64    // one more than the highest position with a reply
	streak  int      // lost echoes behind the last reply
	decided int      // echoes in ring that have a reply, or have missed it
	missed  int      // of these, the ones without a reply
	last    sample
	failure string // why nothing can be sent, "" where it can
	rank    sample // what the order goes by, as it was when it was worked out last

	total    totals
	ttl      uint8 // of the last reply, 0: not known
	dscp     int8  // of the last reply, -1: not known
	problems []problem
	sources  []source
}

// totals are counts since the start.
type totals struct {
	received, timeouts, errors int
	duplicates, late, corrupt  int
	rounds                     int // of a target that could not be pinged
	min, max, mean             float64
}

// sent counts the echoes that are decided.
func (t *totals) sent() int { return t.received + t.timeouts + t.errors }

// problem is an error that echoes met, and source somebody who replied.
type problem struct {
	text  string
	count int
	last  time.Time
}

type source struct {
	addr  netip.Addr
	count int
}

// maxKinds bounds how many different errors and sources of a target are kept:
// the last ones.
const maxKinds = 16

// event is one thing that happened, on its way to a target.
type event struct {
	t       *target
	seq     int
	outcome icmpcore.Outcome
	ended   bool // the series has ended; echoes is how many numbers it used
	echoes  int
	ttl     uint8
	dscp    int8
	rtt     time.Duration
	addr    netip.Addr // the address probed
	from    netip.Addr // who replied
	err     error
	at      time.Time
}

// apply takes in an event.
func (t *target) apply(e *event) {
	if e.addr.IsValid() && t.addr != e.addr {
		t.setAddr(e.addr)
	}
	if e.ended {
		t.end(e)
		return
	}
	at := t.base + int64(e.seq) - 1
	switch e.outcome {
	case icmpcore.OutcomeReply:
		t.reply(at, e)
	case icmpcore.OutcomeTimeout:
		t.total.timeouts++
		t.failure = ""
		t.set(at, lost)
	case icmpcore.OutcomeError:
		t.total.errors++
		t.failure = ""
		t.set(at, erred)
		t.addProblem(errorText(e.err), e.at)
	case icmpcore.OutcomeDuplicate:
		t.total.duplicates++
	case icmpcore.OutcomeLate:
		t.total.late++
	case icmpcore.OutcomeCorrupt:
		t.total.corrupt++
	}
}

// end takes in the end of a series.
func (t *target) end(e *event) {
	t.base += int64(e.echoes)
	if e.err == nil {
		return
	}
	t.failure = errorText(e.err)
	t.total.rounds++
	t.addProblem(t.failure, e.at)
	t.set(t.base, failed)
	t.base++
}

func (t *target) reply(at int64, e *event) {
	rtt := max(float64(e.rtt), 1)
	x := &t.total
	if x.received == 0 {
		x.min, x.max = rtt, rtt
	}
	x.received++
	x.min, x.max = min(x.min, rtt), max(x.max, rtt)
	x.mean += (rtt - x.mean) / float64(x.received)
	t.ttl, t.dscp = e.ttl, e.dscp
	t.failure = ""
	t.set(at, sample(rtt))
	if e.from.IsValid() {
		t.addSource(e.from)
	}
}

// firstRing is the length of a ring at first. It doubles up to the limit.
const firstRing = 64

// grow makes room for one more echo, as far as the limit allows.
func (t *target) grow() {
	n := len(t.ring)
	if t.head < int64(n) || n >= t.limit {
		return
	}
	larger := make([]sample, min(max(2*n, firstRing), t.limit))
	for p := max(t.head-int64(n), 0); p < t.head; p++ {
		larger[p%int64(len(larger))] = t.ring[t.slot(p)]
	}
	t.ring = larger
}

// set gives the echo at a position its outcome.
func (t *target) set(at int64, s sample) {
	t.grow()
	if at < t.head-int64(len(t.ring)) {
		return // the window has gone past it
	}
	if at >= t.head+int64(len(t.ring)) { // far ahead: nothing of the ring stays
		t.head = at - int64(len(t.ring)) + 1
		clear(t.ring)
		t.decided, t.missed = 0, 0
	}
	for ; t.head <= at; t.head++ {
		t.count(t.ring[t.slot(t.head)], -1)
		t.ring[t.slot(t.head)] = 0
	}
	i := t.slot(at)
	t.count(t.ring[i], -1)
	t.ring[i] = s
	t.count(s, 1)
	t.last = s
	switch {
	case at < t.good:
	case s > 0:
		t.good = at + 1
		t.streak = 0
		for p := t.good; p < t.head; p++ {
			if t.at(p).missed() {
				t.streak++
			}
		}
	case s.missed():
		t.streak++
	}
}

// count adds an outcome to the counts of the ring, or takes it off.
func (t *target) count(s sample, n int) {
	switch {
	case s > 0:
		t.decided += n
	case s.missed():
		t.decided += n
		t.missed += n
	}
}

func (t *target) slot(at int64) int { return int(at % int64(len(t.ring))) }

// at returns the outcome at a position, 0 where it is not known any more.
func (t *target) at(at int64) sample {
	if at < 0 || at >= t.head || at < t.head-int64(len(t.ring)) {
		return 0
	}
	return t.ring[t.slot(at)]
}

// down reports whether the target does not answer at all at the moment.
func (t *target) down() bool { return t.streak >= downAfter || t.failure != "" }

// loss is the part of the echoes in the window that got no reply. ok is false
// where none is decided.
func (t *target) loss() (part float64, ok bool) {
	if t.decided == 0 {
		return 0, false
	}
	return float64(t.missed) / float64(t.decided), true
}

// trouble is the error to show for the target: why it cannot be pinged, else
// the last one that its echoes met within the window, else that it is silent.
func (t *target) trouble(since time.Time) string {
	switch {
	case t.failure != "":
		return t.failure
	case t.missed == 0:
		return ""
	}
	if n := len(t.problems); n > 0 && t.problems[n-1].last.After(since) {
		return t.problems[n-1].text
	}
	if t.down() || t.missed == t.decided {
		return "no reply in time"
	}
	return ""
}

// addProblem counts an error; the last one stands at the end.
func (t *target) addProblem(text string, at time.Time) {
	p := problem{text: text}
	for i := range t.problems {
		if t.problems[i].text == text {
			p = t.problems[i]
			t.problems = append(t.problems[:i], t.problems[i+1:]...)
			break
		}
	}
	p.count++
	p.last = at
	if len(t.problems) == maxKinds {
		t.problems = append(t.problems[:0], t.problems[1:]...)
	}
	t.problems = append(t.problems, p)
}

// addSource counts a reply from an address.
func (t *target) addSource(a netip.Addr) {
	for i := range t.sources {
		if t.sources[i].addr == a {
			t.sources[i].count++
			return
		}
	}
	if len(t.sources) == maxKinds {
		t.sources = append(t.sources[:0], t.sources[1:]...)
	}
	t.sources = append(t.sources, source{a, 1})
}

// clone returns a copy that shares nothing with t.
func (t *target) clone() *target {
	c := *t
	c.ring = append([]sample(nil), t.ring...)
	c.problems = append([]problem(nil), t.problems...)
	c.sources = append([]source(nil), t.sources...)
	return &c
}
