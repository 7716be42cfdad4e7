package icmpcore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
	"unsafe"
)

// DefaultMaxRate is the default of [Config.MaxRate], in echo requests a second.
const DefaultMaxRate = 10000

// Config says how to open a [Pinger]. The zero value is ready to use.
type Config struct {
	// Socket is the kind of socket to use. The zero value, SocketAuto, takes raw
	// if it is allowed, otherwise datagram.
	Socket SocketKind

	// MaxRate limits the echo requests a second of all series together. Zero
	// means DefaultMaxRate, a negative value means no limit.
	MaxRate int

	// Resolver looks names up. Nil means [net.DefaultResolver].
	Resolver *net.Resolver

	// Portable makes Linux use the socket of golang.org/x/net/icmp, which all
	// other systems use. It has no kernel timestamps, and no ICMP errors on
	// datagram sockets.
	Portable bool

	// Opened, if not nil, is called once by Open, on the goroutine that called
	// Open. The sockets are open then, and nothing has been read from them yet
	// (except that the portable socket may have begun to read): this is the
	// moment to give up privileges. If it fails, Open closes the sockets and
	// returns its error.
	Opened func() error
}

// Target is a host and the address to probe for it.
type Target struct {
	Host string     // for the result; empty means the text of Addr
	Addr netip.Addr // with a zone if it is link-local
}

// Ping opens a Pinger, sends one series to host and closes the Pinger. See
// [Pinger.Ping].
func Ping(ctx context.Context, host string, opts Options) (PingResult, error) {
	p, err := Open(Config{})
	if err != nil {
		return PingResult{Host: host, Err: err}, err
	}
	res, err := p.Ping(ctx, host, opts)
	if cerr := p.Close(); err == nil {
		err = cerr
	}
	return res, err
}

// Stats are the counts of a [Pinger] since it was opened, over all series.
type Stats struct {
	Sent          uint64 // echo requests that the system accepted
	Received      uint64 // replies in time
	Timeouts      uint64 // requests without a reply or an error in time
	Duplicates    uint64 // more replies to a request that has its reply
	Late          uint64 // replies after their timeout, also after the end of their series
	Corrupt       uint64 // replies to our requests with a wrong checksum, payload or length
	Foreign       uint64 // packets that looked like ours but were not: forged, replayed, or of another pinger
	Errors        uint64 // ICMP errors about our requests
	SendErrors    uint64 // requests that the system refused to send
	SendWaits     uint64 // times that a request had to wait because a queue was full (ENOBUFS, EAGAIN)
	ReceiveErrors uint64 // failures of a socket to receive after which it went on
	KernelDrops   uint64 // packets that the kernel dropped because the receive buffer was full
	ClockSteps    uint64 // steps of the wall clock
	Series        int    // series that are running now
}

// Pinger sends any number of series at once over a few sockets for each IP
// version: one receives, the others send. It is safe for concurrent use.
type Pinger struct {
	conn     conn
	engine   *engine
	inbox    inbox
	outbox   outbox
	resolver *net.Resolver
	ended    chan struct{} // closed when engine and delivery have ended
	links    links

	mu       sync.Mutex // guards the fields below
	slots    slots
	used     int   // slots ever taken
	free     int32 // head of the list of free slots, linked by addrNext; -1: the list is empty
	profiles map[profileKey]*profile
	lastKey  profileKey // most callers use the same options again
	last     *profile
}

