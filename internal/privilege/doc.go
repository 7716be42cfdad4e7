// Package privilege gives up, for good, what a process needs no more once its
// sockets are open: every capability of every thread, and the ways to get one
// back.
//
// Call [Drop] between the opening of the sockets and the first byte that
// comes from elsewhere:
//
//	icmpcore.Open(icmpcore.Config{Opened: func() error { return privilege.Drop(privilege.Nothing) }})
//
// What an open socket may do does not depend on capabilities, with one
// exception that concerns pingtel: Linux asks for CAP_NET_RAW (CAP_NET_ADMIN
// before 5.18) each time that a packet with a firewall mark is sent. A process
// that will do so keeps that one capability by [Marks], in use but not to be
// handed on: whatever it executes has none.
package privilege

import "errors"

// ErrCgo is what [Drop] returns in a binary built with cgo that holds
// capabilities: the Go runtime cannot reach all threads there. Nothing was
// given up then.
var ErrCgo = errors.New("capabilities cannot be given up in a binary built with cgo: build with CGO_ENABLED=0")

// Keep says what is not given up.
type Keep uint8

const (
	// Nothing keeps nothing.
	Nothing Keep = iota
	// Marks keeps what is needed to send packets with a firewall mark, where
	// the process has it.
	Marks
)
