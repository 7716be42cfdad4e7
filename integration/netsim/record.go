package netsim

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// chunkSize is the number of arrivals in a chunk. Chunks never move, so the simulator
// never stops to copy a long record.
const chunkSize = 1 << 14

// record holds the requests in the order of arrival.
type record struct {
	mu      sync.Mutex // guards the fields below
	chunks  [][]Request
	count   int
	numbers map[netip.Addr]int // the next number for each destination
	turns   map[turn]int       // likewise for each destination and TTL
	waiters []waiter
}

// turn is what the numbers of requests that pass routers depend on.
type turn struct {
	dst netip.Addr
	ttl uint8
}

// waiter waits for the count of arrivals to reach its own.
type waiter struct {
	count   int
	reached chan struct{} // closed then
}

// add numbers a request and records it.
func (r *record) add(q *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.numbers == nil {
		r.numbers = map[netip.Addr]int{}
	}
	q.N = r.numbers[q.Dst]
	r.numbers[q.Dst] = q.N + 1
	last := len(r.chunks) - 1
	if last < 0 || len(r.chunks[last]) == chunkSize {
		r.chunks = append(r.chunks, make([]Request, 0, chunkSize))
		last++
	}
	entry := *q
	entry.Payload, entry.packet = nil, nil
	r.chunks[last] = append(r.chunks[last], entry)
	r.count++
	if len(r.waiters) > 0 {
		r.wake()
	}
}

// take numbers a request among those with its destination and TTL.
func (r *record) take(q *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turns == nil {
		r.turns = map[turn]int{}
	}
	of := turn{q.Dst, q.TTL}
	q.turn = r.turns[of]
	r.turns[of] = q.turn + 1
	q.routed = true
}

// wake wakes all waiters whose count is reached. mu is held.
func (r *record) wake() {
	kept := r.waiters[:0]
	for _, w := range r.waiters {
		if w.count <= r.count {
			close(w.reached)
		} else {
			kept = append(kept, w)
		}
	}
	r.waiters = kept
}

// await blocks until count requests are recorded, or ctx is done.
func (r *record) await(ctx context.Context, count int) error {
	w := waiter{count, make(chan struct{})}
	r.mu.Lock()
	r.waiters = append(r.waiters, w)
	r.wake()
	r.mu.Unlock()
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// all returns a copy of the record.
func (r *record) all() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Request, 0, r.count)
	for _, c := range r.chunks {
		out = append(out, c...)
	}
	return out
}

// reset forgets all arrivals; numbers begin at 0 again.
func (r *record) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chunks, r.count, r.numbers, r.turns = nil, 0, nil, nil
}

// peak returns the largest number of arrivals in a window, its end excluded.
func peak(arrived []Request, window time.Duration) int {
	most, first := 0, 0
	for i := range arrived {
		for arrived[i].At-arrived[first].At >= window && first < i {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
