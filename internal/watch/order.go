package watch

import (
	"cmp"
	"slices"
	"strings"
)

// order is what the rows are sorted by.
type order uint8

// The orders, as the key for them goes through them.
const (
	byWorst order = iota
	byLoss
	byMedian
	byP95
	byJitter
	byHost
	byGiven
	orders // how many there are
)

var orderNames = [orders]string{"worst first", "loss", "median", "p95", "jitter", "host", "as given"}

func (o order) String() string { return orderNames[o] }

// filter keeps the targets that have all words of a text in their host, their
// address or their tags.
type filter struct{ words []string }

func newFilter(text string) filter { return filter{strings.Fields(strings.ToLower(text))} }

func (f filter) keeps(t *target) bool {
	for _, w := range f.words {
		if !strings.Contains(t.lower, w) {
			return false
		}
	}
	return true
}

// list is the targets that are shown, in their order. It is worked out anew for
// each frame, which is cheap where little has changed.
type list struct {
	rows    []*target
	all     []*target // those that the filter keeps, as given: the order of the map
	by      order
	turn    int // which part of the targets has its ranks worked out next
	scratch []float32
	keys    []rowKey
}

type rowKey struct {
	t    *target
	down int
	key  float64
	next float64
}

// rankParts is over how many frames the ranks that cost something to work out
// are spread: figures of the order are up to a second old.
const rankParts = 4

// update brings the list up to date with targets.
func (l *list) update(targets []*target, f filter) {
	l.rank(targets)
	l.all = l.all[:0]
	for _, t := range targets {
		if len(f.words) == 0 || f.keeps(t) {
			l.all = append(l.all, t)
		}
	}
	l.rows = l.rows[:0]
	if l.by == byGiven {
		l.rows = append(l.rows, l.all...)
		return
	}
	l.keys = l.keys[:0]
	for _, t := range l.all {
		l.keys = append(l.keys, l.key(t))
	}
	slices.SortFunc(l.keys, l.compare)
	for _, k := range l.keys {
		l.rows = append(l.rows, k.t)
	}
}

// rank refreshes the cached figures of a part of the targets.
func (l *list) rank(targets []*target) {
	l.turn = (l.turn + 1) % rankParts
	for i, t := range targets {
		if i%rankParts == l.turn || t.rank == 0 {
			l.scratch = t.refresh(l.by, l.scratch)
		}
	}
}

// refresh works out what an order needs of a target.
func (t *target) refresh(by order, scratch []float32) []float32 {
	scratch = t.rtts(scratch[:0])
	n := len(scratch)
	switch {
	case n == 0:
		t.rank = 0
	case by == byMedian:
		t.rank = sample(selectAt(scratch, (n-1)/2))
	case by == byJitter:
		_, jitter := spread(scratch)
		t.rank = sample(jitter)
	default:
		t.rank = sample(selectAt(scratch, (n-1)*95/100)) // as good as interpolated, for an order
	}
	return scratch
}

// key works out what a target is sorted by: what is higher comes first.
func (l *list) key(t *target) rowKey {
	k := rowKey{t: t, next: float64(t.rank)}
	part, ok := t.loss()
	if !ok {
		part = -1
	}
	switch l.by {
	case byWorst:
		k.key = part
		if t.failure != "" {
			k.key = 1
		}
		if t.down() {
			k.down = 1
		}
	case byLoss:
		k.key = part
	}
	return k
}

func (l *list) compare(a, b rowKey) int {
	if l.by == byHost {
		return cmp.Or(compareHosts(a.t, b.t), a.t.index-b.t.index)
	}
	return cmp.Or(b.down-a.down, cmp.Compare(b.key, a.key), cmp.Compare(b.next, a.next), a.t.index-b.t.index)
}

// compareHosts puts addresses in their numeric order, before names.
func compareHosts(a, b *target) int {
	switch {
	case a.literal && b.literal:
		return a.addr.Compare(b.addr)
	case a.literal != b.literal:
		if a.literal {
			return -1
		}
		return 1
	}
	return strings.Compare(a.host, b.host)
}
