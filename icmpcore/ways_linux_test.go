package icmpcore

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestJam checks when a way counts as jammed: the first one if it stays full and
// accepts hardly anything, the others at once.
func TestJam(t *testing.T) {
	type step struct {
		after time.Duration
		taken int // by then
		want  bool
	}
	tests := []struct {
		name  string
		wait  time.Duration
		steps []step
	}{
		{name: "full at once", steps: []step{{0, 0, true}}},
		{name: "full for a moment", wait: patience, steps: []step{{0, 0, false}, {patience - 1, 10, false}}},
		{name: "full for long", wait: patience, steps: []step{{0, 0, false}, {patience, 10, true}, {0, 0, true}}},
		{name: "slow, but going on", wait: patience, steps: []step{{0, 0, false}, {patience / 2, progress, false}, {patience - 1, progress, false}, {patience - 1, 0, false}}},
		{name: "full again much later", wait: patience, steps: []step{{0, 0, false}, {time.Minute, 1, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var j jam
			now := time.Unix(1000, 0)
			for i, s := range tt.steps {
				now = now.Add(s.after)
				j.took(s.taken)
				j.foundFull(now, tt.wait)
				if j.jammed != s.want {
					t.Fatalf("step %d: jammed = %v, want %v", i, j.jammed, s.want)
				}
				if j.jammed && j.until != now.Add(jamPause) {
					t.Errorf("step %d: tried again at %v", i, j.until)
				}
			}
			for range progress {
				j.took(1)
			}
			if j.jammed {
				t.Error("jammed although it accepts packets again")
			}
		})
	}
}

// TestIdentifierIsKept tries to bind the identifier of our datagram sockets, as
// another process of this user could. That process would then get our replies.
func TestIdentifierIsKept(t *testing.T) { inNamespace(t, identifierIsKept) }

func identifierIsKept(t *testing.T) {
	c, err := openConn(SocketDatagram)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.close()
	for _, f := range []Family{FamilyIPv4, FamilyIPv6} {
		if _, err := c.socket(f); err != nil {
			continue // this system lacks the family
		}
		thief := sock{family: f, kind: SocketDatagram, id: c.id(f)}
		if err := thief.open(thief.identify); err == nil {
			unix.Close(thief.fd)
			t.Errorf("%s: a second socket with the identifier %d", f, thief.id)
		}
	}
}

// TestEveryWay sends over each way of each kind of socket and gets the reply. The
// ways share an identifier, and the socket that receives gets all replies.
func TestEveryWay(t *testing.T) {
	for _, kind := range []SocketKind{SocketRaw, SocketDatagram} {
		for _, f := range []Family{FamilyIPv4, FamilyIPv6} {
			t.Run(kind.String()+" "+f.String(), func(t *testing.T) {
				inNamespace(t, func(t *testing.T) { everyWay(t, kind, f) })
			})
		}
	}
}

func everyWay(t *testing.T, kind SocketKind, f Family) {
	c, err := openConn(kind)
	if err != nil {
		t.Error(err)
		return
	}
	l := c.(*linuxConn)
	p := newPinger(c, Config{}, systemClock())
	defer p.Close()
	to := map[Family]string{FamilyIPv4: "127.0.0.1", FamilyIPv6: "::1"}[f]
	all := l.of(f).out
	if len(all) != mostWays {
		t.Errorf("%d ways, want %d", len(all), mostWays)
		return
	}
	for i := range all {
		// All ways before this one are jammed.
		for j, w := range all {
			w.jam = jam{jammed: j < i, until: time.Now().Add(time.Hour)}
		}
		r, err := p.Ping(t.Context(), to, Options{Count: 3, Interval: ms})
		if err != nil || r.Received != 3 || r.Timestamps != TimestampsKernel {
			t.Errorf("way %d: %d of 3, stamps %s, %v", i, r.Received, r.Timestamps, err)
		}
		if !all[i].used() {
			t.Errorf("way %d was not used", i)
		}
	}
}

// TestSlowWays checks that slow requests never use the first ways.
func TestSlowWays(t *testing.T) {
	c, err := openConn(SocketAuto)
	if err != nil {
		t.Skip("no ICMP socket: ", err)
	}
	defer c.close()
	out := c.(*linuxConn).of(FamilyIPv4).out
	prof := newProfile(Options{}.withDefaults())
	if err := c.prepare(prof, FamilyIPv4); err != nil {
		t.Fatal(err)
	}
	reqs := []request{{addr: netip.MustParseAddr("127.0.0.1"), prof: prof}}
	for i := len(out) - 1; i >= 0; i-- {
		n, err := c.send(FamilyIPv4, true, reqs)
		if i < slowWays {
			if n != 0 || err != errFull {
				t.Errorf("with %d ways left: %d sent, %v, want %v", i+1, n, err, errFull)
			}
			break
		}
		if n != 1 || err != nil || !out[i].used() {
			t.Errorf("way %d: %d sent, %v, used %v", i, n, err, out[i].used())
		}
		out[i].jam = jam{jammed: true, until: time.Now().Add(time.Hour)}
	}
	if out[0].used() || out[1].used() {
		t.Error("slow requests took a way that is kept for others")
	}
	if n, err := c.send(FamilyIPv4, false, reqs); n != 1 || err != nil {
		t.Errorf("another request: %d sent, %v", n, err)
	}
}
