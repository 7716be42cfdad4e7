package watch

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/path"
	"github.com/pingtel/pingtel/internal/report"
)

const (
	// window is how far back the figures and histories of targets reach, as far as
	// the bounds below allow.
	window = 5 * time.Minute

	// The echoes kept of a target, and of all together: 8 MiB of them.
	minKept = 60
	maxKept = 3000
	allKept = 2 << 20

	// drainAt is how many events may wait before the one who brings the next
	// takes them to their targets himself: the view may be held up by its
	// terminal.
	drainAt = 1 << 14
)

// Store takes what happens to the echoes of targets. It is safe for concurrent
// use. Make one with [NewStore].
type Store struct {
	rate   int    // echo requests per second over all targets; 0: no limit
	caught func() // deferred on goroutines that are not the view's; nil: they panic

	feed struct {
		mu     sync.Mutex // guards events; held only to append to it or to swap it
		events []event
	}

	mu      sync.Mutex // guards what follows, and the targets; held while a frame is worked out
	targets []*target
	tracer  path.Prober // of traces; nil: nothing is measured yet
	spare   []event     // to be filled again
}

// NewStore returns an empty store. rate is how many echo requests are sent per
// second at most over all targets, 0: any number.
func NewStore(rate int) *Store { return &Store{rate: max(rate, 0)} }

// Target is one target of a store.
type Target struct {
	store *Store
	t     *target
}

// Add adds a target: its host as given, its tags ("key=value"), and the time
// from one echo to the next.
func (s *Store) Add(host string, tags []string, interval time.Duration) *Target {
	t := &target{host: report.Clean(host), interval: max(interval, time.Millisecond), dscp: -1}
	for i, tag := range tags {
		if i > 0 {
			t.tags += " "
		}
		t.tags += report.Clean(tag)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		t.addr, t.literal = a, true
	}
	t.describe()
	s.mu.Lock()
	defer s.mu.Unlock()
	t.index = len(s.targets)
	s.targets = append(s.targets, t)
	return &Target{store: s, t: t}
}

// describe works out what the filter looks at.
func (t *target) describe() {
	text := t.host
	if t.addr.IsValid() && !t.literal {
		text += " " + t.addr.String()
	}
	if t.tags != "" {
		text += " " + t.tags
	}
	t.lower = strings.ToLower(text)
}

// setAddr takes over the address that is probed.
func (t *target) setAddr(a netip.Addr) {
	t.addr = a
	t.describe()
}

// Echo takes in what happened to one echo ([icmpcore.Options.OnEcho]). It does
// not block.
func (t *Target) Echo(e icmpcore.Echo) {
	ev := event{t: t.t, seq: e.Seq, outcome: e.Outcome, addr: e.Addr, err: e.Err, at: e.Time}
	if e.Outcome == icmpcore.OutcomeReply {
		ev.rtt, ev.ttl, ev.dscp, ev.from = e.RTT, uint8(e.TTL), int8(e.DSCP), e.From
	}
	t.store.put(ev)
}

// Ended takes in that a series of echoes has ended, which had used so many
// numbers. err is what kept it from being sent, or cut it short; nil: nothing.
func (t *Target) Ended(echoes int, err error) {
	t.store.put(event{t: t.t, ended: true, echoes: echoes, err: err, at: time.Now()})
}

// put queues an event.
func (s *Store) put(e event) {
	if s.caught != nil {
		defer s.caught()
	}
	s.feed.mu.Lock()
	s.feed.events = append(s.feed.events, e)
	n := len(s.feed.events)
	s.feed.mu.Unlock()
	if n >= drainAt && s.mu.TryLock() { // else the next one tries again
		defer s.mu.Unlock()
		s.drain()
	}
}

// drain takes the events that wait to their targets. s.mu is held.
func (s *Store) drain() {
	s.feed.mu.Lock()
	events := s.feed.events
	s.feed.events = s.spare[:0]
	s.feed.mu.Unlock()
	most := max(minKept, allKept/max(len(s.targets), 1))
	for i := range events {
		t := events[i].t
		t.limit = max(len(t.ring), min(max(int(window/t.interval), minKept), maxKept, most))
		t.apply(&events[i])
	}
	clear(events) // for the garbage collector
	s.spare = events
	if cap(s.spare) > 2*drainAt {
		s.spare = nil
	}
}

// pace returns how far apart the echoes of t come, with the rate in mind. s.mu
// is held.
func (s *Store) pace(t *target) time.Duration {
	if s.rate == 0 {
		return t.interval
	}
	return max(t.interval, time.Duration(float64(len(s.targets))/float64(s.rate)*float64(time.Second)))
}

// errorText is the reason of an error in words for a terminal.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return report.Reason(&icmpcore.PingResult{Err: err})
}
