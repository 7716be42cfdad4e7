package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pingtel/pingtel/internal/sweep"
)

// progressEvery is how often the progress line is written anew.
const progressEvery = 200 * time.Millisecond

// eraseLine goes to the beginning of the line and clears it (ECMA-48).
const eraseLine = "\r\x1b[K"

// progress is one line on a terminal that tells how far a sweep has come.
type progress struct {
	w    io.Writer
	stop chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex // guards shown, and is held while w is written
	shown bool
}

// startProgress shows the progress of s on w until close is called.
func startProgress(w io.Writer, s *sweep.Sweep) *progress {
	p := &progress{w: w, stop: make(chan struct{})}
	p.wg.Go(func() { // ended by close, which waits for it
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.show(fmt.Sprintf("%d of %d hosts finished", s.Finished(), s.Started()))
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// show writes the line. It and erase drop the errors of writing, since nothing
// depends on the line.
func (p *progress) show(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = true
	fmt.Fprint(p.w, eraseLine+text)
}

// makeRoom erases the line and keeps it away while write writes to the same
// terminal.
func (p *progress) makeRoom(write func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	return write()
}

// erase erases the line. p.mu is held.
func (p *progress) erase() {
	if p.shown {
		fmt.Fprint(p.w, eraseLine)
		p.shown = false
	}
}

func (p *progress) close() {
	close(p.stop)
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}