// Open opens the sockets for each IP version that the system has. The error is a
// [*PermissionError] if the system allows none.
func Open(cfg Config) (*Pinger, error) {
	if cfg.Socket > SocketDatagram {
		return nil, &OptionError{Field: "socket", Value: cfg.Socket.String(), Want: orList(socketNames[:])}
	}
	open := openConn
	if cfg.Portable {
		open = openPortable
	}
	c, err := open(cfg.Socket)
	if err != nil {
		return nil, err
	}
	if cfg.Opened != nil {
		if err := cfg.Opened(); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return newPinger(c, cfg, systemClock()), nil
}

// newPinger starts a Pinger on an open conn.
func newPinger(c conn, cfg Config, read func() (mono, wall int64)) *Pinger {
	p := &Pinger{
		conn: c, resolver: cfg.Resolver, ended: make(chan struct{}),
		profiles: make(map[profileKey]*profile), free: -1,
	}
	if p.resolver == nil {
		p.resolver = net.DefaultResolver
	}
	rate := cfg.MaxRate
	if rate == 0 {
		rate = DefaultMaxRate
	}
	p.links.start()
	p.inbox.wake = c.wake
	p.outbox = outbox{slots: &p.slots, free: p.release, ready: make(chan struct{}, 1)}
	p.engine = newEngine(c, read, rate, &p.inbox, &p.outbox, &p.slots)
	go p.serve() // ends after Close or when the sockets are lost; Close waits for it
	return p
}

// serve runs the engine and the delivery until both have ended.
func (p *Pinger) serve() {
	defer close(p.ended)
	var delivery sync.WaitGroup
	delivery.Go(p.outbox.run)
	p.engine.run()
	p.outbox.end()
	delivery.Wait()
}

// Close ends all series with [net.ErrClosed], calls all callbacks that are due,
// closes the sockets and returns. After that no callback is called. A second
// call waits for the first and returns nil. In a callback of this Pinger Close
// would wait for itself: there it does nothing and returns an error.
func (p *Pinger) Close() error {
	if err := p.mayWait(); err != nil {
		return err
	}
	p.inbox.close(net.ErrClosed)
	<-p.ended
	return p.conn.close()
}

var (
	errNotOpen    = errors.New("icmpcore: the Pinger was not made by Open")
	errInCallback = errors.New("icmpcore: called from a callback of the same Pinger, so it would wait for itself")
)

// mayWait returns an error if the caller must not wait for the Pinger.
func (p *Pinger) mayWait() error {
	switch {
	case p.engine == nil:
		return errNotOpen
	case p.outbox.onCallback():
		return errInCallback
	}
	return nil
}

// Ping resolves host, sends one series to it and waits for its result. The
// error is that of [PingResult.Err]. When ctx is done the series ends early,
// and the result holds what was decided by then. Results come in the order in
// which series end, so Ping also waits for the callbacks of the series that
// ended before. In a callback of this Pinger it returns an error at once: use
// [Pinger.Go] there.
func (p *Pinger) Ping(ctx context.Context, host string, opts Options) (PingResult, error) {
	failed := func(err error) (PingResult, error) {
		return PingResult{Host: host, Start: time.Now(), Err: err}, err
	}
	if err := p.mayWait(); err != nil {
		return failed(err)
	}
	if err := opts.Validate(); err != nil {
		return failed(err)
	}
	if ctx == nil {
		ctx = context.Background()
	}
	target, err := p.Resolve(ctx, host, opts.Family)
	if err != nil {
		return failed(err)
	}
	result := make(chan PingResult, 1)
	run, err := p.Go(target, opts, func(r PingResult) { result <- r })
	if err != nil {
		return failed(err)
	}
	select {
	case r := <-result:
		return r, r.Err
	case <-ctx.Done():
		run.end(ctx.Err())
		r := <-result
		return r, r.Err
	}
}

// Run is a series that [Pinger.Go] has started. The zero value is no series.
type Run struct {
	p    *Pinger
	slot int32
	gen  uint32
}

// Cancel makes the series end with [context.Canceled] and does not wait for
// that: soon after, the callback gets the result of what was decided by then.
// Cancel does nothing if the series has ended or the Pinger is closed. Any
// goroutine may call it, and so may a callback.
func (r Run) Cancel() { r.end(context.Canceled) }

func (r Run) end(err error) {
	if r.p != nil {
		r.p.inbox.cancel(cancellation{slot: r.slot, gen: r.gen, err: err})
	}
}

// Go starts one series and returns at once. If it returns an error (an
// [*OptionError], no socket for the family of the address, [net.ErrClosed]), it
// does not call done. Otherwise it calls done once, with the result of the
// series, unless done is nil. The call may come before Go returns.
//
// done runs on a goroutine of the Pinger that makes one call at a time. If it
// is slow it delays the other callbacks but never the measuring. It may call Go
// and [Run.Cancel]. It must not call [Pinger.Ping] or [Pinger.Close] of the
// same Pinger, which return an error there, and must not wait for a goroutine
// that is in one of them. See "Callbacks" in the package documentation.
func (p *Pinger) Go(t Target, opts Options, done func(PingResult)) (Run, error) {
	if p.engine == nil {
		return Run{}, errNotOpen
	}
	slot, gen, err := p.start(t, opts, done)
	if err != nil {
		return Run{}, err
	}
	return Run{p, slot, gen}, nil
}

// start hands a new series to the engine.
func (p *Pinger) start(t Target, opts Options, done func(PingResult)) (slot int32, gen uint32, err error) {
	addr := t.Addr.Unmap()
	if !addr.IsValid() || addr.IsUnspecified() {
		return 0, 0, &OptionError{Field: "address", Value: t.Addr.String(), Want: "the address of a host"}
	}
	f := familyOf(addr)
	kind, err := p.conn.socket(f)
	if err != nil {
		return 0, 0, noSocketError(f, err)
	}
	zone, err := zoneIndex(addr)
	if err != nil {
		return 0, 0, err
	}
	if zone == 0 && opts.Interface == "" && linkBound(addr) {
		if addr, zone, err = p.links.only(addr); err != nil {
			return 0, 0, err
		}
	}
	group := addr.IsMulticast() || p.links.broadcast(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	prof, err := p.profile(opts, f)
	if err != nil {
		return 0, 0, err
	}
	if prof.link != 0 && linkBound(addr) {
		if zone != 0 && zone != prof.link {
			return 0, 0, &OptionError{Field: "interface", Value: opts.Interface, Want: "the link that the address names, " + addr.Zone()}
		}
		zone = prof.link
	}
	if slot, err = p.slot(); err != nil {
		return 0, 0, err
	}
	s := p.slots.at(slot)
	ring := s.echoes // of the series before, for reuse
	*s = series{
		host: t.Host, addr: addr, zone: zone, prof: prof, done: done, onEcho: opts.OnEcho,
		socket: kind, gen: s.gen + 1, group: group,
	}
	switch {
	case prof.ring == 1:
		s.echoes = s.one[:]
	case cap(ring) >= prof.ring:
		s.echoes = ring[:prof.ring]
	default:
		s.echoes = make([]echo, prof.ring)
	}
	if err := p.inbox.start(slot); err != nil {
		p.giveBack(slot)
		return 0, 0, err
	}
	return slot, s.gen, nil
}

var errTooMany = errors.New("icmpcore: 16.7 million series are running, and no more are possible")

// slot returns a free slot. The caller holds p.mu.
func (p *Pinger) slot() (int32, error) {
	if i := p.free; i >= 0 {
		p.free = p.slots.at(i).addrNext
		return i, nil
	}
	if p.used == maxSlots {
		return 0, errTooMany
	}
	i := int32(p.used)
	if p.used%chunkSize == 0 {
		chunk := new([chunkSize]series)
		prefault(unsafe.Slice((*byte)(unsafe.Pointer(chunk)), unsafe.Sizeof(*chunk)))
		p.slots.chunks[p.used/chunkSize] = chunk
	}
	p.used++
	return i, nil
}

// release makes slots free.
func (p *Pinger) release(slots []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range slots {
		p.giveBack(i)
	}
}

// giveBack makes one slot free. The caller holds p.mu.
func (p *Pinger) giveBack(i int32) {
	p.slots.at(i).addrNext = p.free
	p.free = i
}

// Stats returns the counts so far.
func (p *Pinger) Stats() Stats {
	if p.engine == nil {
		return Stats{}
	}
	return p.engine.stats()
}

// Timestamps returns the best source of times that the sockets have.
func (p *Pinger) Timestamps() Timestamps {
	if p.engine == nil {
		return TimestampsNone
	}
	return p.conn.stamps()
}

// Socket returns the kind of the sockets of a family, SocketAuto if it has none
// and for FamilyAuto.
func (p *Pinger) Socket(f Family) SocketKind {
	if p.engine == nil || f != FamilyIPv4 && f != FamilyIPv6 {
		return SocketAuto
	}
	kind, err := p.conn.socket(f)
	if err != nil {
		return SocketAuto
	}
	return kind
}
