package icmpcore

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

// A profile is what the series with equal options share, worked out once: the
// payload, the control messages, the times.
type profile struct {
	opts    Options // with defaults; OnEcho and Family left out
	payload []byte  // behind the cookie
	sum     uint32  // of payload, unfolded
	control []byte  // control messages for the family, made by the conn; may be nil
	split   split   // what the conn makes of fragmentation
	link    uint32  // index of the interface asked for, 0: none
	ring    int     // echoes kept for each series
	hasty   bool    // echoes come closer than beats allow
	made    time.Time
}

// split is whether a request may be fragmented.
type split uint8

const (
	splitAllowed split = iota // unless asked for
	splitNever                // as was asked for
	splitEither               // too short for it to matter
)

// newProfile works out a profile from valid options.
func newProfile(o Options) *profile {
	p := &profile{opts: o, payload: pattern(o.Size), made: time.Now()}
	p.sum = sum16(p.payload)
	p.ring = ringSize(o)
	p.hasty = o.Count != 1 && int64(o.Interval) < 2*beat
	return p
}

// maxRing bounds the echoes of a series that can be told apart: half the
// sequence numbers, so that an old reply is never taken for a new one.
const maxRing = 1 << 15

// ringSize returns how many echoes a series keeps: all of a short one, else
// twice what may be in flight at once, so that late replies are known too.
func ringSize(o Options) int {
	inFlight := int(o.Timeout/o.Interval) + 1
	size := min(max(2*inFlight, 256), maxRing)
	if o.Count != Forever {
		size = min(size, o.Count)
	}
	return size
}

// echoState is what is known of an echo.
type echoState uint8

const (
	echoInFlight echoState = iota
	echoReplied
	echoTimedOut
	echoErred    // an error that proved itself by the cookie, or was believed at the timeout
	echoUnsent   // the system refused to send it
	echoCutShort // was in flight when the series ended early: in no figure
)

// echo is one echo request of a series.
type echo struct {
	sent  int64 // monotonic ns, taken before the send
	stamp int64 // kernel's transmit stamp in wall ns, 0 where there is none yet
	rtt   int64 // ns, where state is echoReplied
	epoch uint32
	state echoState
	held  bool // in flight in name: the system's queue was full, and the lane holds the request
}

// unseen reports whether an echo ended with no sign that it ever left: the
// kernel has not stamped it and nobody has answered it.
func (c *echo) unseen() bool {
	return c.stamp == 0 && (c.state == echoTimedOut || c.state == echoErred || c.state == echoUnsent)
}

// series is one series of echoes. It belongs to the caller of Go until it is
// handed to the engine, then to the engine, and from its end to the delivery
// of its result; nobody else may look at it.
type series struct {
	host   string
	addr   netip.Addr
	prof   *profile
	done   func(PingResult)
	onEcho func(Echo)
	echoes []echo  // ring, by number modulo its length
	one    [1]echo // the ring of a series of one, so that it needs no second piece of memory
	rare   *rarities

	wall  int64 // wall ns of the first send
	start int64 // monotonic ns of the same
	due   int64 // monotonic ns of the next send
	end   int64 // monotonic ns of the last outcome

	timer              timerNode
	addrNext, addrPrev int32 // neighbours in the index by address; addrNext of a free slot is the next free one

	number   uint64 // echoes begun; the next one's number
	tail     uint64 // all echoes before this number are decided
	received uint64
	highest  uint32 // number of the highest echo replied to, plus one, modulo 2^32
	zone     uint32 // index of the link of an address that needs one
	gen      uint32 // how often the slot has been taken; cookies hold the lower half
	base     uint16 // sequence number of echo 0
	inFlight uint16 // at most maxRing

	ttl    uint8
	dscp   int8
	stamps Timestamps
	socket SocketKind
	queued bool // stands in the engine's queue of what to send
	group  bool // addr is multicast or broadcast: anybody may reply
}

// rarities holds what most series never need.
type rarities struct {
	duplicates, late, reordered, corrupt, held int

	past       *tally      // echoes that have left the ring
	unresolved int         // echoes cut short
	unsent     int         // echoes that the system refused
	errors     []EchoError // of an endless series, the last ones
	unproven   []EchoError // errors without a cookie, believed only at the timeout
	err        error
}

// rarely returns the rarities of s.
func (s *series) rarely() *rarities {
	if s.rare == nil {
		s.rare = new(rarities)
	}
	return s.rare
}

// at returns the echo of a number that is still in the ring.
func (s *series) at(number uint64) *echo { return &s.echoes[number%uint64(len(s.echoes))] }

// kept reports whether the echo of number is still in the ring.
func (s *series) kept(number uint64) bool { return s.number-number <= uint64(len(s.echoes)) }

