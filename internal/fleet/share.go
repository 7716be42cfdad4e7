package fleet

import (
	"slices"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// maxPast is how many earlier lists of members still count. Only a list that changes
// all the time has more in the time that a target is held.
const maxPast = 16

// Share picks this prober's targets out of all. The zero value is ready for use. It
// is not safe for concurrent use.
type Share struct {
	current *Ownership
	past    []past // the newest first
	owned   int
}

// past is an ownership that was replaced.
type past struct {
	*Ownership
	ended time.Time
}

// Owned returns how many targets of the last Take are ours, without those that are
// only held for a while.
func (s *Share) Owned() int { return s.owned }

// Take returns the targets that this prober measures from now on: its own by o, and
// those that were its own by an earlier ownership until lately. It holds these for a
// time, in which their new owners begin, so that no target is without an owner. next
// is when Take has to be called again, or zero.
func (s *Share) Take(o *Ownership, targets []config.Target, now time.Time, hold func(*config.Target) time.Duration) (mine []config.Target, next time.Time) {
	if s.current != nil && s.current != o {
		s.past = slices.Insert(s.past, 0, past{s.current, now})
		s.past = s.past[:min(len(s.past), maxPast)]
	}
	s.current, s.owned = o, 0
	mine = make([]config.Target, 0, len(targets)*o.copies/len(o.members)*9/8)
	var probe *config.Probe
	var tags uint64
	useful := 0 // of s.past
	for i := range targets {
		t := &targets[i]
		if t.Probe != probe {
			probe, tags = t.Probe, tagsHash(t.Probe)
		}
		key := targetKey(tags, t.Host)
		if o.owns(key) {
			s.owned++
			mine = append(mine, *t)
			continue
		}
		for j, p := range s.past {
			until := p.ended.Add(hold(t))
			if !now.Before(until) {
				break // and the others ended before
			}
			if p.owns(key) {
				mine = append(mine, *t)
				useful = max(useful, j+1)
				if next.IsZero() || until.Before(next) {
					next = until
				}
				break
			}
		}
	}
	s.past = s.past[:useful]
	return mine, next
}
