package icmpcore

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender is a socket that sends for a family. Everything except the descriptor
// is made at its first use, because most senders are never used.
type sender struct {
	sock
	receiver *receiver
	out      outgoing
	queue    *incoming // the error queue, which delivers the transmit timestamps; all senders share this buffer

	optID   bool // each request carries the number of its transmit timestamp (Linux 6.13)
	trust   trust
	blind   bool   // timestamps may belong to packets of an earlier numbering
	df      bool   // fragmentation is forbidden now
	key     uint32 // number of the next request's transmit timestamp
	stamped []stampKey
	pending int     // transmit timestamps still to come
	saved   []event // timestamps that were read early
	jam     jam
}

// stampKey says which echo the transmit timestamp with a number belongs to.
type stampKey struct {
	slot   int32
	number uint32 // the lower half of the echo's number
	gen    uint16
}

// stampKeys is how many transmit timestamps may be outstanding: more than the
// packets that a device's queue holds and can send within a timeout. A
// timestamp that comes after so many more packets is ignored.
const stampKeys = 1 << 14

// begin makes what a sender needs. It enables the errors of packets: then the
// system reports a packet for which the device's queue or the neighbour table
// has no room, instead of dropping it.
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
	heads    [][longHead]byte
	names4   []unix.RawSockaddrInet4
	names6   []unix.RawSockaddrInet6
	controls [][controlSize]byte
	profs    []*profile // the profiles that iovs and controls were made for
}

// controlSize is enough for all control messages of a request: TTL, traffic
// class, packet info, flow label, mark and the number of the timestamp, each with
// its header.
const controlSize = 160

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

func newOutgoing() outgoing {
	o := outgoing{
		msgs: make([]mmsghdr, maxBatch), iovs: make([][2]unix.Iovec, maxBatch),
		heads: make([][longHead]byte, maxBatch), names4: make([]unix.RawSockaddrInet4, maxBatch),
		names6: make([]unix.RawSockaddrInet6, maxBatch), controls: make([][controlSize]byte, maxBatch),
		profs: make([]*profile, maxBatch),
	}
	for i := range o.msgs {
		o.iovs[i][0].Base = &o.heads[i][0]
		o.msgs[i].hdr.Iov = &o.iovs[i][0]
	}
	return o
}

// send hands requests to the kernel; see conn.send. Fragmentation is a setting
// of the socket, so one call sends only requests that agree on it.
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
		return 0, nil // the caller tries again
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

// trust says what is known about whether the system accepts requests that carry
// the numbers of their timestamps. A system that does not rejects every request
// as invalid.
type trust uint8

const (
	untried trust = iota
	doubted       // it rejected a request as invalid: the next attempt has no numbers
	proven        // it has accepted requests with numbers, or without them after it had rejected them with numbers
)

// doubt looks at the outcome of a send, and reports whether to try again in the
// other way: without the numbers of the timestamps, or with them if they were
// not the reason.
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

// sendmmsg sends the first n messages. The call never blocks, so it bypasses
// the scheduler: RawSyscall saves a fifth of a microsecond a packet on a busy
// machine.
func (s *sender) sendmmsg(n int) (int, unix.Errno) {
	for {
		sent, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.out.msgs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(sent), errno
		}
	}
}

// full reports whether an errno means to send the packet later.
func full(errno unix.Errno) bool {
	return errno == unix.EAGAIN || errno == unix.ENOBUFS || errno == unix.ENOMEM
}

// sendError turns the errno of a message that was not accepted into an error.
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

// recount restarts the numbers of timestamps at zero. A kernel that numbers
// timestamps itself may or may not have counted a message that it refused. As
// long as it holds packets, timestamps of the old numbering may come. They
// would be assigned to other packets, so none is used.
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

// room reports whether the send buffer has room. If it has, it was the device
// or the neighbour table that had none.
func (s *sender) room() bool {
	info, ok := s.memInfo()
	return ok && info[skMeminfoWmemAlloc] < info[skMeminfoSndbuf]/2
}

// saveStamps reads the timestamps that are there, for the next receive.
func (s *sender) saveStamps() {
	for {
		n, err := s.queue.read(s.fd, unix.MSG_ERRQUEUE, 1)
		if err != nil || n == 0 {
			return // an error comes again at the next read
		}
		s.saved = s.appendStamps(s.saved, n)
	}
}

// fill makes message i of a request. It keeps the part that belongs to the
// profile if the message had the same profile the last time.
func (s *sender) fill(i int, r *request) {
	o := &s.out
	h := &o.msgs[i].hdr
	if o.profs[i] != r.prof {
		s.fillProfile(i, r.prof)
	}
	r.prof.putHead(&o.heads[i], s.family, s.id, r.seq, r.cookie)
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

// fillProfile makes the part of message i that is the same for all requests of
// a profile.
func (s *sender) fillProfile(i int, p *profile) {
	o := &s.out
	h := &o.msgs[i].hdr
	o.profs[i] = p
	o.iovs[i][0].SetLen(p.headSize())
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
	s.receiver.fit(p.opts.Size)
}
