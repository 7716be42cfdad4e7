package history

import (
	"cmp"
	"slices"
	"time"
)

// Columns returns the sums of the rounds of a target in each of consecutive steps of
// seconds, the first of which begins at from; the last one ends at to or after it.
func (h *History) Columns(k Key, from, to, step int64) ([]Sum, error) {
	columns := make([]Sum, (to-from+step-1)/step)
	add := func(b *block) error {
		return b.each(func(at int64) *Sum {
			if at < from || at >= from+step*int64(len(columns)) {
				return nil
			}
			return &columns[(at-from)/step]
		})
	}
	h.commit.RLock()
	defer h.commit.RUnlock()
	if err := h.store.blocks(k, from, from+step*int64(len(columns)), add); err != nil {
		return nil, err
	}
	h.mu.Lock()
	s := h.series[k]
	h.mu.Unlock()
	if s == nil {
		return columns, nil
	}
	s.mu.Lock()
	young := append(slices.Clone(s.pending), s.now.copied())
	s.mu.Unlock()
	for _, b := range young {
		if b.last >= from && b.start < to+step {
			if err := add(b); err != nil {
				return nil, err
			}
		}
	}
	return columns, nil
}

// Running returns the times from one time to another in which the prober ran,
// ascending and apart from each other. A process that was killed seems to have ended
// a minute too soon at most.
func (h *History) Running(from, to int64) ([]Span, error) {
	spans, err := h.store.running(from, to)
	if err != nil {
		return nil, err
	}
	h.queueMu.Lock()
	spans = append(append(spans, h.unsaved...), h.span)
	h.queueMu.Unlock()
	spans = slices.DeleteFunc(spans, func(s Span) bool { return s.End < from || s.Start >= to })
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	var joined []Span
	for _, s := range spans {
		if n := len(joined); n > 0 && s.Start <= joined[n-1].End {
			joined[n-1].End = max(joined[n-1].End, s.End)
			continue
		}
		joined = append(joined, s)
	}
	return joined, nil
}

// Lookup returns the ID of a target that there is a history of.
func (h *History) Lookup(k Key) (ID, bool) {
	h.mu.Lock()
	s := h.series[k]
	h.mu.Unlock()
	if s != nil {
		return s.ID, true
	}
	return h.store.id(k)
}

// recentRounds is how many rounds the present state of a target is of.
const recentRounds = 6

// moment is one of the newest rounds.
type moment struct {
	sent, received uint16
	median         uint16 // bucket + 1, 0 if there is none
	cause          uint8  // Unresolved, LookupFailed, Unsent or 0
}

// remember notes the newest round. s.mu is held.
func (s *Series) remember(f shape, buckets []int) {
	m := moment{sent: uint16(f.n[Sent]), received: uint16(f.n[Received])}
	if n := len(buckets); n > 0 {
		m.median = uint16(buckets[n/2]) + 1
		if s.usual == 0 {
			s.usual = float32(buckets[n/2])
		}
	}
	switch {
	case f.n[Unresolved] > 0:
		m.cause = Unresolved
	case f.n[LookupFailed] > 0:
		m.cause = LookupFailed
	case f.n[Unsent] > 0:
		m.cause = Unsent
	}
	s.recent[s.rounds%recentRounds] = m
	s.rounds++
}

// usualWeight is how much the median of a block changes the usual round-trip time: it
// follows a change for good within half a day.
const usualWeight = 0.1

// learn takes over the median of a block. s.mu is held.
func (s *Series) learn(b *block) {
	var all Sum
	if err := b.each(func(int64) *Sum { return &all }); err != nil {
		s.h.o.Log.Error("history: a block is wrong", "host", s.ID.Host, "error", err)
		return
	}
	if p := all.RTTs.Percentiles(50); p != nil {
		bucket := float32(bucketOf(time.Duration(p[0] * 1e9)))
		if s.usual == 0 {
			s.usual = bucket
		}
		s.usual += usualWeight * (bucket - s.usual)
	}
}

// State is how a target is now.
type State struct {
	*Series
	Last           int64   // Unix seconds of the newest round, 0 if there is none
	Sent, Received int     // of the last rounds
	Lost           bool    // the newest round has no reply
	Cause          int     // why the newest round sent nothing: Unresolved, LookupFailed, Unsent, or 0
	RTT, Usual     float64 // seconds, 0 if not known: the median of the newest round with replies, and the usual one
}

// States returns the state of each target that is probed.
func (h *History) States() []State {
	var states []State
	for _, s := range h.all() {
		s.mu.Lock()
		if !s.removed {
			states = append(states, s.state())
		}
		s.mu.Unlock()
	}
	return states
}

// state is State for one series. s.mu is held.
func (s *Series) state() State {
	st := State{Series: s, Last: s.last}
	for i := range min(s.rounds, recentRounds) {
		m := &s.recent[(s.rounds-1-i)%recentRounds] // the newest first
		if i == 0 {
			st.Cause = int(m.cause)
			st.Lost = m.sent > 0 && m.received == 0
		}
		st.Sent += int(m.sent)
		st.Received += int(m.received)
		if st.RTT == 0 && m.median > 0 {
			st.RTT = middles[m.median-1]
		}
	}
	if s.usual > 0 {
		st.Usual = middles[int(s.usual)]
	}
	return st
}
