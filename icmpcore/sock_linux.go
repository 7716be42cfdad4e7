package icmpcore

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sock is one ICMP socket of Linux.
type sock struct {
	fd     int
	family Family
	kind   SocketKind
	id     uint16
	source Timestamps

	optID   bool   // each transmit stamp's number goes along with its request (Linux 6.13)
	key     uint32 // number of the next request's transmit stamp
	stamped []stampKey
	blind   bool // stamps may be of packets numbered by an earlier count
	jam     jam
	pending int  // transmit stamps still to come
	used    bool // something was sent or has come in
	dfOff   int  // the system's setting for fragmentation, before any change
	df      bool // fragmentation is forbidden now
	drops   uint32
	saved   []event // read from the error queue ahead of time

	out   outgoing
	in    incoming
	queue *incoming // the error queue
}

// stampKey says whose transmit stamp a number is.
type stampKey struct {
	slot   int32
	number uint32
	gen    uint16
}

const (
	// stampKeys is how many transmit stamps may be under way: more than a
	// device's queue holds packets that are to leave within a timeout. A stamp
	// that comes after that many further packets is passed over.
	stampKeys = 1 << 14

	// receiveBatch is twice the send batch, so that one call takes in what
	// came back while one batch was sent.
	receiveBatch = 2 * maxBatch

	// receiveBuffer is asked of the kernel where that is allowed: half a
	// second's worth of 50,000 replies a second.
	receiveBuffer = 32 << 20

	firstBufferSize = 2048
	largestPacket   = 65536
)

func newSock(fd int, f Family, kind SocketKind, id uint16, queue *incoming) *sock {
	s := &sock{fd: fd, family: f, kind: kind, id: id, source: TimestampsUser, queue: queue}
	if queue == nil {
		own := newIncoming(receiveBatch, firstBufferSize)
		s.queue, s.in = &own, newIncoming(receiveBatch, firstBufferSize)
	}
	return s
}

// receives reports whether the socket is the one of its family that receives.
func (s *sock) receives() bool { return s.in.msgs != nil }

// begin makes what a socket needs to send. Most ways never do.
func (s *sock) begin() {
	s.used = true
	if s.stamped == nil {
		s.stamped, s.out = make([]stampKey, stampKeys), newOutgoing()
	}
}

// outgoing holds the messages of one sendmmsg.
type outgoing struct {
	msgs     []mmsghdr
	iovs     [][2]unix.Iovec
	heads    [][headSize]byte
	names4   []unix.RawSockaddrInet4
	names6   []unix.RawSockaddrInet6
	controls [][controlSize]byte
	profs    []*profile // for which iovs and controls are made
}

// controlSize holds all control messages of a request: TTL, traffic class,
// packet info, mark and the stamp's number, each with its header.
const controlSize = 160

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

func newOutgoing() outgoing {
	o := outgoing{
		msgs: make([]mmsghdr, maxBatch), iovs: make([][2]unix.Iovec, maxBatch),
		heads: make([][headSize]byte, maxBatch), names4: make([]unix.RawSockaddrInet4, maxBatch),
		names6: make([]unix.RawSockaddrInet6, maxBatch), controls: make([][controlSize]byte, maxBatch),
		profs: make([]*profile, maxBatch),
	}
	for i := range o.msgs {
		o.iovs[i][0].Base = &o.heads[i][0]
		o.iovs[i][0].SetLen(headSize)
		o.msgs[i].hdr.Iov = &o.iovs[i][0]
	}
	return o
}

// send hands requests to the kernel; see conn.send. One call serves requests
// that agree on fragmentation, which is the socket's setting.
func (s *sock) send(reqs []request) (int, error) {
	s.begin()
	n, split := 0, splitEither
	for ; n < len(reqs); n++ {
		if k := reqs[n].prof.split; split == splitEither {
			split = k
		} else if k != splitEither && k != split {
			break
		}
	}
	if err := s.setDontFragment(split != splitAllowed); err != nil {
		return 0, err
	}
	if s.blind {
		s.recount()
	}
	for i := range n {
		s.fill(i, &reqs[i])
	}
	sent, errno := s.sendmmsg(n)
	if errno != 0 {
		return 0, s.sendError(errno)
	}
	s.key += uint32(sent)
	if s.source == TimestampsKernel {
		s.pending += sent
	}
	return sent, nil
}

