package path

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/pingtel/pingtel/icmpcore"
)

// MTU is the largest packet that a path takes without fragments.
type MTU struct {
	Size      int  // bytes of the whole IP packet; 0 if even the smallest were lost
	Exact     bool // one byte more does not get through
	Interface int  // what was tried first
	Least     int  // the smallest that was tried if Size is 0

	// Lossy says that packets of Size get through at times only, and that it cannot be told
	// whether larger ones do.
	Lossy bool

	// Reported says that a router reported with Packet Too Big what it can forward.
	// Without it packets that are too large get no answer: a black hole.
	Reported bool

	// Hop and From are the router that reported it or, without a report, the last one
	// that large packets reach. 0 and the zero Addr if not known.
	Hop  int
	From netip.Addr
}

// Known returns the size, 0 if it is not known.
func (m *MTU) Known() int {
	if m == nil || m.Lossy {
		return 0
	}
	return m.Size
}

// bounded reports whether the path takes less than the interface.
func (m *MTU) bounded() bool { return m.Size < m.Interface && !m.Lossy }

func (m *MTU) text() string {
	size := fmt.Sprintf("%d bytes", m.Size)
	if !m.Exact {
		size = "about " + size
	}
	switch {
	case m.Size == 0:
		return fmt.Sprintf("packets of %d to %d bytes that must not be fragmented get no answer", m.Least, m.Interface)
	case m.Reported:
		return fmt.Sprintf("the path takes packets of at most %s: %s reports that they are too big for the next link", size, place(m.Hop, m.From))
	case m.Hop == 0:
		return fmt.Sprintf("larger packets than %s get no answer, and no router reports why", size)
	}
	return fmt.Sprintf("larger packets than %s get no answer beyond %s, and no router reports why: a black hole", size, place(m.Hop, m.From))
}

const (
	mtuEchoes   = 2  // of each size
	mtuMore     = 6  // of each size, where chance has lost those of a size that gets through
	mtuHop      = 5  // to each hop, of a size that is too large
	mtuSure     = 10 // of the sizes between which the limit is, if no router reports it; twice as many with mtuMore
	mtuParallel = 96 // sizes in a round
	mtuRounds   = 10 // of the whole search
)

// search is the search for the MTU of a path. Sizes are of whole IP packets.
type search struct {
	*tracer
	trace *Trace
	mtu   MTU
	head  int // bytes of the headers
	good  int // the largest size that the target answered
	bad   int // the smallest size above it that it did not
	big   int // the smallest size that a router reported to be too big
	by    netip.Addr
	next  int // the MTU that a router has reported; 0: none
	count int // rounds
	each  int // echoes of each size

	wait  sync.Mutex // guards what follows; held while series are started
	runs  int
	sizes []tried
}

// tried is a size in a round.
type tried struct {
	size, ttl      int // ttl 0: the whole path
	count          int // echoes
	sent, answered int
	err            *icmpcore.EchoError // Packet Too Big
}

func newSearch(t *tracer, tr *Trace) *search {
	s := &search{tracer: t, trace: tr, head: 28, good: 67, each: mtuEchoes}
	if t.target.Addr.Unmap().Is6() {
		s.head, s.good = 48, 1279
	}
	most := min(t.opts.MTU, s.head+65507)
	s.mtu.Interface, s.mtu.Least, s.bad, s.big = most, s.good+1, most+1, most+1
	return s
}

// round tries the next sizes. Where there are none left, it looks for the hop.
func (s *search) round() {
	s.count++
	switch {
	case s.bad-s.good <= 1 || s.count > mtuRounds:
		s.locate()
	case s.next > s.good && s.next < s.bad:
		sizes := []tried{{size: s.next}}
		if s.next+1 < s.bad { // a router may report less than it forwards
			sizes = append(sizes, tried{size: s.next + 1})
		}
		s.try(sizes...)
	case s.count == 1:
		s.try(tried{size: s.mtu.Interface})
	default:
		s.try(s.between()...)
	}
}

// between returns sizes that are spread over what is not known yet: all of it if it is
// little, else so many that another round decides.
func (s *search) between() []tried {
	span := s.bad - s.good - 1
	n := span
	if span > mtuParallel/2 {
		n = min(int(math.Ceil(math.Sqrt(float64(span+1)))), mtuParallel)
	}
	var sizes []tried
	if s.mtu.Size == 0 && n < span {
		sizes = append(sizes, tried{size: s.good + 1}) // the least that every path must take
	}
	for i := 1; i <= n; i++ {
		sizes = append(sizes, tried{size: s.good + (span*i+n-1)/n})
	}
	return sizes
}

// try sends echoes of the sizes and goes on when each has its outcome.
func (s *search) try(sizes ...tried) {
	s.wait.Lock()
	defer s.wait.Unlock()
	s.sizes, s.runs = sizes, 1 // 1: for this function
	for i := range sizes {
		o := s.opts.Echoes
		o.Count, o.Size, o.TTL, o.DontFragment, o.Flow = sizes[i].count, sizes[i].size-s.head, sizes[i].ttl, true, 1
		if o.Count == 0 {
			o.Count = s.each
		}
		o.Timeout = s.mtuTime()
		if o.TTL == 0 {
			o.TTL = maxTTL
		}
		o.OnEcho = func(e icmpcore.Echo) { s.see(i, &e) }
		s.runs++
		if _, err := s.prober.Go(s.target, o, func(r icmpcore.PingResult) { s.ended(i, r.Sent, r.Err) }); err != nil {
			s.runs--
			s.trace.Err = err
		}
	}
	go s.ended(0, 0, nil) // not here: the lock is held
}

