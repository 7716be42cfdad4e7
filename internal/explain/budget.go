package explain

import (
	"container/heap"
	"time"
)

// budget limits the echoes of traces, so that measuring has priority. It fills up at a
// rate, to a limit.
type budget struct {
	rate, most float64 // echoes a second; echoes
	tokens     float64
	at         time.Time
}

const (
	leastRate = 20.0  // echoes a second where few are measured with
	mostSaved = 600.0 // echoes: 20 traces of 10 hops with three echoes each
	queueTime = 0.1   // seconds that echoes of traces may delay those that are measured with
)

// set sets the rate: a share of a schedule of so many echoes a second, of at most maxRate
// in all; maxRate is negative if there is no limit.
func (b *budget) set(share, schedule float64, maxRate int) {
	b.rate, b.most = max(schedule*share, leastRate), mostSaved
	if maxRate > 0 {
		b.rate = min(b.rate, max(float64(maxRate)-schedule, 1))
		b.most = min(b.most, max(float64(maxRate)*queueTime, 1))
	}
	b.tokens = min(b.tokens, b.most)
}

func (b *budget) fill(now time.Time) {
	if !b.at.IsZero() {
		b.tokens = min(b.tokens+b.rate*max(now.Sub(b.at).Seconds(), 0), b.most)
	}
	b.at = now
}

// spend takes n echoes, if there are so many. What is more than fits in takes all.
func (b *budget) spend(n int, now time.Time) bool {
	b.fill(now)
	if b.tokens < min(float64(n), b.most) {
		return false
	}
	b.tokens -= float64(n)
	return true
}

// spare is spend for what is less urgent: it leaves half of the budget, unless that holds
// less than n.
func (b *budget) spare(n int, now time.Time) bool {
	b.fill(now)
	return (b.tokens-float64(n) >= b.most/2 || b.tokens >= b.most) && b.spend(n, now)
}

// queue holds targets by when they are due.
type queue struct{ list []*state }

func (q *queue) Len() int           { return len(q.list) }
func (q *queue) Less(i, j int) bool { return q.list[i].next.Before(q.list[j].next) }

// Swap is for package heap.
func (q *queue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].index, q.list[j].index = i+1, j+1
}

// Push is for package heap.
func (q *queue) Push(x any) {
	s := x.(*state)
	q.list = append(q.list, s)
	s.index = len(q.list)
}

// Pop is for package heap.
func (q *queue) Pop() any {
	s := q.list[len(q.list)-1]
	q.list[len(q.list)-1] = nil
	q.list = q.list[:len(q.list)-1]
	s.index = 0
	return s
}

func (q *queue) add(s *state) { heap.Push(q, s) }

// remove removes s, if it is there.
func (q *queue) remove(s *state) {
	if s.index > 0 {
		heap.Remove(q, s.index-1)
	}
}

// first returns the one that is due longest, nil if none is.
func (q *queue) first(now time.Time) *state {
	if len(q.list) == 0 || q.list[0].next.After(now) {
		return nil
	}
	return q.list[0]
}
