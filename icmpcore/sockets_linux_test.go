package icmpcore

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// TestStamped has a socket that asks for timestamps, and one that does not.
func TestStamped(t *testing.T) {
	for name, loopback := range map[string]unix.Sockaddr{
		"IPv4": &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}},
		"IPv6": &unix.SockaddrInet6{Addr: [16]byte{15: 1}},
	} {
		fd, err := selfSocket(loopback)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
			continue // this system lacks the family
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		defer unix.Close(fd)
		awaitStamps()
		if !stamped(fd) {
			t.Errorf("%s: no timestamp although the kernel takes them", name)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 0); err != nil {
			t.Fatal(err)
		}
		if stamped(fd) {
			t.Errorf("%s: a timestamp that nobody asked for", name)
		}
	}
	if stamped(-1) {
		t.Error("a timestamp without a socket")
	}
	if fd, err := selfSocket(&unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}}); err == nil {
		unix.Close(fd)
		t.Error("a socket with an address that this machine lacks")
	}
}

// TestMayGain limits a thread in the two ways that a file capability does not
// overcome.
func TestMayGain(t *testing.T) {
	limited := func(option int, args ...uintptr) (may bool, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and never unlocked: the thread ends with its limits
			if option != 0 {
				err = unix.Prctl(option, args[0], 0, 0, 0)
			}
			may = mayGain(unix.CAP_NET_RAW)
		}()
		<-done
		return may, err
	}
	bounded, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_NET_RAW, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	barred, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if may, _ := limited(0); may != (bounded == 1 && barred == 0) {
		t.Errorf("as it is: %v, with CAP_NET_RAW in the bounding set %d, no_new_privs %d", may, bounded, barred)
	}
	if may, err := limited(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil || may {
		t.Errorf("with no_new_privs: %v, %v", may, err)
	}
	if may, err := limited(unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW); err == nil && may { // EPERM: needs CAP_SETPCAP
		t.Error("without CAP_NET_RAW in the bounding set it may gain it")
	}
}

// TestFilter runs the packet filter over packets as a raw socket gets them.
func TestFilter(t *testing.T) {
	const id = 0x1234
	type packet struct {
		name string
		data []byte
		want bool
	}
	// message is an ICMP header with an identifier, quote what follows that of an error.
	message := func(kind byte, id uint16) []byte {
		return binary.BigEndian.AppendUint16([]byte{kind, 0, 0, 0}, id)
	}
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return append(all, make([]byte, 8)...)
	}
	v4 := func(words byte) []byte { return append([]byte{0x40 | words}, make([]byte, int(words)*4-1)...) }
	v6 := append([]byte{0x60}, make([]byte, 39)...)
	head := func(kind byte) []byte { return []byte{kind, 0, 0, 0, 0, 0, 0, 0} }
	for family, packets := range map[Family][]packet{
		FamilyIPv4: {
			{"our reply", join(v4(5), message(0, id)), true},
			{"our reply, with options", join(v4(8), message(0, id)), true},
			{"another's reply", join(v4(5), message(0, id+1)), false},
			{"an error of ours", join(v4(5), head(11), v4(5), message(8, id)), true},
			{"an error of ours, both with options", join(v4(7), head(3), v4(15), message(8, id)), true},
			{"another's error", join(v4(5), head(11), v4(5), message(8, id+1)), false},
			{"an error of ours, with the identifier elsewhere", join(v4(5), head(11), v4(5), message(8, 0), message(0, id)), false},
		},
		FamilyIPv6: {
			{"our reply", join(message(129, id)), true},
			{"another's reply", join(message(129, id+1)), false},
			{"an error of ours", join(head(3), v6, message(128, id)), true},
			{"another's error", join(head(3), v6, message(128, id+1)), false},
			{"an error of ours, with the identifier elsewhere", join(message(3, id), make([]byte, 2), v6, message(128, 0)), false},
		},
	} {
		vm, err := bpf.NewVM(filterProgram(family, id))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			n, err := vm.Run(p.data)
			if err != nil || (n > 0) != p.want {
				t.Errorf("%s, %s: %d bytes pass (%v), want %v", family, p.name, n, err, p.want)
			}
		}
	}
}

