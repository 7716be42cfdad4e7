package sweep

import (
	"net"
	"sync"

	"github.com/pingtel/pingtel/icmpcore"
)

// Lend returns p for one sweep, which does not close it: Close ends the series of the
// sweep, waits for their results and leaves p open. A process that has given up its
// privileges cannot open another one.
func Lend(p Pinger) Pinger { return &lent{Pinger: p} }

// lent is a Pinger that outlives the sweep over it.
type lent struct {
	Pinger
	running sync.WaitGroup // series without a result

	mu     sync.Mutex // guards the fields below
	runs   []icmpcore.Run
	closed bool
}

// Go starts a series, unless Close was called.
func (l *lent) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return icmpcore.Run{}, net.ErrClosed
	}
	l.running.Add(1)
	l.mu.Unlock()
	run, err := l.Pinger.Go(t, o, func(r icmpcore.PingResult) {
		defer l.running.Done()
		done(r)
	})
	if err != nil {
		l.running.Done()
		return run, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		run.Cancel()
	} else {
		l.runs = append(l.runs, run)
	}
	return run, nil
}

// Close cancels what runs, and returns when all results have been handed over.
func (l *lent) Close() error {
	l.mu.Lock()
	l.closed = true
	for _, run := range l.runs {
		run.Cancel()
	}
	l.runs = nil
	l.mu.Unlock()
	l.running.Wait()
	return nil
}
