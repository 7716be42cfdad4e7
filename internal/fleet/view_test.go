package fleet

import (
	"testing"
	"time"
)

// TestNext: the time at which a member is dropped is one at which expire drops it. While
// the engine has to work before, there is none: a timer for it would fire again and
// again.
func TestNext(t *testing.T) {
	const trust, holdDown = 1250 * time.Millisecond, 2250 * time.Millisecond
	start := time.Now()
	v := newView(Member{Name: "a"}, holdDown, trust)
	v.heard(Member{Name: "b"}, start)
	for i, want := range []time.Duration{0, holdDown, holdDown} { // it works after 0, 1 and 2 s
		now := start.Add(time.Duration(i) * time.Second)
		v.works(now)
		if next := v.next(); want == 0 != next.IsZero() || want != 0 && !next.Equal(start.Add(want)) {
			t.Errorf("after %v: next %v, want %v", now.Sub(start), next.Sub(start), want)
		}
		if dropped := v.expire(now.Add(time.Hour)); (len(dropped) > 0) != (want != 0) {
			t.Fatalf("after %v: dropped %q", now.Sub(start), dropped)
		} else if len(dropped) > 0 {
			v.others["b"] = &seen{Member{Name: "b"}, 0}
		}
	}
	if dropped := v.expire(v.next().Add(-time.Nanosecond)); len(dropped) > 0 {
		t.Errorf("dropped %q too soon", dropped)
	}
	if dropped := v.expire(v.next()); len(dropped) != 1 {
		t.Errorf("dropped %q at the time, want b", dropped)
	}
}