// TestPrepare reads the control messages of profiles as the kernel does.
func TestPrepare(t *testing.T) {
	c, err := openConn(SocketAuto)
	if err != nil {
		t.Skip("no ICMP socket: ", err)
	}
	defer c.close()
	type message struct {
		level, kind int32
		value       uint32
	}
	for _, tt := range []struct {
		family Family
		opts   Options
		want   []message
	}{
		{FamilyIPv4, Options{}, nil},
		{FamilyIPv4, Options{TTL: 7}, []message{{unix.IPPROTO_IP, unix.IP_TTL, 7}}},
		{FamilyIPv4, Options{DSCP: 46, Mark: 9}, []message{{unix.IPPROTO_IP, unix.IP_TOS, 184}, {unix.SOL_SOCKET, unix.SO_MARK, 9}}},
		{FamilyIPv6, Options{TTL: 7, DSCP: 46}, []message{{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, 7}, {unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 184}}},
		{FamilyIPv6, Options{Mark: 9}, []message{{unix.SOL_SOCKET, unix.SO_MARK, 9}}},
	} {
		p := newProfile(tt.opts.withDefaults())
		if err := c.prepare(p, tt.family); err != nil {
			t.Errorf("%s %+v: %v", tt.family, tt.opts, err)
			continue
		}
		got, err := unix.ParseSocketControlMessage(p.control)
		if err != nil || len(got) != len(tt.want) {
			t.Errorf("%s %+v: %v, %v, want %v", tt.family, tt.opts, got, err, tt.want)
			continue
		}
		for i, m := range got {
			if m := (message{m.Header.Level, m.Header.Type, binary.NativeEndian.Uint32(m.Data)}); m != tt.want[i] {
				t.Errorf("%s %+v: message %d is %v, want %v", tt.family, tt.opts, i, m, tt.want[i])
			}
		}
	}
}

// TestNeverSplit has packets of up to 68 bytes, which no link splits.
func TestNeverSplit(t *testing.T) {
	for total, want := range map[int]bool{67: true, 68: true, 69: false, 1500: false} {
		payload := total - 20 - 8 // the headers of IPv4 and ICMP
		if got := neverSplit(FamilyIPv4, payload); got != want {
			t.Errorf("a packet of %d bytes: %v, want %v", total, got, want)
		}
	}
	if neverSplit(FamilyIPv6, 0) {
		t.Error("IPv6 has no don't-fragment bit")
	}
}

