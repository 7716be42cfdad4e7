package fleet

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// view is what this prober knows of the other ones. It reads no clock and no wall time
// of others: what counts is when news arrived here, and whether the engine that brings
// them worked since.
type view struct {
	self     Member
	holdDown time.Duration // how long a member is silent before it is dropped
	trust    time.Duration // how long the engine is taken to work after it was last known to
	others   map[string]*seen
	known    bool // the engine has worked once, or said before the start who is there

	// The engine's time: it stands still while the engine is away, so that nobody is
	// dropped whose news could not arrive.
	passed time.Duration
	proven time.Time // when the engine was last known to work; zero while it is away
}

// seen is another prober.
type seen struct {
	Member
	at time.Duration // when it was last heard of, in the engine's time
}

func newView(self Member, holdDown, trust time.Duration) *view {
	return &view{self: self, holdDown: holdDown, trust: trust, others: make(map[string]*seen)}
}

// time returns the engine's time at now.
func (v *view) time(now time.Time) time.Duration {
	if v.proven.IsZero() {
		return v.passed
	}
	return v.passed + min(now.Sub(v.proven), v.trust)
}

// heard notes that a member is there. ok is false if there are too many to take
// another one.
func (v *view) heard(m Member, now time.Time) (changed, ok bool) {
	if m.Name == v.self.Name {
		return false, true
	}
	s := v.others[m.Name]
	if s == nil {
		if len(v.others)+1 >= config.MaxMembers {
			return false, false
		}
		s = &seen{}
		v.others[m.Name] = s
	}
	changed = s.Member != m
	*s = seen{m, v.time(now)}
	return changed, true
}

// left notes that a member has said that it leaves.
func (v *view) left(name string) (changed bool) {
	_, changed = v.others[name]
	delete(v.others, name)
	return changed
}

// works notes that the engine works at now, and drops members that were silent for too
// long.
func (v *view) works(now time.Time) (dropped []string) {
	v.passed, v.proven, v.known = v.time(now), now, true
	return v.expire(now)
}

// restore takes what this prober knew before its start. Members count from now on: they
// are dropped if they are silent for too long once the engine works.
func (v *view) restore(last lastView) {
	v.self, v.known = last.Self, true
	for _, m := range last.Others {
		if v.others[m.Name] == nil && m.Name != v.self.Name {
			v.others[m.Name] = &seen{m, v.passed}
		}
	}
}

// away notes that the engine does not work. The time since it was last known to work
// does not count.
func (v *view) away() { v.proven = time.Time{} }

// expire drops members that were silent for too long, unless the engine is away.
func (v *view) expire(now time.Time) (dropped []string) {
	if v.proven.IsZero() {
		return nil
	}
	for name, s := range v.others {
		if v.time(now)-s.at >= v.holdDown {
			dropped = append(dropped, name)
			delete(v.others, name)
		}
	}
	slices.Sort(dropped)
	return dropped
}

// next returns when expire drops the next member if nothing is heard of it. It returns
// zero if the engine has to work before that.
func (v *view) next() time.Time {
	if v.proven.IsZero() || len(v.others) == 0 {
		return time.Time{}
	}
	first := time.Duration(-1)
	for _, s := range v.others {
		if first < 0 || s.at < first {
			first = s.at
		}
	}
	wait := first + v.holdDown - v.passed
	if wait > v.trust { // the engine's time stands still before
		return time.Time{}
	}
	return v.proven.Add(wait)
}

// members returns all members, this one included, sorted by name.
func (v *view) members() []Member {
	list := []Member{v.self}
	for s := range maps.Values(v.others) {
		list = append(list, s.Member)
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return list
}
