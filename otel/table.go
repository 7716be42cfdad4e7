package otel

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/monitor"
)

const (
	// idleRounds is for how many series of its target a stream is kept whose
	// address is no longer probed: a name with several addresses, of which each
	// answer brings another first, goes on with the counters of each.
	idleRounds = 10

	// maxStreams bounds the streams of a target, whatever the name servers say.
	maxStreams = 16
)

// table holds what has been counted, by target.
type table struct {
	newHistogram func() histogram

	mu      sync.Mutex // guards what follows; held for the time of one stream's work at most
	targets map[*monitor.Target]*entry
	gone    []*entry // removed, and not yet forgotten
	lost    uint64   // streams dropped with something in them that no push has delivered
}

// entry is one target.
type entry struct {
	target  *monitor.Target
	streams []*stream // the one recorded last is the first
	rounds  uint64    // series recorded
	removed time.Time // zero as long as it is a target
}

// ref is a stream in a push.
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
		t.lose(e.streams[i])
		e.streams[i] = newStream(r.Addr, r.Start, t.newHistogram())
	default:
		i = len(e.streams)
		e.streams = append(e.streams, newStream(r.Addr, r.Start, t.newHistogram()))
	}
	s := e.streams[i]
	copy(e.streams[1:], e.streams[:i])
	e.streams[0], s.round = s, e.rounds
	return s
}

// lose counts a stream that is dropped, unless all of it has been delivered.
// t.mu is held.
func (t *table) lose(s *stream) {
	if s.delivered != s.recorded {
		t.lost++
	}
}

// forget takes a target off. What no push has delivered yet of it is kept for
// the next ones.
func (t *table) forget(target *monitor.Target, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.targets[target]
	if e == nil {
		return
	}
	delete(t.targets, target)
	e.removed = now
	t.gone = append(t.gone, e)
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
	for _, e := range t.gone {
		for _, s := range e.streams {
			if s.delivered != s.recorded {
				buf = append(buf, ref{entry: e, stream: s})
			}
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

// sweep drops what need not be kept any longer: removed targets whose figures
// have been delivered, or could not be for as long as patience, and addresses
// that have not been probed for long. It returns how many streams have been
// lost by now.
func (t *table) sweep(now time.Time, patience time.Duration) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = slices.DeleteFunc(t.gone, func(e *entry) bool {
		open := slices.ContainsFunc(e.streams, func(s *stream) bool { return s.delivered != s.recorded })
		if open && now.Sub(e.removed) < patience {
			return false
		}
		for _, s := range e.streams {
			t.lose(s)
		}
		return true
	})
	for _, e := range t.targets {
		e.streams = slices.DeleteFunc(e.streams, func(s *stream) bool {
			return e.rounds-s.round > idleRounds && s.delivered == s.recorded
		})
	}
	return t.lost
}
