package icmpcore

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace calls f in a new network namespace, on a thread that ends
// afterwards. The namespace has TUN devices d0 and d1, a TAP device t0, and
// what the given commands of ip(8) make.
func inNamespace(t *testing.T, f func(t *testing.T), commands ...string) {
	t.Helper()
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread must not be reused
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		if _, err := exec.LookPath("ip"); err != nil {
			done <- err
			return
		}
		for _, name := range []string{"d0", "d1", "t0"} {
			device, err := tunnel(name)
			if err != nil {
				done <- err
				return
			}
			defer unix.Close(device)
		}
		for _, c := range append([]string{"link set lo up", "link set d0 up", "link set d1 up", "link set t0 up"}, commands...) {
			if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				t.Errorf("ip %s: %v: %s", c, err, out)
				return
			}
		}
		// datagram sockets for everybody
		if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0); err != nil {
			t.Error(err)
			return
		}
		f(t)
	}()
	if err := <-done; err != nil {
		t.Skip("needs root for a network namespace, /dev/net/tun, and ip of iproute2: ", err)
	}
}

// tunnel makes a device that exists until its descriptor is closed.
func tunnel(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	if req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI); name[0] == 't' {
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	}
	return fd, unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
}

func TestLinkIndex(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range all {
		if got, err := linkIndex(ifi.Name); err != nil || got != uint32(ifi.Index) {
			t.Errorf("linkIndex(%s) = %d, %v, want %d", ifi.Name, got, err, ifi.Index)
		}
	}
	for _, name := range []string{"", "nowhere0", "a-name-that-is-longer-than-any"} {
		if got, err := linkIndex(name); !errors.Is(err, errNoLink) || got != 0 {
			t.Errorf("linkIndex(%q) = %d, %v", name, got, err)
		}
	}
	refused := linkError("interface", "eth0", os.NewSyscallError("socket", unix.EMFILE))
	if text := refused.Error(); !strings.Contains(text, "eth0") || !strings.Contains(text, "too many open files") {
		t.Errorf("a refusal says %q", text)
	}
}

// TestBroadcasts reads broadcast addresses in both ways, also while some are
// added and removed.
func TestBroadcasts(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		sets := [2]map[netip.Addr]struct{}{{}, {}}
		addBroadcasts(sets[0])
		addBroadcastsAnyway(sets[1])
		for i, set := range sets {
			got := slices.SortedFunc(maps.Keys(set), netip.Addr.Compare)
			got = slices.DeleteFunc(got, func(a netip.Addr) bool { return a.IsLoopback() }) // the loopback link has no broadcast
			if len(got) != 101 || got[0] != netip.MustParseAddr("198.18.0.7") || got[1] != netip.MustParseAddr("198.18.1.3") {
				t.Errorf("way %d: %d broadcast addresses: %v", i, len(got), got)
			}
		}
		var l links
		l.start()
		addr := netip.MustParseAddr("198.18.9.255")
		if !l.broadcast(netip.MustParseAddr("255.255.255.255")) || !l.broadcast(netip.MustParseAddr("198.18.0.7")) || l.broadcast(addr) {
			t.Error("wrong from the start")
		}
		for _, do := range []string{"add", "del"} {
			if out, err := exec.Command("ip", "addr", do, "198.18.9.1/24", "brd", "+", "dev", "d0").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			l.next.Store(0) // a second has passed
			if got := l.broadcast(addr); got != (do == "add") {
				t.Errorf("after ip addr %s: %v", do, got)
			}
		}
	}, append([]string{"addr add 198.18.0.1/29 brd + dev d0"}, manyAddrs()...)...)
}

// manyAddrs is more addresses than the first requested list has room for.
func manyAddrs() (commands []string) {
	for i := range 100 {
		n := netip.AddrFrom4([4]byte{198, 18, 1, byte(4*(i%64) + 1)})
		if i >= 64 {
			n = netip.AddrFrom4([4]byte{198, 18, 2, byte(4*(i-64) + 1)})
		}
		commands = append(commands, "addr add "+n.String()+"/30 brd + dev d0")
	}
	return commands
}

