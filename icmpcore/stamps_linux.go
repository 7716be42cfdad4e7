package icmpcore

import (
	"time"

	"golang.org/x/sys/unix"
)

// stampWait is how long awaitStamps waits at most. The kernel takes about a
// millisecond.
const stampWait = 100 * time.Millisecond

// awaitStamps returns when the kernel takes the times of what it receives. It
// begins to do so only some time after the first socket on the machine has
// requested it. Until then a reply would have the time of its reading. A
// datagram to ourselves over loopback shows whether it has begun. If none gets
// through, results still say which times they have.
func awaitStamps() {
	for _, loopback := range []unix.Sockaddr{&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}} {
		if fd, err := selfSocket(loopback); err == nil {
			defer unix.Close(fd)
			for end := time.Now().Add(stampWait); !stamped(fd) && time.Now().Before(end); {
				time.Sleep(100 * time.Microsecond)
			}
			return
		}
	}
}

// selfSocket returns a UDP socket with timestamps that is connected to itself.
func selfSocket(loopback unix.Sockaddr) (int, error) {
	domain := unix.AF_INET
	if _, ok := loopback.(*unix.SockaddrInet6); ok {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, loopback); err == nil {
		var own unix.Sockaddr
		if own, err = unix.Getsockname(fd); err == nil {
			err = unix.Connect(fd, own)
		}
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_SOFTWARE|unix.SOF_TIMESTAMPING_RX_SOFTWARE)
	}
	if err != nil {
		unix.Close(fd) // the first error is the one to report
		return -1, err
	}
	return fd, nil
}

// stamped sends a datagram through a selfSocket and reports whether it arrives
// with a timestamp.
func stamped(fd int) bool {
	if _, err := unix.Write(fd, []byte{0}); err != nil {
		return false
	}
	var data [1]byte
	var control [128]byte
	n, size, _, _, err := unix.Recvmsg(fd, data[:], control[:], 0)
	return err == nil && n > 0 && size > 0
}
