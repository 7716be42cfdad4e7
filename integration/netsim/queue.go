package netsim

import (
	"container/heap"
	"time"
)

// pending is a packet that waits for its time.
type pending struct {
	due    time.Duration
	serial uint64 // keeps packets of one time in the order they were made
	packet []byte
}

// queue holds the waiting packets, the next one first, and the buffers of packets
// that were sent.
type queue struct {
	heap   pendingHeap
	serial uint64
	free   [][]byte
}

// push queues a copy of packet.
func (q *queue) push(due time.Duration, packet []byte) {
	var buf []byte
	if last := len(q.free) - 1; last >= 0 {
		buf, q.free = q.free[last][:0], q.free[:last]
	}
	q.serial++
	q.heap.next = pending{due, q.serial, append(buf, packet...)}
	heap.Push(&q.heap, nil)
}

// next returns when the first packet is due, and false if there is none.
func (q *queue) next() (time.Duration, bool) {
	if len(q.heap.all) == 0 {
		return 0, false
	}
	return q.heap.all[0].due, true
}

// pop removes the first packet. Its bytes are valid until the next push.
func (q *queue) pop() []byte {
	heap.Pop(&q.heap)
	packet := q.heap.next.packet
	q.heap.next.packet = nil
	q.free = append(q.free, packet)
	return packet
}

// pendingHeap implements heap.Interface. Push and Pop use the field next, since a
// value in an interface would be allocated.
type pendingHeap struct {
	all  []pending
	next pending
}

func (h *pendingHeap) Len() int      { return len(h.all) }
func (h *pendingHeap) Swap(i, j int) { h.all[i], h.all[j] = h.all[j], h.all[i] }
func (h *pendingHeap) Push(any)      { h.all = append(h.all, h.next) }

func (h *pendingHeap) Less(i, j int) bool {
	a, b := &h.all[i], &h.all[j]
	return a.due < b.due || a.due == b.due && a.serial < b.serial
}

func (h *pendingHeap) Pop() any {
	last := len(h.all) - 1
	h.next = h.all[last]
	h.all[last] = pending{}
	h.all = h.all[:last]
	return nil
}
