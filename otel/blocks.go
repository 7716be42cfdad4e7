package otel

import "io"

// blocks collects what is to be written, and writes it in large pieces.
type blocks struct {
	w   io.Writer
	b   []byte // not written yet
	err error  // of w
}

// blockBytes is how much is written at once.
const blockBytes = 64 << 10

// flushFull writes what there is, if it is enough.
func (o *blocks) flushFull() {
	if len(o.b) > blockBytes {
		o.flush()
	}
}

// flush writes what there is, unless that has failed before.
func (o *blocks) flush() error {
	if o.err == nil && len(o.b) > 0 {
		_, o.err = o.w.Write(o.b)
	}
	o.b = o.b[:0]
	return o.err
}

// arena keeps many small pieces in few large ones.
type arena struct{ free []byte }

// keep returns a copy of b.
func (a *arena) keep(b []byte) []byte {
	if len(b) > len(a.free) {
		a.free = make([]byte, max(len(b), blockBytes))
	}
	kept := a.free[:len(b):len(b)]
	a.free = a.free[len(b):]
	copy(kept, b)
	return kept
}
