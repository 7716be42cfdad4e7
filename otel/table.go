package otel

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

const (
	// idleRounds is for how many series of its target a stream is kept after its
	// address was last probed. If a name has several addresses, and its server puts
	// another one first in each answer, the counters of each continue.
	idleRounds = 10

	// maxStreams bounds the streams of a target, whatever name servers answer.
	maxStreams = 16

	// keepTime is how long the streams of a removed target are kept at least. A
	// target that replaces it continues them, and a collector that is down may come
	// back.
	keepTime = 10 * time.Minute
)

// table holds what has been counted, by target.
type table struct {
	newHistogram func() histogram

	// mu guards the fields below. A push holds it while it adds one stream to a
	// message, and at its beginning and end for a walk over all streams.
	mu      sync.Mutex
	targets map[*Target]struct{}
	gone    map[identity]ref // streams of removed targets
	crowded string           // a host that lost a stream to maxStreams since takeCrowded was last called
	lost    uint64           // streams dropped with something in them that no push has delivered
	pushes  uint64           // begun so far
	swept   time.Time        // when sweep was last called
	traced  bool             // a path was recorded
	breaks  breaks
	order   []*Target // all targets by their hosts; nil if it has to be made
	changes uint64    // of targets
}

// init makes an empty table, whose histograms are made by h.
func (t *table) init(h func() histogram) {
	t.newHistogram, t.targets, t.gone = h, make(map[*Target]struct{}), make(map[identity]ref)
}

// identity is what the attributes of a stream are made of. A reload that changes
// anything else of a target, such as its count, must not restart its counters.
type identity struct {
	target string
	addr   netip.Addr
	family string // network.type
}

func identityOf(o *TargetOptions, addr netip.Addr) identity {
	b := make([]byte, 0, 256)
	add := func(s string) { // with its length, so that no two lists look alike
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(b, ' ')
		b = append(b, s...)
	}
	add(o.Host)
	add(strconv.Itoa(o.DSCP))
	for _, a := range o.Attributes {
		add(string(a.Key))
		add(strconv.Itoa(int(a.Value.Type())))
		add(a.Value.String())
	}
	return identity{string(b), addr, networkType(o.Family, addr)}
}

// ref is a stream in a push, or of a removed target.
type ref struct {
	target   *Target
	stream   *stream
	recorded uint64 // series in what the push carries
}

// current reports whether the stream is that of the target's latest series. The
// table is locked.
func (r ref) current() bool { return r.target.removed.IsZero() && r.target.streams[0] == r.stream }

// record counts the result of one series, unless it was cancelled before its first
// request or its target has been removed.
func (t *table) record(target *Target, r *icmpcore.PingResult) {
	if ended(r) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.targets[target]; ok {
		t.streamOf(target, r).record(r)
	}
}

// streamOf returns the stream of e for the address of r, and makes it the first of
// its streams. t.mu is held.
func (t *table) streamOf(e *Target, r *icmpcore.PingResult) *stream {
	e.rounds++
	i := slices.IndexFunc(e.streams, func(s *stream) bool { return s.addr == r.Addr })
	switch {
	case i >= 0:
	case len(e.streams) == maxStreams:
		i = maxStreams - 1
		if t.lose(e.streams[i]) {
			t.crowded = e.options.Host
		}
		e.streams[i] = t.begin(e, r)
	default:
		i = len(e.streams)
		e.streams = append(e.streams, t.begin(e, r))
	}
	s := e.streams[i]
	copy(e.streams[1:], e.streams[:i])
	e.streams[0], s.round = s, e.rounds
	return s
}

// begin returns a stream for the address of r: that of a removed target with the
// same attributes, or else a new one. t.mu is held.
func (t *table) begin(e *Target, r *icmpcore.PingResult) *stream {
	if len(t.gone) > 0 {
		key := identityOf(&e.options, r.Addr)
		if old, ok := t.gone[key]; ok {
			delete(t.gone, key)
			return old.stream
		}
	}
	return newStream(r.Addr, r.Start, t.newHistogram())
}

// lose counts a stream that is dropped, unless all of it has been delivered, and
// reports whether it did. t.mu is held.
func (t *table) lose(s *stream) bool {
	if s.delivered == s.recorded {
		return false
	}
	t.lost++
	return true
}

// takeCrowded returns a host that lost a stream to maxStreams since the last call,
// or "" if there is none.
func (t *table) takeCrowded() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	host := t.crowded
	t.crowded = ""
	return host
}

