package icmpcore

import (
	"encoding/binary"
	"net/netip"
)

// Slots come in chunks that never move, so an index stays valid while other
// series are added.
const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
	maxChunks = 1 << 14
	maxSlots  = chunkSize * maxChunks // 16.7 million series at once
)

// slots holds the series. An index passes from one goroutine to another under a
// lock, which makes its chunk visible there too.
type slots struct {
	chunks [maxChunks]*[chunkSize]series
}

func (t *slots) at(i int32) *series { return &t.chunks[i>>chunkBits][i&(chunkSize-1)] }

// live says which slots hold a running series. Only the engine uses it: the
// engine must not read a series that it does not own to find that out. It has
// the same chunks as slots.
type live []*[chunkSize]occupant

// occupant is the series that runs in a slot, or the last one that did.
type occupant struct {
	gen     uint16
	running bool
}

// start marks the series gen as running in slot i.
func (l *live) start(i int32, gen uint16) {
	for int(i) >= l.size() {
		*l = append(*l, new([chunkSize]occupant))
	}
	*l.at(i) = occupant{gen, true}
}

// size returns a bound: only slots below it were ever taken.
func (l live) size() int { return len(l) * chunkSize }

// at returns the occupant of a slot below size.
func (l live) at(i int32) *occupant { return &l[i>>chunkBits][i&(chunkSize-1)] }

// addrIndex finds the series that probe an address, for errors whose quote is
// too short for the cookie. It is a hash table of indices, and the chains are
// fields of the series themselves. It takes eight bytes a series; a map would
// take fifty.
type addrIndex struct {
	heads []int32
	count int
	at    func(int32) *series
}

// addrHash gives neighbouring addresses neighbouring heads, so a sweep goes
// through memory in order.
func addrHash(a netip.Addr) uint32 {
	b := a.As16()
	low := binary.BigEndian.Uint32(b[12:])
	high := binary.BigEndian.Uint64(b[:]) ^ uint64(binary.BigEndian.Uint32(b[8:]))
	return low + (low>>16)*40503 + uint32(high*0x9e3779b97f4a7c15>>32)
}

func (x *addrIndex) insert(i int32) {
	if x.count >= len(x.heads) {
		x.grow()
	}
	x.count++
	x.link(i)
}

func (x *addrIndex) link(i int32) {
	s := x.at(i)
	h := addrHash(s.addr) & uint32(len(x.heads)-1)
	s.addrNext, s.addrPrev = x.heads[h], -1
	if s.addrNext >= 0 {
		x.at(s.addrNext).addrPrev = i
	}
	x.heads[h] = i
}

func (x *addrIndex) remove(i int32) {
	s := x.at(i)
	x.count--
	if s.addrNext >= 0 {
		x.at(s.addrNext).addrPrev = s.addrPrev
	}
	if s.addrPrev >= 0 {
		x.at(s.addrPrev).addrNext = s.addrNext
		return
	}
	x.heads[addrHash(s.addr)&uint32(len(x.heads)-1)] = s.addrNext
}

// grow doubles the table and links all series again.
func (x *addrIndex) grow() {
	old := x.heads
	x.heads = make([]int32, max(2*len(old), 64))
	for h := range x.heads {
		x.heads[h] = -1
	}
	for _, i := range old {
		for i >= 0 {
			next := x.at(i).addrNext
			x.link(i)
			i = next
		}
	}
}

// find calls f for every series that probes addr, until f returns false.
func (x *addrIndex) find(addr netip.Addr, f func(int32, *series) bool) {
	if len(x.heads) == 0 {
		return
	}
	for i := x.heads[addrHash(addr)&uint32(len(x.heads)-1)]; i >= 0; {
		s := x.at(i)
		next := s.addrNext
		if s.addr.WithZone("") == addr && !f(i, s) {
			return
		}
		i = next
	}
}

// indexQueue is a first-in, first-out queue of slots.
type indexQueue struct {
	ring       []int32
	head, size int
}

func (q *indexQueue) push(i int32) {
	if q.size == len(q.ring) {
		bigger := make([]int32, max(2*len(q.ring), 64))
		n := copy(bigger, q.ring[q.head:])
		copy(bigger[n:], q.ring[:q.head])
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.size)&(len(q.ring)-1)] = i
	q.size++
}

func (q *indexQueue) pop() int32 {
	i := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.size--
	return i
}
