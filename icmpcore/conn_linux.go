package icmpcore

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// linuxConn is the conn of Linux. It calls sendmmsg and recvmmsg itself, and
// one poll for all sockets. The batches of x/net take twice the time.
type linuxConn struct {
	socks  [2]*sockets // IPv4, IPv6; nil if there are none
	errs   [2]error    // why there are none
	source Timestamps
	events []event
	polled []unix.PollFd // an eventfd for wake, then the sockets that receive
	order  []*sockets    // the owners of polled[1:]
	ended  error         // why nothing can be received any more
	own    ownAddrs      // for explain
	labels func() bool   // whether requests may carry a flow label; it asks the system once

	mu     sync.Mutex // guards closed, so that wake never writes to a descriptor that was closed and reused
	closed bool
}

// sockets are those of one family.
type sockets struct {
	in   *receiver
	out  ways
	lost atomic.Pointer[lost] // set when nothing can be received any more
}

// lost says why nothing can be received any more.
type lost struct{ err error }

// openConn opens the sockets: of the requested kind, or raw and otherwise
// datagram.
func openConn(kind SocketKind) (conn, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	c := &linuxConn{source: TimestampsKernel, labels: sync.OnceValue(labelsAllowed), polled: []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}}
	for i := range c.socks {
		s, err := openFamily(FamilyIPv4+Family(i), kind)
		if err != nil {
			c.errs[i] = err
			continue
		}
		c.socks[i] = s
		c.source = min(c.source, s.in.source, s.out[0].source)
		c.order = append(c.order, s)
		c.polled = append(c.polled, unix.PollFd{Fd: int32(s.in.fd), Events: unix.POLLIN})
	}
	if len(c.order) > 0 {
		if c.source > TimestampsUser {
			awaitStamps()
		}
		return c, nil
	}
	err = errors.Join(c.errs[:]...)
	for _, e := range c.errs {
		if socketRefused(e) {
			err = newPermissionError(kind, e)
			break
		}
	}
	return nil, errors.Join(err, c.close())
}

