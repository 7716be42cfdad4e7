package icmpcore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openLinux opens a conn of the kind that is allowed.
func openLinux(t *testing.T) *linuxConn {
	t.Helper()
	c, err := openConn(SocketAuto)
	if err != nil {
		t.Skip(err)
	}
	return c.(*linuxConn)
}

// TestFragmentationAllowed checks the setting in the kernel: the packet may be
// fragmented unless the options forbid it.
func TestFragmentationAllowed(t *testing.T) {
	c := openLinux(t)
	p := newPinger(c, Config{}, systemClock())
	defer p.Close() // its error does not matter here
	for _, forbid := range []bool{false, true, false} {
		want := map[bool]int{false: unix.IP_PMTUDISC_DONT, true: unix.IP_PMTUDISC_PROBE}[forbid]
		for host, opt := range map[string][2]int{"127.0.0.1": {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER}, "::1": {unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER}} {
			if r, err := p.Ping(t.Context(), host, Options{Size: 100, DontFragment: forbid}); err != nil || r.Received != 1 {
				t.Fatalf("%s: %v", host, err)
			}
			s := c.socks[0]
			if host == "::1" {
				s = c.socks[1]
			}
			if got, err := unix.GetsockoptInt(s.out[0].fd, opt[0], opt[1]); err != nil || got != want {
				t.Errorf("%s, forbidden %v: path MTU discovery %d, %v, want %d", host, forbid, got, err, want)
			}
		}
	}
}

// TestStampsIgnored sends on a socket for which the system rejects the numbers of
// timestamps as invalid. The sender stops using them, and nothing is lost.
func TestStampsIgnored(t *testing.T) {
	c := openLinux(t)
	s := c.socks[0].out[0]
	s.optID = true
	if err := s.set("SO_TIMESTAMPING", unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 0); err != nil {
		t.Fatal(err)
	}
	p := newPinger(c, Config{}, systemClock())
	defer p.Close() // its error does not matter here
	if r, err := p.Ping(t.Context(), "127.0.0.1", Options{Count: 5, Interval: ms}); err != nil || r.Received != 5 || s.optID {
		t.Errorf("%v: %s", err, r)
	}
}

// TestInvalidIsNotForStamps has the system reject a request as invalid for
// another reason. The numbers of timestamps stay in use.
func TestInvalidIsNotForStamps(t *testing.T) {
	s := &sender{optID: true, out: newOutgoing(), queue: new(incoming)}
	*s.queue = newIncoming(1, firstBufferSize)
	s.fd = -1 // makes recount fail, which does not matter here
	for _, step := range []struct {
		errno unix.Errno
		again bool
		optID bool
	}{
		{unix.EINVAL, true, false}, {unix.EINVAL, false, true}, // a request that is invalid with and without its number
		{0, false, true}, // one that is accepted with its number
		{unix.EINVAL, false, true},
	} {
		if again := s.doubt(step.errno); again != step.again || s.optID != step.optID {
			t.Errorf("%v: again %v, numbers %v, want %v, %v", step.errno, again, s.optID, step.again, step.optID)
		}
	}
}

// TestPollRefused pings while the system refuses ppoll, because of more
// descriptors than the process may have. It works and does not spin.
func TestPollRefused(t *testing.T) {
	c := openLinux(t)
	read, turns := systemClock(), atomic.Int64{} // the engine reads the clock in each turn
	p := newPinger(c, Config{}, func() (int64, int64) {
		turns.Add(1)
		return read()
	})
	defer p.Close() // its error does not matter here
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := syscall.Rlimit{Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	if _, err := unix.Ppoll(make([]unix.PollFd, 1), &unix.Timespec{}, nil); !errors.Is(err, unix.EINVAL) {
		t.Fatalf("ppoll is not refused: %v", err)
	}
	start := time.Now()
	r, err := p.Ping(t.Context(), "127.0.0.1", Options{Count: 3, Interval: 200 * ms})
	if err != nil || r.Received != 3 {
		t.Errorf("%v: %s", err, r)
	}
	if n, most := turns.Load(), 100+8*int64(time.Since(start)/blindNap); n > most {
		t.Errorf("the engine looked %d times, want at most %d", n, most)
	}
}

// TestCheckCalls checks that no call is refused on a system that has them all.
func TestCheckCalls(t *testing.T) {
	if err := (&sock{fd: openLinux(t).socks[0].in.fd}).checkCalls(); err != nil {
		t.Error(err)
	}
}

func TestOpenEither(t *testing.T) {
	socket := os.NewSyscallError("socket", unix.EPERM)
	option := fmt.Errorf("set up raw ipv4 socket: %w", os.NewSyscallError("setsockopt IP_RECVTTL", unix.EPERM))
	tests := []struct {
		name          string
		raw, datagram error
		tried         int  // sockets
		permission    bool // it is an error about the permission for a socket
		says          []string
	}{
		{name: "raw", tried: 1},
		{name: "datagram", raw: socket, tried: 2},
		{name: "neither", raw: socket, datagram: os.NewSyscallError("socket", unix.EACCES), tried: 2, permission: true,
			says: []string{"raw: socket: operation not permitted", "datagram: socket: permission denied"}},
		{name: "no raw, and no protocol", raw: socket, datagram: os.NewSyscallError("socket", unix.EPROTONOSUPPORT), tried: 2, permission: true,
			says: []string{"raw: socket: operation not permitted", "datagram: socket: protocol not supported"}},
		{name: "an option", raw: option, tried: 1, says: []string{"setsockopt IP_RECVTTL: operation not permitted"}},
		{name: "no IPv6", raw: os.NewSyscallError("socket", unix.EAFNOSUPPORT), tried: 1, says: []string{"address family not supported"}},
	}
	for _, tt := range tests {
		tried := 0
		_, err := openEither(func(kind SocketKind) (*int, error) {
			tried++
			return new(int), map[SocketKind]error{SocketRaw: tt.raw, SocketDatagram: tt.datagram}[kind]
		})
		if (err == nil) != (len(tt.says) == 0) || tried != tt.tried || socketRefused(err) != tt.permission {
			t.Errorf("%s: %v, %d sockets tried, permission %v", tt.name, err, tried, socketRefused(err))
		}
		for _, want := range tt.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", tt.name, err, want)
			}
		}
		if tt.permission && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v is not of permission", tt.name, err)
		}
	}
}

// TestOptionNamed has the system refuse options. The error names only the first.
func TestOptionNamed(t *testing.T) {
	s := &receiver{sock: sock{fd: -1, family: FamilyIPv4, kind: SocketRaw}}
	if err := s.setUp(); err == nil || err.Error() != "setsockopt SO_ATTACH_FILTER: bad file descriptor" {
		t.Errorf("setUp: %v", err)
	}
	w := &sender{sock: sock{fd: -1, family: FamilyIPv6, kind: SocketRaw}}
	if err := w.setUp(); err == nil || err.Error() != "setsockopt IPV6_MTU_DISCOVER: bad file descriptor" {
		t.Errorf("setUp: %v", err)
	}
}
