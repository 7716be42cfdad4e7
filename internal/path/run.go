package path

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// maxAtOnce is how many hosts [Run] traces at once, look-ups of names included.
const maxAtOnce = 2048

// Pinger is the part of an [icmpcore.Pinger] that [Run] needs.
type Pinger interface {
	Prober
	Resolve(ctx context.Context, host string, f icmpcore.Family) (icmpcore.Target, error)
}

// Run traces every host that each yields, many at once, and calls emit with each trace in
// the order of the hosts, one call at a time. If mtu is not nil, it returns the MTU of the
// interface to an address, and Run looks for that of the path. When ctx is done, Run does
// not begin further hosts, and ends when the Pinger has ended what runs. The error is that
// of each.
func Run(ctx context.Context, p Pinger, each func(func([]byte) error) error, o Options, names *Names,
	mtu func(netip.Addr) (int, error), emit func(*Trace)) error {
	results := make(chan chan *Trace, maxAtOnce)
	emitted := make(chan struct{})
	go func() { // ends when results is closed and every trace has ended
		defer close(emitted)
		for r := range results {
			if t := <-r; t != nil {
				emit(t)
			}
		}
	}()
	if names != nil {
		o.Seen = names.Want
	}
	var running sync.WaitGroup
	err := each(func(host []byte) error {
		r, text := make(chan *Trace, 1), string(host)
		select {
		case results <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
		running.Go(func() { r <- one(ctx, p, text, o, names, mtu) })
		return nil
	})
	running.Wait()
	close(results)
	<-emitted
	if ctx.Err() != nil {
		return nil // an interrupt is no fault of the hosts
	}
	return err
}

// one traces one host. It returns nil if ctx was done before anything was sent.
func one(ctx context.Context, p Pinger, host string, o Options, names *Names, mtu func(netip.Addr) (int, error)) *Trace {
	start := time.Now()
	failed := func(addr netip.Addr, err error) *Trace {
		if ctx.Err() != nil {
			return nil
		}
		return &Trace{Host: host, Addr: addr, Start: start, Err: err}
	}
	target, err := p.Resolve(ctx, host, o.Echoes.Family)
	if err != nil {
		return failed(netip.Addr{}, err)
	}
	if names != nil {
		names.Want(target.Addr)
	}
	if mtu != nil {
		if o.MTU, err = mtu(target.Addr); err != nil {
			return failed(target.Addr, err)
		}
	}
	done := make(chan *Trace, 1)
	Go(p, target, o, func(t *Trace) { done <- t })
	t := <-done
	if t.Sent == 0 && ctx.Err() != nil {
		return nil
	}
	return t
}
