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

	troubles int // failures to receive in a row
}

// receiver is the socket that receives for a family. It sends nothing, because
// the system would return an ICMP error about one target from the next send to
// another.
type receiver struct {
	sock
	in    incoming
	queue incoming // the error queue
	drops uint32
}

// fit makes room for the replies to requests with a payload of that size.
func (s *receiver) fit(payload int) {
	s.in.fit(payload)
	s.queue.fit(payload)
}

const (
	// receiveBatch is twice the send batch, so that one call reads everything
	// that came back while one batch was sent.
	receiveBatch = 2 * maxBatch

	// receiveBuffer is the requested receive buffer: room for half a second of
	// 50,000 replies a second.
	receiveBuffer = 32 << 20

	firstBufferSize = 2048
	largestPacket   = 65536

	// pendingErrors is how often a read is tried again that fails with an error
	// that may be the pending error of a packet. In a flood of errors the next
	// one may be pending already.
	pendingErrors = 32
)

// incoming holds the messages of one recvmmsg.
type incoming struct {
	msgs     []mmsghdr
	iovs     []unix.Iovec
	names    []unix.RawSockaddrInet6 // an IPv4 address fits in too
	controls [][256]byte
	data     []byte
	size     int // of the part of data that each message has
	last     int // how many messages the last call wrote
}

func newIncoming(n, size int) incoming {
	b := incoming{
		msgs: make([]mmsghdr, n), iovs: make([]unix.Iovec, n), names: make([]unix.RawSockaddrInet6, n),
		controls: make([][256]byte, n),
	}
	b.resize(size)
	return b
}

// fit makes room for replies with a payload of that size.
func (b *incoming) fit(payload int) {
	const headers = 60 + icmpHeaderSize + 64 // the longest IPv4 header, and room to notice that a reply is too long
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

// read reads what there is, up to a batch, without waiting. If the socket
// returns a pending error it tries again. Only this function resets what the
// kernel wrote into the headers.
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

// message returns the contents of message i.
func (b *incoming) message(i int) (data, control []byte, name *unix.RawSockaddrInet6) {
	m := &b.msgs[i]
	data = b.data[i*b.size:][:min(int(m.len), b.size)]
	return data, b.controls[i][:min(int(m.hdr.Controllen), len(b.controls[i]))], &b.names[i]
}
