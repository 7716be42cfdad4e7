package icmpcore

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// PingResult is the result of one series of echoes. The Pinger does not change
// it or its lists after it has returned them.
//
// Min to P99, RTTs, TTL, Hops, OSGuess and ReplyDSCP have a meaning only if
// Received is above zero, and IPDV only if IPDVPairs is. Otherwise they are
// zero, and null in the JSON form.
//
// The result of an endless series ([Forever]) takes bounded memory. All counts,
// Loss, Min, Max, Mean, Jitter and IPDV cover all its echoes. RTTs, Lost and
// Errors hold the last ones of each, as many as [Options.Keep] says, and Median
// and P50 to P99 cover only these RTTs.
type PingResult struct {
	Host string     // as given
	Addr netip.Addr // the address probed; invalid if the name did not resolve

	// Sent counts the echo requests that the system accepted. Those that it
	// refused are in Errors, with the kind [SendFailed]. If a series ended early,
	// requests that were still waiting for their reply are in no figure.
	Sent     int
	Received int     // replies in time, at most one for each request
	Loss     float64 // percent of Sent that got no reply in time; 0 if Sent is 0
	Lost     []int   // the numbers of these requests, from 1, in the order of sending

	Min, Max, Mean, Median time.Duration
	Jitter                 time.Duration   // sample standard deviation of RTTs, 0 for fewer than two replies
	P50, P90, P95, P99     time.Duration   // linear interpolation between closest ranks, see [Percentile]
	IPDV                   time.Duration   // mean absolute difference of the RTTs of successive requests (RFC 3393)
	IPDVPairs              int             // how many pairs of successive requests both got a reply: IPDV is their mean
	RTTs                   []time.Duration // in the order of sending

	TTL       int    // TTL or hop limit of the first reply, 0 if the system does not report it
	Hops      int    // estimated from TTL: initial value - TTL + 1
	OSGuess   string // the kind of system that usually starts at that initial TTL
	ReplyDSCP int    // DSCP of the first reply, 0 to 63, -1 if the system does not report it

	// A reply that comes after the series has ended is counted only in [Stats].
	// So the result of one answered echo has no duplicates.
	Duplicates int // more replies to an echo that has its reply
	Late       int // replies that came after their timeout
	Reordered  int // replies to a request sent before one that already has its reply (RFC 4737)
	Corrupt    int // replies to our echoes with a wrong checksum, payload or length

	// Held counts the lost requests that probably never left this machine: the
	// kernel takes the time of every packet that leaves, and took none for these
	// within their timeout. Either the neighbour does not answer ARP or neighbour
	// discovery, or the network device is stalled.
	Held int

	Errors []EchoError // the requests that ended in an error, in the order of sending

	Timestamps Timestamps
	Socket     SocketKind
	Start      time.Time     // when the first request was sent, or the series failed
	Duration   time.Duration // from Start to the last outcome

	// Err is why the target was not probed or the series ended early: an
	// [*OptionError], a [*ResolveError], a [*SendError] (no request at all could
	// be sent), the error of a context, or [net.ErrClosed]. Loss is not an error:
	// see Failure.
	Err error
}

// Success reports whether at least one reply came in time.
func (r *PingResult) Success() bool { return r.Received > 0 }

// Failure returns the verdict on the series. It is nil if any reply was received.
// Otherwise it is Err if that is set; else the most frequent of Errors as an
// [*EchoError], the first one on a tie; else an error that wraps [ErrTimeout],
// whose text says so if no request left this machine.
func (r *PingResult) Failure() error {
	switch {
	case r.Received > 0:
		return nil
	case r.Err != nil:
		return r.Err
	case len(r.Errors) == 0 && r.Held > 0 && r.Held == len(r.Lost):
		return errHeld
	case len(r.Errors) == 0:
		return ErrTimeout
	}
	type cause struct {
		kind ErrorKind
		code int
		from netip.Addr
	}
	counts := make(map[cause]int)
	for _, e := range r.Errors {
		counts[cause{e.Kind, e.Code, e.From}]++
	}
	most := 0
	var verdict *EchoError
	for i := range r.Errors {
		e := &r.Errors[i]
		if n := counts[cause{e.Kind, e.Code, e.From}]; n > most {
			most, verdict = n, e
		}
	}
	return verdict
}

// Family returns the IP version probed, FamilyAuto if there was no address.
func (r *PingResult) Family() Family {
	if !r.Addr.IsValid() {
		return FamilyAuto
	}
	return familyOf(r.Addr)
}

// String returns a summary of the result on one line.
func (r PingResult) String() string {
	name := r.Host
	if r.Addr.IsValid() && r.Addr.String() != r.Host {
		name += " (" + r.Addr.String() + ")"
	}
	if r.Sent == 0 && r.Err != nil {
		return name + ": " + r.Err.Error()
	}
	s := fmt.Sprintf("%s: %d sent, %d received, %.4g%% loss", name, r.Sent, r.Received, r.Loss)
	if r.Received > 0 {
		return s + fmt.Sprintf(", rtt min/mean/max/jitter %v/%v/%v/%v", r.Min, r.Mean, r.Max, r.Jitter)
	}
	if err := r.Failure(); !errors.Is(err, ErrTimeout) {
		s += ": " + err.Error()
	}
	return s
}

// Echo is an event of one echo request, reported to [Options.OnEcho].
type Echo struct {
	Host    string
	Addr    netip.Addr // the address probed
	Seq     int        // which request of the series, from 1
	Outcome Outcome    // what happened
	Time    time.Time  // when a reply or an ICMP error came in (by the kernel's time, if any), or the Pinger noticed a refusal or a timeout
	From    netip.Addr // who replied, or who reported the error

	// RTT is the time from the request to its reply or to the ICMP error about it,
	// and Timestamps the source of both times. If there is no such time, as for
	// OutcomeTimeout, OutcomeCorrupt and [SendFailed], RTT is 0 and Timestamps is
	// TimestampsNone. An ICMP error is often slower than a reply: many routers send
	// it with low priority.
	RTT        time.Duration
	Timestamps Timestamps

	TTL  int   // of the reply, 0 if there is none
	DSCP int   // of the reply, -1 if the system does not report it
	Size int   // payload bytes of the reply
	Err  error // for OutcomeError: an [*EchoError]
}

// Outcome is what happened to an echo request.
type Outcome uint8

// The outcomes. Each request has exactly one of reply, timeout and error. It can
// also have duplicate, late and corrupt replies.
const (
	OutcomeReply Outcome = iota
	OutcomeTimeout
	OutcomeError
	OutcomeDuplicate
	OutcomeLate
	OutcomeCorrupt
)

var outcomeNames = [...]string{"reply", "timeout", "error", "duplicate", "late", "corrupt"}

// String returns "reply", "timeout", "error", "duplicate", "late" or "corrupt".
func (o Outcome) String() string { return enumName(outcomeNames[:], int(o)) }
