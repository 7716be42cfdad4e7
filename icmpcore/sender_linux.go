package icmpcore

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender is a socket that sends for a family. All of it but the descriptor is
// made when it is used first: most senders never are.
type sender struct {
	sock
	receiver *receiver
	out      outgoing
	queue    *incoming // the error queue, where the stamps come; all senders read into this one

	optID   bool // each transmit stamp's number goes along with its request (Linux 6.13)
	trust   trust
	blind   bool   // stamps may be of packets numbered by an earlier count
	df      bool   // fragmentation is forbidden now
	key     uint32 // number of the next request's transmit stamp
	stamped []stampKey
	pending int     // transmit stamps still to come
	saved   []event // stamps read ahead of time
	jam     jam
}

// stampKey says whose transmit stamp a number is.
type stampKey struct {
	slot   int32
	number uint32 // the lower half of the echo's number
	gen    uint16
}

// stampKeys is how many transmit stamps may be under way: more than a device's
// queue holds packets that are to leave within a timeout. A stamp that comes
// after that many further packets is passed over.
const stampKeys = 1 << 14

// begin makes what a sender needs. With the errors of its packets on, the system
// says so where a device's queue or the neighbour table has no room for one,
// instead of dropping it.
func (s *sender) begin() error {
	if s.stamped != nil {
		return nil
	}
	level, opt := unix.IPPROTO_IP, unix.IP_RECVERR
	if s.family == FamilyIPv6 {
		level, opt = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	s.stamped, s.out = make([]stampKey, stampKeys), newOutgoing()
	return s.set("IP_RECVERR", level, opt, 1)
}

// used reports whether anything was ever sent.
func (s *sender) used() bool { return s.stamped != nil }

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
func (s *sender) send(reqs []request) (int, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
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
	if s.doubt(errno) {
		return 0, nil // to be tried again
	}
	if errno != 0 {
		return 0, s.sendError(errno)
	}
	s.key += uint32(sent)
	if s.source == TimestampsKernel {
		s.pending += sent
	}
	return sent, nil
}

// trust is what is known of whether the system takes the numbers of stamps that
// go along with requests. One that does not calls every request invalid.
type trust uint8

const (
	untried trust = iota
	doubted       // it called a request invalid: the next try goes without numbers
	proven        // it has taken requests with numbers, or without where it refused them with
)

// doubt looks at what a send came to, and reports whether to try it again in the
// other way: without the stamps' numbers, or with them if it was not for these.
func (s *sender) doubt(errno unix.Errno) bool {
	switch {
	case s.trust == proven, s.trust == untried && !s.optID:
		return false
	case errno == 0:
		s.trust = proven
	case s.trust == untried && errno == unix.EINVAL:
		s.trust, s.optID = doubted, false
		clear(s.out.profs)
		s.recount()
		return true
	case s.trust == doubted:
		s.trust, s.optID = untried, true
		clear(s.out.profs)
		s.recount()
	}
	return false
}

// sendmmsg sends the first n messages. The call never blocks, so that the
// scheduler need not know of it: RawSyscall saves a fifth of a microsecond a
// packet on a busy machine.
func (s *sender) sendmmsg(n int) (int, unix.Errno) {
	for {
		sent, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.out.msgs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(sent), errno
		}
	}
}

// full reports whether an errno means that the packet should be sent later.
func full(errno unix.Errno) bool {
	return errno == unix.EAGAIN || errno == unix.ENOBUFS || errno == unix.ENOMEM
}

// sendError turns the errno of a refused message into an error.
func (s *sender) sendError(errno unix.Errno) error {
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
func (s *sender) recount() {
	s.saveStamps()
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
func (s *sender) room() bool {
	info, ok := s.memInfo()
	return ok && info[skMeminfoWmemAlloc] < info[skMeminfoSndbuf]/2
}

// saveStamps reads the stamps that are there, for the next receive.
func (s *sender) saveStamps() {
	for {
		n, err := s.queue.read(s.fd, unix.MSG_ERRQUEUE, 1)
		if err != nil || n == 0 {
			return // an error of reading comes again when it is read next
		}
		s.saved = s.appendStamps(s.saved, n)
	}
}

// fill makes message i from a request. What belongs to the profile stays from
// the message's last use where that had the same one.
func (s *sender) fill(i int, r *request) {
	o := &s.out
	h := &o.msgs[i].hdr
	if o.profs[i] != r.prof {
		s.fillProfile(i, r.prof)
	}
	putHead(&o.heads[i], s.family, s.id, r.seq, r.cookie, r.prof.sum)
	key := s.key + uint32(i)
	s.stamped[key%stampKeys] = stampKey{r.slot, uint32(r.number), r.gen}
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
func (s *sender) fillProfile(i int, p *profile) {
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
	s.receiver.fit(len(p.payload))
}
