package icmpcore

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// conn is the network for the engine, and the one seam of this package. Linux
// has its own conn, other systems have the portable one, and tests have a fake.
// Only one goroutine may use a conn, except for socket, prepare, stamps and
// wake, which any may call.
type conn interface {
	// socket returns the kind of the family's socket, or why there is none.
	socket(f Family) (SocketKind, error)

	// id returns the ICMP identifier of the family's requests.
	id(f Family) uint16

	// prepare sets the fields of a profile that the conn needs, for a family. An
	// option that the conn does not support is an [*OptionError].
	prepare(p *profile, f Family) error

	// send hands requests of one family to the system, in order, and returns how
	// many the system accepted. If that is fewer than all and the error is nil,
	// the caller has to call again with the rest. errFull means that the system
	// has no room for reqs[n] now, errBusy that only the path to this target has
	// no room. Any other error means that the system refuses reqs[n]. slow means
	// that earlier packets to these targets have not left the machine: they must
	// not take the room that other targets need.
	send(f Family, slow bool, reqs []request) (n int, err error)

	// receive returns what has come in, without waiting. The events are valid
	// until the next call. The transmit timestamp of a request comes before the
	// reply to it. more is true if there may be more to read. An error means that
	// the sockets are lost.
	receive() (evs []event, more bool, err error)

	// wait returns when something has come in, wake is called, or d has passed. A
	// negative d means no limit. With nap it may sleep for the whole time even if
	// something comes in.
	wait(d time.Duration, nap bool)

	// wake ends the present wait, or the next one. Any goroutine may call it.
	wake()

	// stamps returns the best source of times that the conn has. If that is
	// TimestampsUser, this process took the times in its events.
	stamps() Timestamps

	close() error
}

// maxTroubles is after how many failures to receive in a row a socket counts as
// lost.
const maxTroubles = 10000

var (
	// errFull means that the system has no room for a packet now.
	errFull = errors.New("send queue full")

	// errBusy means that the packet's device or the neighbour table has no
	// room: a packet to another target can still be sent.
	errBusy = errors.New("the queue of its device, or the neighbour table, is full")
)

// openEither opens a raw socket, or a datagram socket if the system allows no
// raw one. If the system gives a raw socket but refuses an option of it, it
// refuses that option of the other too.
func openEither[S any](open func(SocketKind) (*S, error)) (*S, error) {
	s, raw := open(SocketRaw)
	if !socketRefused(raw) {
		return s, raw
	}
	s, err := open(SocketDatagram)
	if err != nil {
		return nil, fmt.Errorf("raw: %w; datagram: %w", raw, err)
	}
	return s, nil
}

// socketRefused reports whether the system refused to open a socket. If there
// are two refusals the first one counts. A refused option of a socket is a
// different fault: no permission to open sockets would help.
func socketRefused(err error) bool {
	var call *os.SyscallError
	return errors.As(err, &call) && call.Syscall == "socket" && isPermission(call.Err)
}

// errWSAAccess is the error by which Windows refuses a raw socket. No other
// system uses this number, and package syscall does not map it to
// [fs.ErrPermission].
const errWSAAccess = syscall.Errno(10013)

func isPermission(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errWSAAccess)
}

// request is one echo request to send.
type request struct {
	addr   netip.Addr
	zone   uint32
	slot   int32
	number uint64 // of the echo in its series
	seq    uint16
	gen    uint16 // of the series
	cookie uint64
	until  int64 // monotonic ns at which to give up if the system has not accepted it
	prof   *profile
}

// eventKind says what has come in.
type eventKind uint8

const (
	eventReply   eventKind = iota // an ICMP message with the type of an echo reply
	eventError                    // an ICMP error about an echo request
	eventStamp                    // a transmit timestamp
	eventDrops                    // the kernel has dropped packets
	eventTrouble                  // receiving failed but may work again
	eventForeign                  // a packet that is certainly not ours
	eventLost                     // the socket of this family receives nothing any more
)

// event is one thing that has come in.
type event struct {
	kind   eventKind
	family Family
	from   netip.Addr // who sent the packet; invalid if the system does not report it
	zone   uint32     // scope of a link-local from
	stamp  int64      // wall ns: the kernel's receive timestamp (0: none), or the transmit timestamp
	slot   int32      // eventStamp: the slot of the series
	gen    uint16     // eventStamp: which series of that slot
	number uint32     // eventStamp: the lower half of the echo's number; eventDrops: how many

	message    []byte    // eventReply: the ICMP message
	unverified bool      // eventReply: the kernel has not verified the checksum
	ttl        uint8     // eventReply; 0 if the system does not report it
	tos        uint8     // eventReply
	noTOS      bool      // eventReply: the system does not report tos
	err        icmpError // eventError
	fault      error     // eventLost: why
}
