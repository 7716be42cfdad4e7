package otel

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

const (
	// idleRounds is for how many series of its target a stream is kept whose
	// address is no longer probed: a name with several addresses, of which each
	// answer brings another first, goes on with the counters of each.
	idleRounds = 10

	// maxStreams bounds the streams of a target, whatever the name servers say.
	maxStreams = 16

	// keepTime is how long the streams of a removed target are kept at least: a
	// target that takes its place goes on with them, and with luck a collector
	// that is away comes back.
	keepTime = 10 * time.Minute
)

// table holds what has been counted, by target.
type table struct {
	newHistogram func() histogram

	mu      sync.Mutex // guards what follows; held for the time of one stream's work at most
	targets map[*monitor.Target]*entry
	gone    map[identity]ref // streams of removed targets
	crowded string           // a host of which a stream was lost to maxStreams, since that was last asked
	lost    uint64           // streams dropped with something in them that no push has delivered
}

// init makes an empty table, whose histograms are made by h.
func (t *table) init(h func() histogram) {
	t.newHistogram, t.targets, t.gone = h, make(map[*monitor.Target]*entry), make(map[identity]ref)
}

// entry is one target.
type entry struct {
	target  *monitor.Target
	streams []*stream // the one recorded last is the first
	rounds  uint64    // series recorded
	removed time.Time // zero as long as it is a target
}

// identity is what the attributes of a stream are made of. A reload that changes
// anything else of a target, as its count, must not begin its counters anew.
type identity struct {
	target string
	addr   netip.Addr
	family string // network.type
}

func identityOf(t *config.Target, addr netip.Addr) identity {
	b := make([]byte, 0, 256)
	add := func(s string) { // with its length, so that no two lists look alike
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(b, ' ')
		b = append(b, s...)
	}
	add(t.Host)
	add(strconv.Itoa(t.Options.DSCP))
	for _, tag := range t.Tags {
		add(tag.Key)
		add(tag.Value)
	}
	return identity{string(b), addr, networkType(t, addr)}
}

// ref is a stream in a push, or of a removed target.
type ref struct {
	entry    *entry
	stream   *stream
	recorded uint64 // series in what the push carries
}

// record counts what came of one series. One that was ended before its first
// request has nothing to count.
func (t *table) record(target *monitor.Target, r *icmpcore.PingResult) {
	if r.Sent == 0 && r.Err != nil && (errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, net.ErrClosed)) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.targets[target]
	if e == nil {
		e = &entry{target: target}
		t.targets[target] = e
	}
	t.streamOf(e, r).record(r)
}

// streamOf returns the stream of e for the address of r, as the first of its
// streams. t.mu is held.
func (t *table) streamOf(e *entry, r *icmpcore.PingResult) *stream {
	e.rounds++
	i := slices.IndexFunc(e.streams, func(s *stream) bool { return s.addr == r.Addr })
	switch {
	case i >= 0:
	case len(e.streams) == maxStreams:
		i = maxStreams - 1
		if t.lose(e.streams[i]) {
			t.crowded = e.target.Host
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

// begin returns a stream for the address of r: that of a removed target, if it
// has the same attributes, else a new one. t.mu is held.
func (t *table) begin(e *entry, r *icmpcore.PingResult) *stream {
	if len(t.gone) > 0 {
		key := identityOf(&e.target.Target, r.Addr)
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

// takeCrowded returns a host of which a stream was lost since the last call for
// want of room, "" where there is none.
func (t *table) takeCrowded() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	host := t.crowded
	t.crowded = ""
	return host
}

// forget takes a target off. What no push has delivered yet of it is kept for
// the next ones, and all of it for a target that takes its place.
func (t *table) forget(target *monitor.Target, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.targets[target]
	if e == nil {
		return
	}
	delete(t.targets, target)
	e.removed = now
	for _, s := range e.streams {
		t.gone[identityOf(&target.Target, s.addr)] = ref{entry: e, stream: s}
	}
}

// refs returns all streams that a push must carry: those of targets, and of
// removed ones what has not been delivered.
func (t *table) refs(buf []ref) []ref {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.targets {
		for _, s := range e.streams {
			buf = append(buf, ref{entry: e, stream: s})
		}
	}
	for _, r := range t.gone {
		if r.stream.delivered != r.stream.recorded {
			buf = append(buf, r)
		}
	}
	return buf
}

// delivered notes that a push made at now has carried refs.
func (t *table) delivered(refs []ref, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range refs {
		r.stream.deliver(r.recorded, now.UnixNano())
	}
}

// sweep drops what need not be kept any longer: streams of targets that were
// removed longer ago than keep, and addresses that have not been probed for
// long. It returns how many streams have been lost by now.
func (t *table) sweep(now time.Time, keep time.Duration) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.gone, func(_ identity, r ref) bool {
		if now.Sub(r.entry.removed) < keep {
			return false
		}
		t.lose(r.stream)
		return true
	})
	for _, e := range t.targets {
		e.streams = slices.DeleteFunc(e.streams, func(s *stream) bool {
			return e.rounds-s.round > idleRounds && s.delivered == s.recorded
		})
	}
	return t.lost
}
