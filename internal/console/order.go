package console

import "github.com/pingtel/pingtel/icmpcore"

// order gives results out in the order of their hosts, as long as there are few:
// beyond a number of hosts it gives each as it comes. The zero value takes none.
type order struct {
	most int                          // how many hosts are kept in order
	next int                          // the host whose result is given next
	held map[int]*icmpcore.PingResult // those that wait for it; nil: the host has no result to show
	open bool                         // there are more hosts: no order is kept
}

// add takes the result of host i, nil where there is none to show, and calls give
// for each result whose turn has come.
func (o *order) add(i int, r *icmpcore.PingResult, give func(*icmpcore.PingResult)) {
	if o.open || i >= o.most {
		if r != nil {
			give(r)
		}
		return
	}
	if o.held == nil {
		o.held = make(map[int]*icmpcore.PingResult)
	}
	o.held[i] = r
	for {
		r, ok := o.held[o.next]
		if !ok {
			return
		}
		delete(o.held, o.next)
		o.next++
		if r != nil {
			give(r)
		}
	}
}

// release gives out all results that wait, and keeps no order from then on.
func (o *order) release(give func(*icmpcore.PingResult)) {
	if o.open {
		return
	}
	o.open = true
	for i := o.next; len(o.held) > 0; i++ {
		if r := o.held[i]; r != nil {
			give(r)
		}
		delete(o.held, i)
	}
}