// sendmmsg sends the first n messages. On a datagram socket an ICMP error that
// came for one target is returned by the next send to another: that is tried
// again, and again while the error queue shows that more of them have come.
func (s *sock) sendmmsg(n int) (int, unix.Errno) {
	tries, rounds := 1, 1
	if s.kind == SocketDatagram {
		tries, rounds = pendingErrors, pendingErrors
	}
	for {
		// The call never blocks, so that the scheduler need not know of it:
		// RawSyscall saves a fifth of a microsecond a packet on a busy machine.
		sent, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.out.msgs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			return int(sent), 0
		case errno == unix.EINTR:
			continue
		case full(errno):
			return 0, errno
		}
		if tries--; tries > 0 {
			continue
		}
		if rounds--; rounds == 0 || !s.saveQueue() {
			return 0, errno
		}
		tries = pendingErrors
	}
}

// pendingErrors is how often a call on a datagram socket is tried again that
// fails with what may be the pending error of another packet: under a flood of
// errors the next one may be pending already.
const pendingErrors = 32

// full reports whether an errno means that the packet should be sent later.
func full(errno unix.Errno) bool {
	return errno == unix.EAGAIN || errno == unix.ENOBUFS || errno == unix.ENOMEM
}

// sendError turns the errno of a refused message into an error.
func (s *sock) sendError(errno unix.Errno) error {
	if s.source == TimestampsKernel && !s.optID {
		s.recount()
	}
	switch {
	case errno == unix.ENOBUFS && s.room():
		return errBusy
	case full(errno):
		return errFull
	}
	return os.NewSyscallError("sendmmsg", errno)
}

// recount sets the number of the next stamp back to zero. A kernel that numbers
// the stamps itself may or may not have counted a message that it refused. As
// long as it holds packets, stamps by the old count may come: they would be
// taken for those of other packets, and none is used.
func (s *sock) recount() {
	s.saveQueue()
	if info, ok := s.memInfo(); ok && info[skMeminfoWmemAlloc] > 0 {
		s.blind = true
		return
	}
	s.blind, s.pending, s.key = false, 0, 0
	if err := s.restartStamps(); err != nil {
		s.source = TimestampsKernelRX
	}
}

// room reports whether the send buffer has room, so that a lack of it was the
// device's or the neighbour table's.
func (s *sock) room() bool {
	info, ok := s.memInfo()
	return ok && info[skMeminfoWmemAlloc] < info[skMeminfoSndbuf]/2
}

// saveQueue reads the error queue for the next receive, and reports whether
// there were ICMP errors in it.
func (s *sock) saveQueue() (some bool) {
	for {
		n, err := s.queue.read(s.fd, unix.MSG_ERRQUEUE, 1)
		if err != nil || n == 0 {
			return some // an error of reading comes again when it is read next
		}
		first := len(s.saved)
		s.saved = s.appendQueued(s.saved, n)
		for i := range s.saved[first:] {
			ev := &s.saved[first+i]
			some = some || ev.kind != eventStamp
			q := &ev.err.request
			q.payload = append([]byte(nil), q.payload...) // the queue's buffer is used again
		}
	}
}

// fill makes message i from a request. What belongs to the profile stays from
// the message's last use where that had the same one.
func (s *sock) fill(i int, r *request) {
	o := &s.out
	h := &o.msgs[i].hdr
	if o.profs[i] != r.prof {
		s.fillProfile(i, r.prof)
	}
	putHead(&o.heads[i], s.family, s.id, r.seq, r.cookie, r.prof.sum)
	key := s.key + uint32(i)
	s.stamped[key%stampKeys] = stampKey{r.slot, r.number, r.gen}
	if s.optID {
		end := len(r.prof.control) + unix.CmsgLen(4)
		*(*uint32)(unsafe.Pointer(&o.controls[i][end-4])) = key
	}
	if s.family == FamilyIPv4 {
		n := &o.names4[i]
		n.Family, n.Addr = unix.AF_INET, r.addr.As4()
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(n)), unix.SizeofSockaddrInet4
		return
	}
	n := &o.names6[i]
	n.Family, n.Addr, n.Scope_id = unix.AF_INET6, r.addr.As16(), r.zone
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(n)), unix.SizeofSockaddrInet6
}

