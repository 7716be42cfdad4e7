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

// conn is the network as the engine sees it: the one seam of this package.
// One goroutine uses it, but for
// socket, prepare, stamps and wake. Linux has its own, other systems the
// portable one, tests a fake.
type conn interface {
	// socket returns the kind of socket that serves the family, or why there
	// is none.
	socket(f Family) (SocketKind, error)

	// id returns the ICMP identifier of the family's requests.
	id(f Family) uint16

	// prepare works out what of a profile the conn needs to know for a
	// family. An option that the conn does not have is an [*OptionError].
	prepare(p *profile, f Family) error

	// send hands requests of one family to the system, in order, and returns
	// how many it took. A nil error with fewer than all means: call again
	// with the rest. errFull means that the system has no room for reqs[n]
	// now, errBusy that the way to this one target has none; any other error,
	// that it refuses this one. Where slow is set, the requests are to targets
	// whose earlier packets have not left: they may not take the room that
	// other targets need.
	send(f Family, slow bool, reqs []request) (n int, err error)

	// receive returns what has come in, without waiting, valid until the next
	// call. Transmit stamps come before the replies to what they stamp. more
	// is true where there may be more to fetch. An error means that the
	// sockets are gone.
	receive() (evs []event, more bool, err error)

	// wait returns when something has come in, wake is called, or d has
	// passed; a negative d is no limit. With nap it may sleep the time through
	// though something has come in.
	wait(d time.Duration, nap bool)

	// wake ends a wait, or the next one. Any goroutine may call it.
	wake()

	// stamps returns the best source of times the conn has. Where that is
	// TimestampsUser the stamps of its events are its own readings.
	stamps() Timestamps

	close() error
}

// maxTroubles is how many failures of a socket to receive in a row mean that it
// will not work again.
const maxTroubles = 10000

var (
	// errFull means that the system has no room for a packet now.
	errFull = errors.New("send queue full")

	// errBusy means the same of a packet's own device or neighbour table: a
	// packet to another target may still go out.
	errBusy = errors.New("the queue of its device, or the neighbour table, is full")
)

// openEither opens a raw socket, or a datagram socket where the system allows no
// raw one. What the system refuses of a raw socket that it has given, it refuses
// of the other too.
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

// socketRefused reports whether the system allowed no socket. The first refusal
// counts where there are two. An option that was refused for a socket is
// something else: no right to have one cures that.
func socketRefused(err error) bool {
	var call *os.SyscallError
	return errors.As(err, &call) && call.Syscall == "socket" && isPermission(call.Err)
}

// errWSAAccess is how Windows refuses a raw socket. It is no number of another
// system's, and package syscall does not take it for [fs.ErrPermission].
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
	until  int64 // monotonic ns at which it is given up if the system has not taken it
	prof   *profile
}

// eventKind is what has come in.
type eventKind uint8

const (
	eventReply   eventKind = iota // an ICMP message with the type of an echo reply
	eventError                    // an ICMP error about an echo request
	eventStamp                    // a transmit stamp
	eventDrops                    // the kernel has dropped packets
	eventTrouble                  // receiving failed, and may work again
	eventForeign                  // a packet that is certainly not ours
	eventGone                     // the family's socket receives nothing any more; the other's does
)

// event is one thing that has come in.
type event struct {
	kind   eventKind
	family Family
	from   netip.Addr // who sent the packet; invalid where the system does not say
	zone   uint32     // scope of a link-local from
	stamp  int64      // wall ns: the kernel's receive stamp (0: none), or the transmit stamp
	slot   int32      // eventStamp: whose stamp it is
	gen    uint16     // eventStamp: of which series in that slot
	number uint32     // eventStamp: the lower half of the echo's number; eventDrops: how many

	message    []byte    // eventReply: the ICMP message
	unverified bool      // eventReply: the kernel has not looked at the checksum
	ttl        uint8     // eventReply; 0 where the system does not say
	tos        uint8     // eventReply
	noTOS      bool      // eventReply: the system does not say tos
	err        icmpError // eventError
	fault      error     // eventGone: why
}
