// Package privilege gives up, for good, the privileges that a process no longer
// needs once its sockets are open: every capability of every thread, and the
// ways to get one back.
//
// Call [Drop] after opening the sockets and before reading the first byte from
// the network:
//
//	icmpcore.Open(icmpcore.Config{Opened: func() error { return privilege.Drop(privilege.Nothing) }})
//
// An open socket needs no capabilities, with one exception that concerns
// pingtel: Linux checks CAP_NET_RAW (CAP_NET_ADMIN before 5.18) for each packet
// that has a firewall mark. A process that sends such packets keeps this one
// capability with [Marks]. Programs that it executes do not get it.
package privilege

import "errors"

// ErrCgo is the error of [Drop] in a binary built with cgo that has
// capabilities. The Go runtime cannot reach all threads there, so Drop has given
// up nothing.
var ErrCgo = errors.New("capabilities cannot be given up in a binary built with cgo: build with CGO_ENABLED=0")

// Keep says what Drop keeps.
type Keep uint8

const (
	// Nothing keeps nothing.
	Nothing Keep = iota
	// Marks keeps the capability to send packets with a firewall mark, if the
	// process has it.
	Marks
)
