package icmpcore

import "math/bits"

// The shape of the wheel: four levels of 256 slots. A slot of the finest level
// is one tick of 2^16 ns (66 µs). The wheel covers 78 hours. A timer beyond
// that waits in the last slot and is inserted again from there.
const (
	tickBits    = 16
	levelBits   = 8
	wheelLevels = 4
	levelSlots  = 1 << levelBits
)

// noTimer marks the end of a list, and a node that is in no list.
const noTimer = -1

// timerNode is the place of one series in the wheel.
type timerNode struct {
	when       int64 // monotonic ns
	next, prev int32 // neighbours in the list of the slot; prev < noTimer is the slot itself
	set        bool
}

// wheel is a hierarchical timing wheel (Varghese and Lauck, 1987). Its nodes
// are part of the series themselves. Setting and clearing a timer takes the
// same short time with ten timers and with a million; with a heap it does not.
type wheel struct {
	node  func(int32) *timerNode
	tick  int64 // all slots before this tick are empty
	count int
	heads [wheelLevels][levelSlots]int32
	used  [wheelLevels][levelSlots / 64]uint64 // which slots are not empty
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

// set inserts node i for the time when. If it is in the wheel it is removed
// first.
func (w *wheel) set(i int32, when int64) {
	n := w.node(i)
	if n.set {
		w.clear(i)
	}
	n.when, n.set = when, true
	w.count++
	w.insert(i, n)
}

// insert links a node into the slot of its time. A time in the present tick or
// before it goes into the present slot.
func (w *wheel) insert(i int32, n *timerNode) {
	// rounded up, so everything in a slot is due when the time of the slot has
	// come
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

// slotRef returns the value of a node's prev that stands for a slot. It is below
// noTimer.
func slotRef(level, slot int) int32 { return int32(noTimer - 1 - level<<levelBits - slot) }

// clear removes node i. It does nothing if the node is not in the wheel.
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

// advance removes every node whose time is now or earlier and calls due for it.
// due may set timers.
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

// step moves to the next tick, up to target+1, that may have a timer. When the
// time of a coarser slot begins, it moves the nodes of that slot to finer ones.
func (w *wheel) step(target int64) {
	next, _ := w.next()
	w.tick = min(max(next>>tickBits, w.tick+1), target+1)
	for level := 1; level < wheelLevels && w.tick&(1<<(levelBits*level)-1) == 0; level++ {
		w.cascade(level, int(w.tick>>(levelBits*level))&(levelSlots-1))
	}
}

// nextUsed returns the first used slot from s on, or levelSlots if there is none.
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

// cascade inserts the nodes of a slot again, which puts each into a finer slot.
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

// next returns the earliest time at which advance may have something to do, and
// false if no timer is set. The time may be too early but never too late.
func (w *wheel) next() (int64, bool) {
	if w.count == 0 {
		return 0, false
	}
	for level := range wheelLevels {
		unit := w.tick >> (levelBits * level)
		from := int(unit & (levelSlots - 1))
		if level > 0 {
			from++ // the nodes of the present slot have moved to finer levels
		}
		if s := nextUsed(&w.used[level], from); s < levelSlots {
			unit += int64(s) - unit&(levelSlots-1)
			return unit << (levelBits*level + tickBits), true
		}
	}
	// all timers are after the wrap of the coarsest level
	return (w.tick>>(levelBits*wheelLevels) + 1) << (levelBits*wheelLevels + tickBits), true
}