// fillProfile makes the part of message i that all of a profile share.
func (s *sock) fillProfile(i int, p *profile) {
	o := &s.out
	h := &o.msgs[i].hdr
	o.profs[i] = p
	h.SetIovlen(1)
	if len(p.payload) > 0 {
		o.iovs[i][1].Base = &p.payload[0]
		o.iovs[i][1].SetLen(len(p.payload))
		h.SetIovlen(2)
	}
	n := copy(o.controls[i][:], p.control)
	if s.optID {
		n += len(appendControl(o.controls[i][n:n], unix.SOL_SOCKET, unix.SCM_TS_OPT_ID, make([]byte, 4)))
	}
	h.Control = nil
	if n > 0 {
		h.Control = &o.controls[i][0]
	}
	h.SetControllen(n)
	if s.receives() {
		s.in.fit(len(p.payload))
		s.queue.fit(len(p.payload))
	}
}

// incoming holds the messages of one recvmmsg.
type incoming struct {
	msgs     []mmsghdr
	iovs     []unix.Iovec
	names    []unix.RawSockaddrInet6 // as large as an IPv4 one
	controls [][256]byte
	data     []byte
	size     int // of each message's part of data
	last     int // messages that the last call wrote to
}

func newIncoming(n, size int) incoming {
	b := incoming{
		msgs: make([]mmsghdr, n), iovs: make([]unix.Iovec, n), names: make([]unix.RawSockaddrInet6, n),
		controls: make([][256]byte, n),
	}
	b.resize(size)
	return b
}

// fit makes room for replies with a payload of that size behind the cookie.
func (b *incoming) fit(payload int) {
	const headers = 60 + headSize + 64 // the longest IPv4 header, and room to see that a reply is too long
	if payload+headers > b.size {
		b.resize(largestPacket)
	}
}

func (b *incoming) resize(size int) {
	b.size, b.data = size, make([]byte, size*len(b.msgs))
	for i := range b.msgs {
		b.iovs[i].Base = &b.data[i*size]
		b.iovs[i].SetLen(size)
		h := &b.msgs[i].hdr
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Name, h.Control = (*byte)(unsafe.Pointer(&b.names[i])), &b.controls[i][0]
	}
	b.last = len(b.msgs)
}

// read takes in what there is, up to a batch, without waiting, and tries again
// where the socket has a pending error instead. This is the one place where what the kernel wrote into the headers is set back.
func (b *incoming) read(fd int, flags uintptr, tries int) (int, error) {
	for i := range b.msgs[:b.last] {
		h := &b.msgs[i].hdr
		h.Namelen, h.Flags = unix.SizeofSockaddrInet6, 0
		h.SetControllen(len(b.controls[i]))
	}
	b.last = 0
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&b.msgs[0])), uintptr(len(b.msgs)), unix.MSG_DONTWAIT|flags, 0, 0)
		switch errno {
		case 0:
			b.last = int(n)
			return int(n), nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, nil
		}
		if tries--; tries <= 0 || errno == unix.EBADF || errno == unix.ENOTSOCK {
			return 0, os.NewSyscallError("recvmmsg", errno)
		}
	}
}

// message returns what came in message i.
func (b *incoming) message(i int) (data, control []byte, name *unix.RawSockaddrInet6) {
	m := &b.msgs[i]
	data = b.data[i*b.size:][:min(int(m.len), b.size)]
	return data, b.controls[i][:min(int(m.hdr.Controllen), len(b.controls[i]))], &b.names[i]
}