// TestFewDescriptors opens one way where a process may have few descriptors.
func TestFewDescriptors(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[uint64]int{fewDescriptors - 1: 1, fewDescriptors: mostWays} {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		w, err := openWays(FamilyIPv4, SocketRaw)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		if isPermission(err) {
			t.Skip(err)
		}
		if err != nil || len(w) != want {
			t.Fatalf("with %d descriptors: %d ways, %v, want %d", limit, len(w), err, want)
		}
		if n := w[0].sndbuf(t); limit == fewDescriptors && w[1].sndbuf(t) <= n {
			t.Errorf("send buffers of %d and %d bytes: the first keeps the system's, the others get more", n, w[1].sndbuf(t))
		}
		if w[0].source != TimestampsKernel {
			t.Errorf("timestamps of a sender: %s", w[0].source)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOnlyWay sends slow requests where there is only one way.
func TestOnlyWay(t *testing.T) {
	c, err := openConn(SocketAuto)
	if err != nil {
		t.Skip("no ICMP socket: ", err)
	}
	defer c.close()
	s := c.(*linuxConn).of(FamilyIPv4)
	all := s.out
	s.out = all[:1]
	defer func() { s.out = all }()
	prof := newProfile(Options{}.withDefaults())
	if err := c.prepare(prof, FamilyIPv4); err != nil {
		t.Fatal(err)
	}
	n, err := c.send(FamilyIPv4, true, []request{{addr: netip.MustParseAddr("127.0.0.1"), prof: prof}})
	if n != 1 || err != nil || !s.out.used() {
		t.Errorf("%d sent, %v", n, err)
	}
}

func (s *sender) sndbuf(t *testing.T) int {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNote loses one family's socket after the other.
func TestNote(t *testing.T) {
	c := &linuxConn{order: []*sockets{{}, {}}, polled: []unix.PollFd{{Fd: 5}, {Fd: 6}, {Fd: 7}}}
	s := []*sock{{family: FamilyIPv4}, {family: FamilyIPv6}}
	for i := range maxTroubles {
		if !c.note(1, s[1], unix.ENETDOWN) {
			t.Fatalf("lost after %d errors that pass", i)
		}
	}
	if c.note(1, s[1], nil); s[1].troubles != 0 {
		t.Error("a success does not end a row of failures")
	}
	for range maxTroubles {
		c.note(1, s[1], unix.ENETDOWN)
	}
	c.events = c.events[:0]
	if c.note(1, s[1], unix.ENETDOWN) || c.order[1].lost.Load() == nil {
		t.Error("not lost after too many errors in a row")
	}
	if n := len(c.events); n == 0 || c.events[n-1].kind != eventLost || c.events[n-1].family != FamilyIPv6 {
		t.Errorf("events %+v, want the loss of IPv6", c.events)
	}
	if c.polled[2].Fd >= 0 || c.polled[1].Fd != 6 || c.polled[0].Fd != 5 || c.ended != nil {
		t.Errorf("polled %v, ended %v: IPv4 must go on", c.polled, c.ended)
	}
	if c.note(0, s[0], unix.EBADF) || c.polled[1].Fd >= 0 || !errors.Is(c.ended, unix.EBADF) {
		t.Errorf("polled %v, ended %v: nothing is left", c.polled, c.ended)
	}
}

// TestWait waits for nothing, and for wakes that came before: they count once.
func TestWait(t *testing.T) {
	opened, err := openConn(SocketAuto)
	if err != nil {
		t.Skip("no ICMP socket: ", err)
	}
	c := opened.(*linuxConn)
	defer c.close()
	c.wait(0, false)
	c.wake()
	c.wake()
	c.wait(-1, false)
	if n, err := unix.Poll([]unix.PollFd{{Fd: c.polled[0].Fd, Events: unix.POLLIN}}, 0); n != 0 || err != nil {
		t.Errorf("a wake is left: %d, %v", n, err)
	}
}

// TestPortableWait is TestWait for the portable sockets, with a wait without end.
func TestPortableWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &portableConn{ready: make(chan struct{}, 1)}
		c.wait(0, false)
		c.wake()
		c.wake()
		c.wait(-1, false)
		ended := false
		go func() {
			c.wait(-1, false)
			ended = true
		}()
		synctest.Wait()
		if ended {
			t.Error("a wait without end has ended by itself")
		}
		c.wake()
		synctest.Wait()
		if !ended {
			t.Error("a wake has not ended the wait")
		}
	})
}

// TestSockets asks portable sockets what they have found out about Linux.
func TestSockets(t *testing.T) {
	opened, err := openPortable(SocketAuto)
	if err != nil {
		t.Skip(err)
	}
	c := opened.(*portableConn)
	defer c.close()
	c.mu.Lock()
	readers := c.readers
	c.mu.Unlock()
	open := 0
	for _, s := range c.socks {
		if s == nil {
			continue
		}
		open++
		if s.noDSCP || s.header {
			t.Errorf("%s: noDSCP %v, header %v: Linux has control messages", s.family, s.noDSCP, s.header)
		}
		if kind, err := c.socket(s.family); kind != s.kind || err != nil || c.id(s.family) != s.id || s.id == 0 {
			t.Errorf("%s: %s socket, identifier %d, %v", s.family, kind, c.id(s.family), err)
		}
		ttl := func() (n int, err error) {
			if s.family == FamilyIPv4 {
				return s.IPv4PacketConn().TTL()
			}
			return s.IPv6PacketConn().HopLimit()
		}
		for _, want := range []int{7, 7, 9, 0} {
			if err := s.setHeader(Options{TTL: want}); err != nil {
				t.Fatal(err)
			}
			if want == 0 {
				want = s.system
			}
			if got, err := ttl(); got != want || err != nil {
				t.Errorf("%s: TTL %d, %v, want %d", s.family, got, err, want)
			}
		}
		if err := s.setHeader(Options{TTL: 300}); err == nil || s.ttl != s.system {
			t.Errorf("%s: TTL 300 gives %v, and the socket is taken to have %d", s.family, err, s.ttl)
		}
	}
	if readers != open {
		t.Errorf("%d readers for %d sockets", readers, open)
	}
}
