package icmpcore

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeConn is a network in memory, for virtual time. A script answers what is
// sent to it.
type fakeConn struct {
	t      *testing.T
	key    uint16
	script func(r sent) []answer
	refuse func(r sent) error // why a request is not sent, if not nil
	held   func(r sent) bool  // whether the machine holds a request that it has accepted, if not nil
	source Timestamps

	step atomic.Int64 // by how much the wall clock of the timestamps was stepped, ns

	unstamped atomic.Bool // requests get no timestamp

	flood func() bool // whether packets of others come in, as fast as they can be read, if not nil

	waits  atomic.Int64 // how often the engine went to sleep
	unread atomic.Int64 // the longest that something waited to be read, ns

	some chan struct{}

	mu      sync.Mutex
	arrived []event
	oldest  time.Time // when the first of arrived came
	sent    []sent
	gone    error
	closed  bool
}

// sent is a request as the fake network saw it.
type sent struct {
	n       int // its index among all requests, from 0
	addr    netip.Addr
	family  Family
	at      time.Time
	seq     uint16
	number  int // its index in its series, from 0
	slow    bool
	size    int
	cookie  uint64
	message []byte // ICMP message
}

// answer is an event that comes back after a time.
type answer struct {
	after time.Duration
	ev    event
}

func newFake(t *testing.T, script func(sent) []answer) *fakeConn {
	return &fakeConn{t: t, key: 0x1234, script: script, some: make(chan struct{}, 1), source: TimestampsKernel}
}

// openFake opens a Pinger on c. The test closes it at its end.
func openFake(t *testing.T, c *fakeConn, cfg Config) *Pinger {
	t.Helper()
	p := newPinger(c, cfg, systemClock())
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

func (c *fakeConn) socket(Family) (SocketKind, error) { return SocketRaw, nil }
func (c *fakeConn) id(Family) uint16                  { return c.key }
func (c *fakeConn) prepare(*profile, Family) error    { return nil }
func (c *fakeConn) stamps() Timestamps                { return c.source }

func (c *fakeConn) send(f Family, slow bool, reqs []request) (int, error) {
	for i, r := range reqs {
		var head [longHead]byte
		r.prof.putHead(&head, FamilyIPv4, c.key, r.seq, r.cookie)
		message := slices.Concat(head[:r.prof.headSize()], r.prof.payload)
		c.mu.Lock()
		s := sent{n: len(c.sent), addr: r.addr, family: f, at: time.Now(), seq: r.seq, number: int(r.number), slow: slow,
			size: len(message) - icmpHeaderSize, cookie: r.cookie, message: message}
		c.mu.Unlock()
		if c.refuse != nil {
			if err := c.refuse(s); err != nil {
				return i, err
			}
		}
		c.mu.Lock()
		c.sent = append(c.sent, s)
		c.mu.Unlock()
		kept := c.held != nil && c.held(s)
		if c.source == TimestampsKernel && !kept && !c.unstamped.Load() {
			c.arrive(event{kind: eventStamp, slot: r.slot, gen: r.gen, number: uint32(r.number), stamp: c.wall()})
		}
		for _, a := range c.script(s) {
			if a.after == 0 {
				c.arrive(a.ev)
				continue
			}
			time.AfterFunc(a.after, func() { c.arrive(a.ev) })
		}
	}
	return len(reqs), nil
}

// wall returns the time of the wall clock.
func (c *fakeConn) wall() int64 { return time.Now().UnixNano() + c.step.Load() }

func (c *fakeConn) arrive(ev event) {
	if ev.kind != eventStamp && c.source > TimestampsUser {
		ev.stamp = c.wall()
	}
	c.mu.Lock()
	if len(c.arrived) == 0 {
		c.oldest = time.Now()
	}
	c.arrived = append(c.arrived, ev)
	c.mu.Unlock()
	c.wake()
}

func (c *fakeConn) receive() ([]event, bool, error) {
	if c.flood != nil && c.flood() {
		time.Sleep(ms) // the time that it takes to read them
		return []event{{kind: eventForeign}}, true, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.arrived) > 0 {
		c.unread.Store(max(c.unread.Load(), int64(time.Since(c.oldest))))
	}
	evs := c.arrived
	c.arrived = nil
	return evs, false, c.gone
}

func (c *fakeConn) wait(d time.Duration, nap bool) {
	c.waits.Add(1)
	var timer <-chan time.Time
	if d >= 0 {
		timer = time.After(d)
	}
	some := c.some
	if nap {
		some = nil
	}
	select {
	case <-some:
	case <-timer:
	}
}

func (c *fakeConn) wake() {
	select {
	case c.some <- struct{}{}:
	default:
	}
}

func (c *fakeConn) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

// requests returns what was sent so far.
func (c *fakeConn) requests() []sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]sent(nil), c.sent...)
}

// reply returns the true answer to r.
func (r sent) reply() event {
	message := append([]byte(nil), r.message...)
	message[0] = replyType(r.family)
	message[2], message[3] = 0, 0
	binary.BigEndian.PutUint16(message[2:], ^fold(sum16(message)))
	return event{kind: eventReply, family: r.family, from: r.addr, message: message, ttl: 57, tos: 46 << 2, unverified: true}
}

// altered returns the true answer with one byte changed and a right checksum.
func (r sent) altered(offset int) event {
	ev := r.reply()
	ev.message[offset] ^= 0x55
	ev.message[2], ev.message[3] = 0, 0
	binary.BigEndian.PutUint16(ev.message[2:], ^fold(sum16(ev.message)))
	return ev
}

// errored returns an ICMP error about r that quotes so many bytes of its payload.
func (r sent) errored(typ, code, quoted int) event {
	return event{kind: eventError, family: r.family, from: netip.MustParseAddr("198.18.255.1"), err: icmpError{
		typ: typ, code: code, to: r.addr,
		request: echoMessage{id: 0x1234, seq: r.seq, payload: r.message[icmpHeaderSize:][:quoted]},
	}}
}

// after returns a script that answers every request with ev after a time.
func after(d time.Duration, ev func(sent) event) func(sent) []answer {
	return func(r sent) []answer { return []answer{{d, ev(r)}} }
}

// leftovers returns an error if anything of a series is left in the tables of
// p. No series may be running.
func leftovers(p *Pinger) error {
	e := p.engine
	for i := range int32(e.live.size()) {
		if e.live.at(i).running {
			return fmt.Errorf("slot %d runs", i)
		}
	}
	for _, h := range e.index.heads {
		if h >= 0 {
			return fmt.Errorf("the index by address holds slot %d", h)
		}
	}
	for _, l := range e.lanes {
		if n := len(l.reqs) + len(l.held); n > 0 {
			return fmt.Errorf("%d requests wait to be sent", n)
		}
	}
	if e.index.count != 0 || e.wheel.count != 0 || e.flying != 0 {
		return fmt.Errorf("%d series in the index, %d timers, %d echoes in flight", e.index.count, e.wheel.count, e.flying)
	}
	if e.fast != 0 {
		return fmt.Errorf("%d series count as too fast for beats", e.fast)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	free := 0
	for i := p.free; i >= 0 && free <= p.used; i = p.slots.at(i).addrNext {
		free++
	}
	if free != p.used {
		return fmt.Errorf("%d of %d slots are free", free, p.used)
	}
	return nil
}