// openFamily opens the sockets of a family: of the requested kind, or raw if
// that is allowed, otherwise datagram.
func openFamily(f Family, kind SocketKind) (*sockets, error) {
	if kind == SocketAuto {
		return openEither(func(kind SocketKind) (*sockets, error) { return openFamily(f, kind) })
	}
	out, err := openWays(f, kind)
	if err != nil {
		return nil, err
	}
	// If several datagram sockets have the same identifier, the kernel delivers
	// what comes in to the one that was bound last.
	in := &receiver{
		sock: sock{family: f, kind: kind, id: out[0].id, source: TimestampsUser},
		in:   newIncoming(receiveBatch, firstBufferSize), queue: newIncoming(receiveBatch, firstBufferSize),
	}
	if err := in.open(in.setUp); err != nil {
		return nil, errors.Join(err, out.close())
	}
	s := &sockets{in: in, out: out}
	for _, w := range out {
		w.receiver = in
	}
	if kind == SocketDatagram {
		if err := s.keepIdentifier(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// keepIdentifier prevents another process from binding the identifier of the
// datagram sockets and so taking their replies.
func (s *sockets) keepIdentifier() error {
	errs := []error{s.in.set("SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)}
	for _, w := range s.out {
		errs = append(errs, w.set("SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 0))
	}
	return errors.Join(errs...)
}

func (s *sockets) close() error {
	return errors.Join(os.NewSyscallError("close", unix.Close(s.in.fd)), s.out.close())
}

// of returns the sockets of a family, nil if there are none.
func (c *linuxConn) of(f Family) *sockets { return c.socks[f-FamilyIPv4] }

func (c *linuxConn) socket(f Family) (SocketKind, error) {
	if s := c.of(f); s != nil {
		if why := s.lost.Load(); why != nil {
			return SocketAuto, why.err
		}
		return s.in.kind, nil
	}
	return SocketAuto, c.errs[f-FamilyIPv4]
}

func (c *linuxConn) id(f Family) uint16 {
	if s := c.of(f); s != nil {
		return s.in.id
	}
	return 0
}

func (c *linuxConn) stamps() Timestamps { return c.source }

func (c *linuxConn) send(f Family, slow bool, reqs []request) (int, error) {
	n, err := c.of(f).out.send(slow, reqs)
	if err != nil {
		err = c.explain(err, &reqs[n])
	}
	return n, err
}

// receive reads replies and errors first and transmit timestamps after them, so
// the timestamp of every request that they are about is there. It returns the
// timestamps first.
func (c *linuxConn) receive() (evs []event, more bool, err error) {
	c.events = c.events[:0]
	for i, s := range c.order {
		if !s.out.used() || s.lost.Load() != nil {
			continue
		}
		replies, err := s.in.in.read(s.in.fd, 0, pendingErrors)
		more = c.note(i, &s.in.sock, err) || more || replies == len(s.in.in.msgs)
		errs, again := c.readErrors(i, s.in)
		more = more || again
		for _, w := range s.out {
			if w.used() {
				more = c.receiveStamps(i, w, replies+errs > 0) || more
			}
		}
		c.events = s.in.appendErrors(c.events, errs)
		c.events = s.in.appendReplies(c.events, replies)
	}
	return c.events, more, c.ended
}

// receiveStamps reads the timestamps of a sender of family i if there may be
// any, and reports whether there may be more.
func (c *linuxConn) receiveStamps(i int, s *sender, replies bool) (more bool) {
	c.events = append(c.events, s.saved...)
	s.saved = s.saved[:0]
	if !replies && s.pending == 0 {
		return false
	}
	n, err := s.queue.read(s.fd, unix.MSG_ERRQUEUE, 1)
	more = c.note(i, &s.sock, err) || n == len(s.queue.msgs)
	c.events = s.appendStamps(c.events, n)
	// Reading nothing counts as one, because timestamps can be lost.
	s.pending = max(s.pending-max(n, 1), 0)
	return more
}

// readErrors reads the ICMP errors that a datagram socket of family i has in its
// error queue. It returns how many there were, and whether there may be more.
func (c *linuxConn) readErrors(i int, s *receiver) (n int, more bool) {
	if s.kind == SocketRaw {
		return 0, false
	}
	n, err := s.queue.read(s.fd, unix.MSG_ERRQUEUE, 1)
	if err != nil { // otherwise keep the count of failures to read replies
		more = c.note(i, &s.sock, err)
	}
	return n, more || n == len(s.queue.msgs)
}

// note handles an error of a socket of family i to receive. A passing one, such
// as that of an interface that went down, becomes an event. One that means that
// the socket is lost, or too many in a row, ends the family. It reports whether
// it was a passing one, after which there may be more to read.
func (c *linuxConn) note(i int, s *sock, err error) bool {
	switch {
	case err == nil:
		s.troubles = 0
		return false
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.ENOTSOCK):
	default:
		c.events = append(c.events, event{kind: eventTrouble})
		if s.troubles++; s.troubles <= maxTroubles {
			return true
		}
	}
	if !c.order[i].lost.CompareAndSwap(nil, &lost{err}) {
		return false // another of its sockets was first
	}
	c.events = append(c.events, event{kind: eventLost, family: s.family, fault: err})
	c.polled[1+i].Fd = ^c.polled[1+i].Fd // poll ignores a negative descriptor
	if !slices.ContainsFunc(c.order, func(s *sockets) bool { return s.lost.Load() == nil }) {
		c.ended = err
	}
	return false
}

// longNap is from how long on a nap uses the timers of the Go runtime. While a
// goroutine sleeps in a system call the runtime checks every 20 µs whether it
// has returned, which costs more than the nap saves. For short naps the
// runtime's timers are too coarse. The goroutine is not locked to a thread: the
// runtime would have to switch to that thread after each nap, and at 5,000
// echoes a second, 40 a nap, an echo would cost a third more.
const longNap = 500 * time.Microsecond

// blindNap is how long the engine sleeps, at most, if the system refuses to
// report when something has come in.
const blindNap = time.Millisecond

func (c *linuxConn) wait(d time.Duration, nap bool) {
	if nap && d >= longNap {
		time.Sleep(d)
		return
	}
	var timeout *unix.Timespec
	if d >= 0 {
		ts := unix.NsecToTimespec(int64(d))
		timeout = &ts
	}
	polled := c.polled
	if nap {
		polled = polled[:1]
	}
	n, err := unix.Ppoll(polled, timeout, nil)
	if err != nil && !errors.Is(err, unix.EINTR) { // refused: the engine reads anyway, and must not spin
		if d < 0 || d > blindNap {
			d = blindNap
		}
		time.Sleep(d)
		return
	}
	if err != nil || n == 0 {
		return
	}
	if polled[0].Revents != 0 {
		var buf [8]byte
		_, _ = unix.Read(int(polled[0].Fd), buf[:]) // EAGAIN: it is empty already
	}
	for i := range polled {
		polled[i].Revents = 0
	}
}

func (c *linuxConn) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_, _ = unix.Write(int(c.polled[0].Fd), one[:]) // fails only if it is full, and then it wakes anyway
	}
}

func (c *linuxConn) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	errs := []error{os.NewSyscallError("close", unix.Close(int(c.polled[0].Fd)))}
	for _, s := range c.order {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