// add adds a target.
func (t *table) add(target *Target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.targets[target] = struct{}{}
	t.order, t.changes = nil, t.changes+1
}

// remove removes a target. The next pushes carry what no push has delivered of it
// yet, and a target with the same attributes continues its streams.
func (t *table) remove(target *Target, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.targets[target]; !ok {
		return
	}
	delete(t.targets, target)
	t.order, t.changes = nil, t.changes+1
	target.removed = now
	for _, s := range target.streams {
		t.gone[identityOf(&target.options, s.addr)] = ref{target: target, stream: s}
	}
}

// refs appends the streams that a push must carry to buf: those of removed targets
// that have not been delivered, and all those of targets, or with newOnly only the
// ones that have not been delivered. Streams that the last push did not deliver
// come first.
func (t *table) refs(buf []ref, newOnly bool) []ref {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pushes++
	for _, r := range t.gone {
		if r.stream.delivered != r.stream.recorded {
			buf = append(buf, r)
		}
	}
	for _, behind := range []bool{true, false} {
		for target := range t.targets {
			for _, s := range target.streams {
				if (s.push+1 < t.pushes) == behind && (!newOnly || s.delivered != s.recorded) {
					buf = append(buf, ref{target: target, stream: s})
				}
			}
		}
	}
	return buf
}

// kept returns the streams of targets that have not been removed, by their hosts
// and addresses.
func (t *table) kept() []ref {
	order := t.ordered()
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]ref, 0, len(order)+len(order)/8)
	for _, target := range order {
		if !target.removed.IsZero() { // in the meantime
			continue
		}
		first := len(list)
		for _, s := range target.streams {
			list = append(list, ref{target: target, stream: s})
		}
		slices.SortFunc(list[first:], func(a, b ref) int { return a.stream.addr.Compare(b.stream.addr) })
	}
	return list
}

// ordered returns all targets by their hosts. It sorts them, without holding the
// table, only if there has been another target since the last time.
func (t *table) ordered() []*Target {
	t.mu.Lock()
	list, changes := t.order, t.changes
	if list == nil {
		list = slices.AppendSeq(make([]*Target, 0, len(t.targets)), maps.Keys(t.targets))
	}
	fresh := t.order == nil
	t.mu.Unlock()
	if !fresh {
		return list
	}
	slices.SortFunc(list, func(a, b *Target) int { return strings.Compare(a.options.Host, b.options.Host) })
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes == changes {
		t.order = list
	}
	return list
}

// undelivered returns how many targets have counts that no push has delivered, and
// how many targets there are. Removed targets with such counts are in both.
func (t *table) undelivered() (left, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := make(map[*Target]bool)
	for _, r := range t.gone {
		if r.stream.delivered != r.stream.recorded {
			seen[r.target] = true
		}
	}
	all = len(t.targets) + len(seen)
	for target := range t.targets {
		if slices.ContainsFunc(target.streams, func(s *stream) bool { return s.delivered != s.recorded }) {
			seen[target] = true
		}
	}
	return len(seen), all
}

// delivered records that a push made at now has delivered refs.
func (t *table) delivered(refs []ref, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range refs {
		r.stream.deliver(r.recorded, now.UnixNano())
		r.stream.push = t.pushes
	}
}

// sweep drops streams that need not be kept any longer: those of targets that were
// removed at least keep ago, and those of addresses that have not been probed for
// idleRounds. It returns how many streams have been lost since the start.
func (t *table) sweep(now time.Time, keep time.Duration) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swept = now
	maps.DeleteFunc(t.gone, func(_ identity, r ref) bool {
		if now.Sub(r.target.removed) < keep {
			return false
		}
		t.lose(r.stream)
		return true
	})
	if len(t.gone) == 0 {
		t.gone = make(map[identity]ref) // a map does not give back the memory of deleted keys
	}
	for e := range t.targets {
		if len(e.streams) < 2 { // the one recorded last is never idle
			continue
		}
		e.streams = slices.DeleteFunc(e.streams, func(s *stream) bool {
			return e.rounds-s.round > idleRounds && s.delivered == s.recorded
		})
	}
	return t.lost
}

// sweepOverdue calls sweep if nobody has done so for keepTime.
func (t *table) sweepOverdue(now time.Time) {
	t.mu.Lock()
	overdue := now.Sub(t.swept) >= keepTime
	t.mu.Unlock()
	if overdue {
		t.sweep(now, keepTime)
	}
}
