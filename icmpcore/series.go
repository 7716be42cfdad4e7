package icmpcore

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

// A profile holds what series with the same options share, computed once: the
// payload, the control messages, the times.
type profile struct {
	opts    Options // with defaults; without OnEcho and Family
	payload []byte  // after what differs from echo to echo
	sum     uint32  // of payload, unfolded
	control []byte  // control messages for the family, made by the conn; may be nil
	split   split   // set by the conn
	link    uint32  // index of the requested interface, 0: none
	ring    int     // echoes kept for each series
	fast    bool    // the interval is too short for beats
	made    time.Time
}

// split says whether a request may be fragmented.
type split uint8

const (
	splitAllowed split = iota // the default
	splitNever                // Options.DontFragment
	splitEither               // the packet is so short that it makes no difference
)

// newProfile makes a profile of valid options.
func newProfile(o Options) *profile {
	p := &profile{opts: o, made: time.Now()}
	p.payload = pattern(o.Size)[p.headSize()-headSize:]
	p.sum = sum16(p.payload)
	p.ring = ringSize(o)
	p.fast = o.Count != 1 && int64(o.Interval) < 2*beat
	return p
}

// maxRing is how many echoes of a series can be told apart: half as many as
// there are sequence numbers, so an old reply is never mistaken for a new one.
const maxRing = 1 << 15

// ringSize returns how many echoes a series keeps: all of a short series,
// otherwise twice as many as can be in flight at once, so that late replies are
// recognized too.
func ringSize(o Options) int {
	inFlight := int(o.Timeout/o.Interval) + 1
	size := 256
	if o.Count == Forever {
		size = min(size, o.Keep)
	}
	size = min(max(2*inFlight, size), maxRing)
	if o.Count != Forever {
		size = min(size, o.Count)
	}
	return size
}

// echoState is the state of an echo.
type echoState uint8

const (
	echoInFlight echoState = iota
	echoReplied
	echoTimedOut
	echoErred    // ended by an error with the cookie, or by one without it at the timeout
	echoUnsent   // the system refused to send it
	echoCutShort // was in flight when the series ended early: counted nowhere
)

// echo is one echo request of a series.
type echo struct {
	sent  int64 // monotonic ns, taken before the send
	stamp int64 // kernel's transmit timestamp in wall ns, 0 if there is none yet
	rtt   int64 // ns, if state is echoReplied
	epoch uint32
	state echoState
	held  bool // not really in flight: the system's queue was full, and the lane holds the request
}

// unseen reports whether an echo ended without a sign that it ever left: there
// is no transmit timestamp and no reply.
func (c *echo) unseen() bool {
	return c.stamp == 0 && (c.state == echoTimedOut || c.state == echoErred || c.state == echoUnsent)
}

// series is one series of echoes. It belongs to the caller of Go until the
// engine has it, then to the engine, and after its end to the goroutine that
// delivers its result. No other goroutine may read it.
type series struct {
	host   string
	addr   netip.Addr
	prof   *profile
	done   func(PingResult)
	onEcho func(Echo)
	echoes []echo  // ring, by number modulo its length
	one    [1]echo // the ring of a series of one echo, which then needs no second allocation
	rare   *rareFields

	wall  int64 // wall ns of the first send
	start int64 // the same in monotonic ns
	due   int64 // monotonic ns of the next send
	end   int64 // monotonic ns of the last outcome

	timer              timerNode
	addrNext, addrPrev int32 // neighbours in the index by address; in a free slot addrNext is the next free slot

	number   uint64 // echoes begun, which is also the number of the next one
	tail     uint64 // all echoes before this number are decided
	received uint64
	highest  uint32 // highest number of an echo with a reply, plus one, modulo 2^32
	zone     uint32 // index of the link of an address that needs one
	gen      uint32 // how often the slot has been taken; a cookie holds the lower half
	base     uint16 // sequence number of echo 0
	inFlight uint16 // at most maxRing

	ttl    uint8
	dscp   int8
	stamps Timestamps
	socket SocketKind
	queued bool // is in a lane's queue of series that are ready
	group  bool // addr is multicast or broadcast: any host may reply
}

