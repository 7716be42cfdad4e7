package icmpcore

import "math/bits"

// The wheel's shape: four levels of 256 slots, the finest of which is a tick
// of 2^16 ns (66 µs) wide. It reaches 78 hours; what lies further off waits in
// the last slot and is put in again from there.
const (
	tickBits    = 16
	levelBits   = 8
	wheelLevels = 4
	levelSlots  = 1 << levelBits
)

// noTimer marks the end of a list, and a node that is in none.
const noTimer = -1

// timerNode is the place of one series in the wheel.
type timerNode struct {
	when       int64 // monotonic ns
	next, prev int32 // neighbours in the slot's list; prev < noTimer names the slot itself
	set        bool
}

// wheel is a hierarchical timing wheel (Varghese and Lauck, 1987) over nodes
// that live in the series themselves: setting and clearing a timer takes the
// same short time whether there are ten or a million, which a heap's does not.
type wheel struct {
	node  func(int32) *timerNode
	tick  int64 // all slots before this tick are empty
	count int
	heads [wheelLevels][levelSlots]int32
	used  [wheelLevels][levelSlots / 64]uint64 // which slots hold something
}

func newWheel(now int64, node func(int32) *timerNode) *wheel {
	w := &wheel{node: node, tick: now >> tickBits}
	for l := range w.heads {
		for s := range w.heads[l] {
			w.heads[l][s] = noTimer
		}
	}
	return w
}

// set puts node i in for the time when, taking it out first where it is in.
func (w *wheel) set(i int32, when int64) {
	n := w.node(i)
	if n.set {
		w.clear(i)
	}
	n.when, n.set = when, true
	w.count++
	w.insert(i, n)
}

// insert links a node into the slot of its time. A time within the present
// tick or before it goes to the present slot.
func (w *wheel) insert(i int32, n *timerNode) {
	// rounded up, so that a slot whose time has come holds nothing that is not due
	t := max((n.when+1<<tickBits-1)>>tickBits, w.tick)
	t = min(t, w.tick+1<<(levelBits*wheelLevels)-1)
	level := 0
	for d := uint64(t ^ w.tick); d >= levelSlots && level < wheelLevels-1; d >>= levelBits {
		level++
	}
	slot := int(t>>(levelBits*level)) & (levelSlots - 1)
	head := w.heads[level][slot]
	n.next, n.prev = head, slotRef(level, slot)
	if head != noTimer {
		w.node(head).prev = i
	}
	w.heads[level][slot] = i
	w.used[level][slot/64] |= 1 << (slot % 64)
}

// slotRef names a slot in a node's prev, below noTimer.
func slotRef(level, slot int) int32 { return int32(noTimer - 1 - level<<levelBits - slot) }

// clear takes node i out. It may be out already.
func (w *wheel) clear(i int32) {
	n := w.node(i)
	if !n.set {
		return
	}
	n.set = false
	w.count--
	if n.next != noTimer {
		w.node(n.next).prev = n.prev
	}
	if n.prev >= 0 {
		w.node(n.prev).next = n.next
		return
	}
	ref := int(noTimer - 1 - n.prev)
	level, slot := ref>>levelBits, ref&(levelSlots-1)
	w.heads[level][slot] = n.next
	if n.next == noTimer {
		w.used[level][slot/64] &^= 1 << (slot % 64)
	}
}

// advance takes out every node whose time is at or before now and calls due
// for it. due may set timers.
func (w *wheel) advance(now int64, due func(int32)) {
	target := now >> tickBits
	for w.tick <= target {
		if w.count == 0 {
			w.tick = target + 1
			return
		}
		if i := w.heads[0][w.tick&(levelSlots-1)]; i != noTimer {
			w.clear(i)
			due(i)
			continue
		}
		w.step(target)
	}
}

// step moves to the next tick up to target+1 at which something may be, and
// brings the nodes of coarser slots down when their time begins.
func (w *wheel) step(target int64) {
	next, _ := w.next()
	w.tick = min(max(next>>tickBits, w.tick+1), target+1)
	for level := 1; level < wheelLevels && w.tick&(1<<(levelBits*level)-1) == 0; level++ {
		w.cascade(level, int(w.tick>>(levelBits*level))&(levelSlots-1))
	}
}

// nextUsed returns the first used slot from s on, or levelSlots.
func nextUsed(used *[levelSlots / 64]uint64, s int) int {
	for word := s / 64; word < len(used); word++ {
		u := used[word]
		if word == s/64 {
			u &= ^uint64(0) << (s % 64)
		}
		if u != 0 {
			return word*64 + bits.TrailingZeros64(u)
		}
	}
	return levelSlots
}

// cascade puts the nodes of a slot in again, each now in a finer one.
func (w *wheel) cascade(level, slot int) {
	i := w.heads[level][slot]
	w.heads[level][slot] = noTimer
	w.used[level][slot/64] &^= 1 << (slot % 64)
	for i != noTimer {
		n := w.node(i)
		next := n.next
		w.insert(i, n)
		i = next
	}
}

// next returns the earliest time at which advance may have something to do,
// and false where no timer is set. It may be early, never late.
func (w *wheel) next() (int64, bool) {
	if w.count == 0 {
		return 0, false
	}
	for level := range wheelLevels {
		unit := w.tick >> (levelBits * level)
		from := int(unit & (levelSlots - 1))
		if level > 0 {
			from++ // the present slot of a coarser level has been brought down
		}
		if s := nextUsed(&w.used[level], from); s < levelSlots {
			unit += int64(s) - unit&(levelSlots-1)
			return unit << (levelBits*level + tickBits), true
		}
	}
	// only behind the turn of the coarsest level
	return (w.tick>>(levelBits*wheelLevels) + 1) << (levelBits*wheelLevels + tickBits), true
}
