package icmpcore

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFlowOverEveryWay sends one flow over each way of each kind of socket. On the
// wire all must have the same identifier, checksum and flow label.
func TestFlowOverEveryWay(t *testing.T) {
	for _, kind := range []SocketKind{SocketRaw, SocketDatagram} {
		for _, f := range []Family{FamilyIPv4, FamilyIPv6} {
			t.Run(kind.String()+" "+f.String(), func(t *testing.T) {
				inNamespace(t, func(t *testing.T) { flowOverEveryWay(t, kind, f) })
			})
		}
	}
}

func flowOverEveryWay(t *testing.T, kind SocketKind, f Family) {
	c, err := openConn(kind)
	if err != nil {
		t.Error(err)
		return
	}
	p := newPinger(c, Config{}, systemClock())
	defer p.Close()
	tap, err := openTap(f)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(tap)
	to := map[Family]string{FamilyIPv4: "127.0.0.1", FamilyIPv6: "::1"}[f]
	all := c.(*linuxConn).of(f).out
	for i := range all {
		// All ways before this one are jammed.
		for j, w := range all {
			w.jam = jam{jammed: j < i, until: time.Now().Add(time.Hour)}
		}
		r, err := p.Ping(t.Context(), to, Options{Count: 3, Interval: ms, TTL: 7 + i, DSCP: i, Flow: 0xbeef})
		if err != nil || r.Received != 3 || r.Timestamps != TimestampsKernel {
			t.Errorf("way %d: %d of 3, stamps %s, %v", i, r.Received, r.Timestamps, err)
		}
	}
	flows, requests, err := tapped(tap, f)
	if err != nil {
		t.Error(err)
	}
	want := wireFlow{id: c.id(f), sum: 0xbeef, label: flowLabel(0xbeef)}
	if f == FamilyIPv4 {
		want.label = 0
	} else {
		for seen := range flows {
			want.sum = seen.sum // it depends on the addresses
		}
	}
	if requests != 3*len(all) || len(flows) != 1 || flows[want] == 0 {
		t.Errorf("%d requests on the wire have the flows %+v, want %d with %+v", requests, flows, 3*len(all), want)
	}
}

// wireFlow is by what routers tell flows between two addresses apart.
type wireFlow struct {
	id, sum uint16
	label   uint32
}

// openTap opens a raw socket that sees all ICMP of the family.
func openTap(f Family) (int, error) {
	s := sock{family: f, kind: SocketRaw}
	err := s.open(func() error {
		if f == FamilyIPv4 {
			return nil
		}
		return s.set("IPV6_FLOWINFO", unix.IPPROTO_IPV6, ipv6Flowinfo, 1)
	})
	return s.fd, err
}

// tapped counts the requests that a tap has seen, by their flow.
func tapped(tap int, f Family) (flows map[wireFlow]int, requests int, err error) {
	flows = map[wireFlow]int{}
	data, control := make([]byte, 2048), make([]byte, 256)
	for {
		n, size, _, _, err := unix.Recvmsg(tap, data, control, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return flows, requests, nil
		}
		if err != nil {
			return flows, requests, err
		}
		message := data[:n]
		if f == FamilyIPv4 {
			message = message[ipv4HeaderSize:]
		}
		if message[0] != requestType(f) {
			continue
		}
		seen := wireFlow{id: binary.BigEndian.Uint16(message[4:]), sum: binary.BigEndian.Uint16(message[2:])}
		infos, err := unix.ParseSocketControlMessage(control[:size])
		if err != nil {
			return flows, requests, err
		}
		for _, m := range infos {
			if m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == ipv6Flowinfo {
				seen.label = binary.BigEndian.Uint32(m.Data) & 0xfffff
			}
		}
		flows[seen]++
		requests++
	}
}

// TestFlowWithoutLabel has another program lease a flow label for itself alone.
// Then the system refuses labels that are not leased, but requests of a flow are
// sent all the same, with the one label that the system gives them.
func TestFlowWithoutLabel(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		if !labelsAllowed() {
			t.Error("the system refuses flow labels although nobody has leased one")
		}
		other, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(other)
		const manager, create, exclusive = 32, 1, 1 // IPV6_FLOWLABEL_MGR of linux/in6.h
		lease := make([]byte, 32)                   // struct in6_flowlabel_req
		lease[15] = 1                               // for ::1
		lease[21] = exclusive
		binary.NativeEndian.PutUint16(lease[22:], create)
		if err := unix.SetsockoptString(other, unix.IPPROTO_IPV6, manager, string(lease)); err != nil {
			t.Error("lease: ", err)
			return
		}
		if labelsAllowed() {
			t.Error("the system allows labels that are not leased: nothing is tested here")
		}
		for _, kind := range []SocketKind{SocketRaw, SocketDatagram} {
			c, err := openConn(kind)
			if err != nil {
				t.Error(err)
				return
			}
			p := newPinger(c, Config{}, systemClock())
			tap, err := openTap(FamilyIPv6)
			if err != nil {
				t.Error(err)
				return
			}
			r, err := p.Ping(t.Context(), "::1", Options{Count: 5, Interval: ms, Flow: 5})
			flows, requests, tapErr := tapped(tap, FamilyIPv6)
			if err != nil || tapErr != nil || r.Received != 5 || requests != 5 || len(flows) != 1 {
				t.Errorf("%s: %v, %v: %s; on the wire %+v", kind, err, tapErr, r, flows)
			}
			unix.Close(tap)
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