// rareFields holds what most series never need.
type rareFields struct {
	duplicates, late, reordered, corrupt, held int

	past       *tally         // echoes that are no longer in the ring
	unresolved int            // echoes in flight when the series ended early
	unsent     int            // echoes that the system refused to send
	errors     []EchoError    // of an endless series only the last ones
	unproven   []arrivedError // errors without a cookie, which count only at the timeout
	err        error
}

// arrivedError is an ICMP error about an echo, and when it came in.
type arrivedError struct {
	EchoError
	at     int64 // wall ns
	rtt    int64
	source Timestamps // of rtt
}

// rareFields returns the rare fields of s.
func (s *series) rareFields() *rareFields {
	if s.rare == nil {
		s.rare = new(rareFields)
	}
	return s.rare
}

// at returns the echo of a number that is still in the ring.
func (s *series) at(number uint64) *echo { return &s.echoes[number%uint64(len(s.echoes))] }

// kept reports whether the echo of number is still in the ring.
func (s *series) kept(number uint64) bool { return s.number-number <= uint64(len(s.echoes)) }

// numbered returns the number of the echo in the ring whose lower half is low.
// ok is false if there is none.
func (s *series) numbered(low uint32) (number uint64, ok bool) {
	back := uint64(uint32(s.number) - low)
	return s.number - back, back >= 1 && back <= min(s.number, uint64(len(s.echoes)))
}

// endless reports whether s has no last echo.
func (s *series) endless() bool { return s.prof.opts.Count == Forever }

// keep is how many RTTs, errors and lost numbers the result of s holds. 0 means
// all.
func (s *series) keep() int {
	if !s.endless() {
		return 0
	}
	return s.prof.opts.Keep
}

// more reports whether s has echoes left to send. An endless series has, until
// an int can count no more, which matters if int has 32 bits.
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
		s.due = now + interval // more than an interval late: do not catch up in a burst
	}
	return n
}

// retire adds the echo of number, which leaves the ring, to the tally.
func (s *series) retire(number uint64, e *echo) {
	r := s.rareFields()
	if r.past == nil {
		r.past = newTally()
	}
	r.past.add(number, e, s.keep())
}

// numberOf returns the number of the echo with the sequence number seq. ok is
// false if there was none.
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
	r := s.rareFields()
	r.errors = append(r.errors, err)
	r.errors = trim(r.errors, s.keep(), 2*s.keep())
}

// unprovenError removes and returns the error without a cookie that is kept for
// the echo of number, if there is one.
func (s *series) unprovenError(number uint64) (arrivedError, bool) {
	if s.rare == nil {
		return arrivedError{}, false
	}
	for i, e := range s.rare.unproven {
		if e.Seq == int(number)+1 {
			s.rare.unproven = append(s.rare.unproven[:i], s.rare.unproven[i+1:]...)
			return e, true
		}
	}
	return arrivedError{}, false
}

// result computes the result of s. now is the start of a series that has sent
// nothing.
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
		r.Errors = trim(r.Errors, s.keep(), 0)
		slices.SortFunc(r.Errors, func(a, b EchoError) int { return a.Seq - b.Seq })
	}
	if s.received > 0 {
		if r.TTL = int(s.ttl); r.TTL > 0 {
			r.Hops, r.OSGuess = hops(r.TTL), osGuess(r.TTL)
		}
		r.ReplyDSCP, r.Timestamps = int(s.dscp), s.stamps
	}
	if r.Err == nil && r.Sent == 0 && len(r.Errors) > 0 { // no request was sent
		r.Err = r.Errors[0].Err
	}
	t := tally{last: -1}
	t.addAll(s, r.Sent)
	t.fill(&r)
	return r
}