// numbered returns the number whose lower half is low, of an echo that is still
// in the ring. ok is false where there is none.
func (s *series) numbered(low uint32) (number uint64, ok bool) {
	back := uint64(uint32(s.number) - low)
	return s.number - back, back >= 1 && back <= min(s.number, uint64(len(s.echoes)))
}

// endless reports whether s has no last echo.
func (s *series) endless() bool { return s.prof.opts.Count == Forever }

// more reports whether s has echoes left to send. An endless series has them as
// long as an int can count them, which matters on 32 bits.
func (s *series) more() bool {
	if s.endless() {
		return s.number < math.MaxInt
	}
	return s.number < uint64(s.prof.opts.Count)
}

// blocked reports whether the next echo must wait until the oldest one in the
// ring is decided.
func (s *series) blocked() bool { return s.number-s.tail >= uint64(len(s.echoes)) }

// over reports whether everything of s is decided.
func (s *series) over() bool { return s.inFlight == 0 && !s.more() }

// begin starts the next echo at time now and returns its number.
func (s *series) begin(now int64, epoch uint32) uint64 {
	n := s.number
	e := s.at(n)
	if size := uint64(len(s.echoes)); n >= size {
		s.retire(n-size, e)
	}
	*e = echo{sent: now, epoch: epoch}
	s.number++
	s.inFlight++
	interval := int64(s.prof.opts.Interval)
	if n == 0 {
		s.start, s.due = now, now
	}
	s.due += interval
	if s.due <= now {
		s.due = now + interval // more than an interval late: no burst to make up for it
	}
	return n
}

// retire keeps what is needed of the echo of number, which leaves the ring.
func (s *series) retire(number uint64, e *echo) {
	r := s.rarely()
	if r.past == nil {
		r.past = newTally()
	}
	r.past.add(number, e, s.endless())
}

// numberOf returns the number of the echo with the sequence number seq. ok is
// false where there has been none.
func (s *series) numberOf(seq uint16) (number uint64, ok bool) {
	last := s.base + uint16(s.number) - 1
	back := uint64(last - seq)
	if back >= s.number {
		return 0, false
	}
	return s.number - 1 - back, true
}

// decide gives an echo in flight its outcome.
func (s *series) decide(e *echo, state echoState, now int64) {
	e.state = state
	s.inFlight--
	s.end = max(s.end, now)
}

// keepError adds an error to the list.
func (s *series) keepError(err EchoError) {
	r := s.rarely()
	r.errors = append(r.errors, err)
	if s.endless() {
		r.errors = trim(r.errors, 2*foreverKept)
	}
}

// unprovenError takes out and returns the error without a cookie that is kept
// for the echo of number, if there is one.
func (s *series) unprovenError(number uint64) (EchoError, bool) {
	if s.rare == nil {
		return EchoError{}, false
	}
	for i, e := range s.rare.unproven {
		if e.Seq == int(number)+1 {
			s.rare.unproven = append(s.rare.unproven[:i], s.rare.unproven[i+1:]...)
			return e, true
		}
	}
	return EchoError{}, false
}

// result computes what came of s. now is the start of a series of which nothing
// was sent.
func (s *series) result(now time.Time) PingResult {
	r := PingResult{
		Host: s.host, Addr: s.addr, Sent: int(s.number), Received: int(s.received),
		Socket: s.socket, Start: now,
	}
	if s.wall != 0 {
		r.Start = time.Unix(0, s.wall)
		r.Duration = time.Duration(max(s.end-s.start, 0))
	}
	if r.Host == "" {
		r.Host = s.addr.String()
	}
	if x := s.rare; x != nil {
		r.Sent -= x.unresolved + x.unsent
		r.Duplicates, r.Late, r.Reordered, r.Corrupt, r.Held = x.duplicates, x.late, x.reordered, x.corrupt, x.held
		r.Errors, r.Err = x.errors, x.err
		if s.endless() {
			r.Errors = trim(r.Errors, 0)
		}
		slices.SortFunc(r.Errors, func(a, b EchoError) int { return a.Seq - b.Seq })
	}
	if s.received > 0 {
		if r.TTL = int(s.ttl); r.TTL > 0 {
			r.Hops, r.OSGuess = hops(r.TTL), osGuess(r.TTL)
		}
		r.ReplyDSCP, r.Timestamps = int(s.dscp), s.stamps
	}
	if r.Err == nil && r.Sent == 0 && len(r.Errors) > 0 { // not one went out
		r.Err = r.Errors[0].Err
	}
	t := tally{last: -1}
	t.addAll(s, r.Sent)
	t.fill(&r)
	return r
}