const ownAddrsText = `fe80000000000000acc1bcfffe7db011 02 40 20 80     d0
fe80000000000000acc1bcfffe7db012 03 40 20 80     d1
fe800000000000000000000000000003 03 40 20 c8     d1
20010db8000000000000000000000005 03 40 00 44     d1
00000000000000000000000000000001 01 80 10 80       lo
`

func TestOwnAddrs(t *testing.T) {
	got := parseOwnAddrs(ownAddrsText + "nonsense\nfe80 02 40 20 80 d0\n" + strings.Repeat("g", 32) + " 02 40 20 80 d0\n")
	want := []ownAddr{
		{addr: netip.MustParseAddr("fe80::acc1:bcff:fe7d:b011"), index: 2, link: "d0"},
		{addr: netip.MustParseAddr("fe80::acc1:bcff:fe7d:b012"), index: 3, link: "d1"},
		{addr: netip.MustParseAddr("fe80::3"), index: 3, link: "d1", tentative: true, failed: true},
		{addr: netip.MustParseAddr("2001:db8::5"), index: 3, link: "d1"}, // optimistic
		{addr: netip.IPv6Loopback(), index: 1, link: "lo"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func FuzzParseOwnAddrs(f *testing.F) {
	f.Add(ownAddrsText)
	f.Fuzz(func(t *testing.T, text string) {
		for _, o := range parseOwnAddrs(text) {
			if !o.addr.Is6() || o.index == 0 || !strings.Contains(text, o.link) {
				t.Errorf("%+v of %q", o, text)
			}
		}
	})
}

// TestLinkOfAddress pings an address that is valid only on its link, on both
// kinds of socket. The link comes from the zone or the interface, or it is the
// only one. Otherwise the target is refused.
func TestLinkOfAddress(t *testing.T) {
	d0, d1 := "fe80::10", "fe80::11"
	tests := []struct {
		addr, iface string
		field       string // of the OptionError; if empty, the address answers
	}{
		{addr: d0 + "%d0"},
		{addr: d0, iface: "d0"},
		{addr: d0}, // its own
		{addr: d1 + "%d1", iface: "d1"},
		{addr: d1 + "%d1", iface: "d0", field: "interface"},
		{addr: "fe80::99", field: "address"}, // on d0 or d1
		{addr: "ff02::1", field: "address"},
		{addr: "ff02::1", iface: "d0"},
		{addr: "ff02::1%d1"},
		{addr: "fe80::99%nowhere0", field: "zone"},
		{addr: "fe80::99", iface: "nowhere0", field: "interface"},
	}
	inNamespace(t, func(t *testing.T) {
		for _, kind := range []SocketKind{SocketRaw, SocketDatagram} {
			c, err := openConn(kind)
			if err != nil {
				t.Fatal(err)
			}
			p := newPinger(c, Config{}, systemClock())
			for _, tt := range tests {
				err := pingOnce(p, tt.addr, tt.iface)
				if tt.field == "" {
					// The system uses an address some time after its device is
					// up.
					for tries := 0; errors.Is(err, ErrTimeout) && tries < 1000; tries++ {
						err = pingOnce(p, tt.addr, tt.iface)
					}
					if err != nil {
						t.Errorf("%s %s by %q: %v", kind, tt.addr, tt.iface, err)
					}
					continue
				}
				var option *OptionError
				if !errors.As(err, &option) || option.Field != tt.field {
					t.Errorf("%s %s by %q: %v, want a refusal of the %s", kind, tt.addr, tt.iface, err, tt.field)
				}
				if tt.field == "address" && !strings.Contains(err.Error(), tt.addr+"%d") {
					t.Errorf("the refusal does not say how: %v", err)
				}
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		// only one link is left, so it is used
		if out, err := exec.Command("ip", "addr", "flush", "dev", "d1").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var l links
		if addr, index, err := l.only(netip.MustParseAddr("fe80::99")); err != nil || addr.Zone() != "d0" || index == 0 {
			t.Errorf("only link: %s, %d, %v", addr, index, err)
		}
	}, "addr flush dev t0 scope link", "addr flush dev d0", "addr flush dev d1", "addr add fe80::10/64 dev d0 nodad", "addr add fe80::11/64 dev d1 nodad")
}

// pingOnce sends one echo and returns why it failed.
func pingOnce(p *Pinger, addr, link string) error {
	result := make(chan PingResult, 1)
	o := Options{Interface: link, Timeout: 100 * ms}
	if _, err := p.Go(Target{Addr: netip.MustParseAddr(addr)}, o, func(r PingResult) { result <- r }); err != nil {
		return err
	}
	r := <-result
	return r.Failure()
}

// TestRefusals has the system refuse requests because of their source or route.
// The error names the cause and wraps the system's error.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name, to, source string
		want             string
		errno            unix.Errno
	}{
		{"a source that is not here", "127.0.0.1", "198.18.9.9", "the source 198.18.9.9 is not an address of this host", 0},
		{"an IPv6 source that is not here", "2001:db8::2", "2001:db8::99", "the source 2001:db8::99 is not an address of this host", 0},
		{"a tentative source", "2001:db8:2::2", "2001:db8:2::1", "duplicate address detection", 0},
		{"a blackhole", "198.18.5.1", "", "the route to 198.18.5.1 is a blackhole", unix.EINVAL},
		{"a prohibition", "198.18.6.1", "", "the route to 198.18.6.1 is prohibited", unix.EACCES},
		{"an IPv6 blackhole", "2001:db8:5::1", "", "the route to 2001:db8:5::1 is a blackhole", unix.EINVAL},
		{"an IPv6 prohibition", "2001:db8:6::1", "", "the route to 2001:db8:6::1 is prohibited", unix.EACCES},
		{"no route", "198.18.200.1", "", "network is unreachable", unix.ENETUNREACH},
	}
	inNamespace(t, func(t *testing.T) {
		for _, kind := range []SocketKind{SocketRaw, SocketDatagram} {
			opened, err := openConn(kind)
			if err != nil {
				t.Fatal(err)
			}
			c := opened.(*linuxConn)
			for _, tt := range tests {
				addr := netip.MustParseAddr(tt.to)
				o := Options{}.withDefaults()
				if tt.source != "" {
					o.Source = netip.MustParseAddr(tt.source)
				}
				prof := newProfile(o)
				if err := c.prepare(prof, familyOf(addr)); err != nil {
					if kind == SocketDatagram && addr.Is6() && tt.source != "" {
						continue // cannot choose
					}
					t.Fatal(err)
				}
				n, err := 0, error(nil)
				for tries := 0; n == 0 && err == nil && tries < 3; tries++ { // 0 and no error: call again
					n, err = c.send(familyOf(addr), false, []request{{addr: addr, prof: prof}})
				}
				if n != 0 || err == nil || !strings.Contains(systemText(err), tt.want) {
					t.Errorf("%s, %s: %d sent, %v, want %q", kind, tt.name, n, err, tt.want)
				}
				var errno unix.Errno
				if !errors.As(err, &errno) || tt.errno != 0 && errno != tt.errno {
					t.Errorf("%s, %s: %v does not keep the system's %v", kind, tt.name, err, tt.errno)
				}
			}
			if err := c.close(); err != nil {
				t.Error(err)
			}
		}
	}, "addr add 198.18.0.1/24 dev d0", "addr add 2001:db8::1/64 dev d0 nodad", "addr add 2001:db8:2::1/64 dev t0",
		"route add blackhole 198.18.5.0/24", "route add prohibit 198.18.6.0/24",
		"route add blackhole 2001:db8:5::/48", "route add prohibit 2001:db8:6::/48")
}
