package icmpcore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// linuxConn is the conn of Linux: own calls of sendmmsg and recvmmsg, and one
// poll for all. x/net's batches cost twice the time.
type linuxConn struct {
	ways   [2]ways  // IPv4, IPv6; nil where there is none
	errs   [2]error // why
	source Timestamps
	events []event
	polled []unix.PollFd // an eventfd that wakes, then the sockets that receive
	order  []ways        // of polled[1:]
	gone   error         // why receiving has ended for good

	troubles int // failures to receive in a row

	mu     sync.Mutex // guards closed, so that wake never writes to a descriptor that is another's by now
	closed bool
}

// maxTroubles is how many failures to receive in a row mean that it will not
// work again.
const maxTroubles = 10000

// openConn opens the sockets: of the kind asked for, or raw and else datagram.
func openConn(kind SocketKind) (conn, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	c := &linuxConn{source: TimestampsKernel, polled: []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}}
	for i := range c.ways {
		w, err := openFamily(FamilyIPv4+Family(i), kind)
		if err != nil {
			c.errs[i] = err
			continue
		}
		c.ways[i] = w
		for _, s := range w {
			c.source = min(c.source, s.source)
		}
		c.order = append(c.order, w)
		c.polled = append(c.polled, unix.PollFd{Fd: int32(w[0].fd), Events: unix.POLLIN})
	}
	if len(c.order) > 0 {
		if c.source > TimestampsUser {
			awaitStamps()
		}
		return c, nil
	}
	err = errors.Join(c.errs[:]...)
	for _, e := range c.errs {
		if errors.Is(e, fs.ErrPermission) {
			err = newPermissionError(kind, e)
			break
		}
	}
	return nil, errors.Join(err, c.close())
}

// openFamily opens the sockets of a family: of the kind asked for, or raw where
// that is allowed and else datagram.
func openFamily(f Family, kind SocketKind) (ways, error) {
	if kind != SocketAuto {
		return openWays(f, kind)
	}
	w, err := openWays(f, SocketRaw)
	if !errors.Is(err, fs.ErrPermission) {
		return w, err
	}
	return openWays(f, SocketDatagram)
}

// openSock opens and sets up one socket with the identifier id, or one of its
// own where that is 0. It receives, or it only sends and reads its stamps into
// queue, which it shares with others.
func openSock(f Family, kind SocketKind, id uint16, queue *incoming) (*sock, error) {
	domain, protocol, typ := unix.AF_INET, unix.IPPROTO_ICMP, unix.SOCK_RAW
	if f == FamilyIPv6 {
		domain, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	if kind == SocketDatagram {
		typ = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := newSock(fd, f, kind, id, queue)
	if err := s.setUp(); err != nil {
		unix.Close(fd) // the set-up's error is the one that tells
		return nil, fmt.Errorf("set up %s %s socket: %w", kind, f, err)
	}
	return s, nil
}

// sock returns the socket that receives for a family, nil where there is none.
func (c *linuxConn) sock(f Family) *sock {
	if w := c.ways[f-FamilyIPv4]; w != nil {
		return w[0]
	}
	return nil
}

func (c *linuxConn) socket(f Family) (SocketKind, error) {
	if s := c.sock(f); s != nil {
		return s.kind, nil
	}
	return SocketAuto, c.errs[f-FamilyIPv4]
}

func (c *linuxConn) id(f Family) uint16 {
	if s := c.sock(f); s != nil {
		return s.id
	}
	return 0
}

func (c *linuxConn) stamps() Timestamps { return c.source }

func (c *linuxConn) send(f Family, slow bool, reqs []request) (int, error) {
	return c.ways[f-FamilyIPv4].send(slow, reqs)
}

// receive reads replies first and stamps behind them, so that the stamp of
// every request whose reply was read is there, and gives stamps first.
func (c *linuxConn) receive() (evs []event, more bool, err error) {
	c.events = c.events[:0]
	for _, w := range c.order {
		main, replies := w[0], 0
		if main.used {
			replies, err = main.in.read(main.fd, 0, pendingErrors)
			more = c.note(err) || more || replies == len(main.in.msgs)
		}
		for _, s := range w {
			if s.used {
				more = c.receiveQueue(s, replies) || more
			}
		}
		c.events = main.appendReplies(c.events, replies)
	}
	return c.events, more, c.gone
}

// receiveQueue reads the error queue of a socket where there may be something
// in it, and reports whether there may be more.
func (c *linuxConn) receiveQueue(s *sock, replies int) (more bool) {
	c.events = append(c.events, s.saved...)
	s.saved = s.saved[:0]
	if replies == 0 && s.pending == 0 && (s.kind == SocketRaw || !s.receives()) {
		return false
	}
	queued, err := s.queue.read(s.fd, unix.MSG_ERRQUEUE, 1)
	more = c.note(err) || queued == len(s.queue.msgs)
	c.events = s.appendQueued(c.events, queued)
	if s.pending -= queued; queued == 0 || s.pending < 0 {
		s.pending = 0
	}
	return more
}

// note keeps a receive error: the one that means that the socket is gone, or
// one of the moment, such as of an interface that went down, as an event. It
// reports whether there was one, so that something may be left to read.
func (c *linuxConn) note(err error) bool {
	switch {
	case err == nil:
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.ENOTSOCK):
		c.gone = err
	default:
		c.events = append(c.events, event{kind: eventTrouble})
		if c.troubles++; c.troubles > maxTroubles {
			c.gone = err
		}
		return true
	}
	c.troubles = 0
	return false
}

// longNap is from how long on a nap is the runtime's affair. While a goroutine
// sleeps in a system call the runtime looks every 20 µs whether it has come
// back, which costs more than the nap saves; for short ones its timers are too
// coarse. The goroutine is bound to no thread: the runtime would have to hand it
// over to its own after each nap, and at 5,000 echoes a second, 40 a nap, each
// would cost a third more.
const longNap = 500 * time.Microsecond

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
	if err != nil || n == 0 {
		return // EINTR; nothing else can be: the engine looks for itself what there is
	}
	if polled[0].Revents != 0 {
		var buf [8]byte
		unix.Read(int(polled[0].Fd), buf[:]) // EAGAIN: emptied already
		polled[0].Revents = 0
	}
	for i, w := range c.order {
		if nap {
			break
		}
		s := w[0]
		if p := &polled[1+i]; p.Revents != 0 {
			s.used = true
			if p.Revents&unix.POLLERR != 0 {
				s.pending++
			}
			p.Revents = 0
		}
	}
}

func (c *linuxConn) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		unix.Write(int(c.polled[0].Fd), one[:]) // fails only where it is full, and then it wakes
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
	for _, w := range c.order {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}