func (s *search) see(i int, e *icmpcore.Echo) {
	s.wait.Lock()
	defer s.wait.Unlock()
	var failed *icmpcore.EchoError
	switch t := &s.sizes[i]; {
	case e.Outcome == icmpcore.OutcomeReply:
		t.answered++
	case e.Outcome != icmpcore.OutcomeError || !errors.As(e.Err, &failed):
	case failed.Kind == icmpcore.PacketTooBig:
		t.err = failed
	case failed.Kind == icmpcore.TimeExceeded && t.ttl > 0:
		t.answered++
	}
}

// ended takes the end of a series of the i-th size.
func (s *search) ended(i, sent int, err error) {
	s.wait.Lock()
	s.runs--
	s.trace.Sent += sent
	s.sizes[i].sent += sent
	if err != nil {
		s.trace.Err = err
	}
	over := s.runs == 0
	s.wait.Unlock()
	if !over {
		return
	}
	if s.trace.Err != nil { // the Pinger is closed, for example
		s.stop()
		return
	}
	if s.sizes[0].count > 0 {
		s.located()
		return
	}
	s.learn()
	s.round()
}

// learn takes over what a round has shown.
func (s *search) learn() {
	s.next = 0
	for i := range s.sizes {
		if t := &s.sizes[i]; t.answered > 0 {
			s.good = max(s.good, t.size)
			s.mtu.Size = s.good
		}
	}
	for i := range s.sizes {
		t := &s.sizes[i]
		if t.answered > 0 {
			continue
		}
		if t.size <= s.good {
			s.each = mtuMore
			continue
		}
		if t.err != nil && t.size <= s.big {
			s.big, s.by = t.size, t.err.From
			if m := t.err.MTU; m > s.good && m < t.size {
				s.next = m
			}
		}
		s.bad = min(s.bad, t.size)
	}
	if s.big <= s.good { // what one router refused went through later
		s.big = s.mtu.Interface + 1
	}
	s.mtu.Reported = s.bad == s.big && s.big <= s.mtu.Interface
}

// locate looks for the last hop that packets reach which are too large for the path, and
// makes sure that it is their size that keeps them from the target.
func (s *search) locate() {
	s.mtu.Exact = s.bad-s.good == 1 && s.mtu.Size > 0
	if !s.mtu.bounded() || s.mtu.Reported || s.mtu.Size == 0 {
		s.stop()
		return
	}
	sure := mtuSure
	if s.each > mtuEchoes {
		sure *= 2
	}
	sizes := []tried{{size: s.bad, count: sure}, {size: s.good, count: sure}}
	for ttl := 1; ttl < len(s.trace.Hops); ttl++ {
		sizes = append(sizes, tried{size: s.bad, ttl: ttl, count: mtuHop})
	}
	s.try(sizes...)
}

// located takes the last hop that answered, unless it was chance that lost the packets
// which seemed to be too large. Then the search goes on from there.
func (s *search) located() {
	bad, good := &s.sizes[0], &s.sizes[1]
	switch {
	case bad.answered > 0 && s.count <= mtuRounds:
		s.each = mtuMore
		s.good, s.bad, s.mtu.Size = s.bad, s.big, s.bad
		s.mtu.Reported, s.next = s.big <= s.mtu.Interface, 0
		s.round()
		return
	case bad.answered > 0:
		s.mtu.Size, s.mtu.Lossy = s.bad, true
	case good.answered == 0:
		s.mtu.Lossy = true
	default:
		lost := tally{bad.sent + mtuEchoes, bad.sent + mtuEchoes} // with those of the round before, at least
		s.mtu.Lossy = !lost.losesMore(tally{good.sent, good.sent - min(good.answered, good.sent)}, contradiction)
	}
	s.mtu.Exact = s.mtu.Exact && !s.mtu.Lossy
	for _, t := range s.sizes[2:] {
		if t.answered > 0 {
			s.mtu.Hop = t.ttl
			s.mtu.From = s.trace.Hops[t.ttl-1].Addr()
		}
	}
	s.stop()
}

// stop hands the trace over.
func (s *search) stop() {
	if s.mtu.Reported {
		s.mtu.From, s.mtu.Hop = s.by, s.trace.hopOf(s.by)
	}
	if s.trace.Err == nil {
		s.trace.MTU = &s.mtu
	}
	s.finish(s.trace)
}

// InterfaceMTU returns the MTU of the interface that packets to addr leave by. It sends
// nothing. source and name are those of the echoes, if they are set.
func InterfaceMTU(addr netip.Addr, source netip.Addr, name string) (int, error) {
	if name == "" {
		name = addr.Zone()
	}
	if name != "" {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return 0, fmt.Errorf("MTU of %s: %w", name, err)
		}
		return i.MTU, nil
	}
	local := source
	if !local.IsValid() {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr.Unmap(), 9))) // only looks the route up
		if err != nil {
			return 0, fmt.Errorf("route to %s: %w", addr, err)
		}
		local = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
		conn.Close() // nothing was written
	}
	all, err := net.Interfaces()
	if err != nil {
		return 0, fmt.Errorf("interfaces: %w", err)
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return 0, fmt.Errorf("addresses of %s: %w", i.Name, err)
		}
		has := func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && p.Addr().Unmap() == local.Unmap().WithZone("")
		}
		if slices.ContainsFunc(addrs, has) {
			return i.MTU, nil
		}
	}
	return 0, fmt.Errorf("no interface has the address %s that packets to %s leave from", local, addr)
}
