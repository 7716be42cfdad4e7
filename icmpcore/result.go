package icmpcore

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// PingResult is what came of one series of echoes. It is a value that nobody
// changes once it is given out.
//
// Min to P99, RTTs, TTL, Hops, OSGuess and ReplyDSCP mean something only where
// Received is above zero, and IPDV only where IPDVPairs is; elsewhere they are
// zero, and null in the JSON form.
//
// The result of an endless series ([Forever]) takes bounded memory. All counts,
// Loss, Min, Max, Mean, Jitter and IPDV are of all its echoes. RTTs, Lost and
// Errors hold the last [ForeverKept] of each, and Median and P50 to P99 are those
// of these RTTs.
type PingResult struct {
	Host string     // as it was given
	Addr netip.Addr // what was probed; invalid where the name did not resolve

	// Sent counts the echo requests that the system took. Those that it refused
	// are among Errors, with the kind [ErrorSend]. Requests that were still
	// waiting for their reply when a series was cut short are in no figure.
	Sent     int
	Received int     // replies in time, one for each request at most
	Loss     float64 // percent of Sent that got no reply in time; 0 where Sent is 0
	Lost     []int   // which requests these are, from 1, in the order of sending

	Min, Max, Mean, Median time.Duration
	Jitter                 time.Duration   // sample standard deviation of RTTs, 0 under two replies
	P50, P90, P95, P99     time.Duration   // linear interpolation between closest ranks, see [Percentile]
	IPDV                   time.Duration   // mean absolute difference of the RTTs of successive requests (RFC 3393)
	IPDVPairs              int             // pairs of successive requests that both got their reply, which IPDV is the mean of
	RTTs                   []time.Duration // in the order of sending

	TTL       int    // TTL or hop limit of the first reply, 0 where the system does not say
	Hops      int    // estimated from TTL: initial value - TTL + 1
	OSGuess   string // what usually starts at that initial TTL
	ReplyDSCP int    // DSCP of the first reply, 0 to 63, -1 where the system does not say

	// What comes after the last echo is decided is in [Stats] alone: a series
	// of one echo that is answered has no duplicates.
	Duplicates int // further replies to an echo that has its reply
	Late       int // replies that came after their timeout
	Reordered  int // replies to an earlier request than one already replied to (RFC 4737)
	Corrupt    int // replies to our echoes with a wrong checksum, payload or length

	// Held counts the lost requests that show no sign of having left this
	// machine within their timeout: the kernel stamps what its sockets send, and
	// has stamped none of these. The neighbour does not answer the question for
	// its hardware address, or the network device stands still.
	Held int

	Errors []EchoError // the requests that ended in an error, in the order of sending

	Timestamps Timestamps
	Socket     SocketKind
	Start      time.Time     // when the first request was sent, or the series failed
	Duration   time.Duration // from Start to the last outcome

	// Err is what kept the target from being probed, or cut the series
	// short: an [*OptionError], [*ResolveError], [*SendError] (not one
	// request could be sent), a context's error, or [net.ErrClosed]. Loss is
	// not an error: see Failure.
	Err error
}

// Success reports whether at least one reply came in time.
func (r *PingResult) Success() bool { return r.Received > 0 }

// Failure is the verdict on the series: nil where anything was received, Err
// where nothing could be tried, else the error that came most among Errors
// (the first of them where several came as often), else an error that is
// [ErrTimeout], and says so where no request left this machine.
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
	most := 0
	var verdict EchoError
	for _, e := range r.Errors {
		counts[cause{e.Kind, e.Code, e.From}]++
	}
	for _, e := range r.Errors {
		if n := counts[cause{e.Kind, e.Code, e.From}]; n > most {
			most, verdict = n, e
		}
	}
	return verdict.Err()
}

// Family returns the IP version probed, FamilyAuto where there was no address.
func (r *PingResult) Family() Family {
	if !r.Addr.IsValid() {
		return FamilyAuto
	}
	return familyOf(r.Addr)
}

// String sums the result up in one line.
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

// ErrorKind is a kind of error that an echo request can meet, by the name it
// bears in the JSON form.
type ErrorKind string

// The kinds of error.
const (
	ErrorDestinationUnreachable ErrorKind = "destination_unreachable"
	ErrorTimeExceeded           ErrorKind = "time_exceeded"
	ErrorPacketTooBig           ErrorKind = "packet_too_big"
	ErrorParameterProblem       ErrorKind = "parameter_problem"
	ErrorSend                   ErrorKind = "send"
)

// EchoError is the error that one echo request met.
type EchoError struct {
	Seq     int // which request of the series, from 1
	Kind    ErrorKind
	Type    int        // ICMP or ICMPv6 type, 0 for ErrorSend
	Code    int        // ICMP or ICMPv6 code, 0 for ErrorSend
	MTU     int        // of the next link, for ErrorPacketTooBig; 0 is unknown
	Pointer int        // for ErrorParameterProblem: at which byte of the request's IP packet the fault is; 0 also where not said
	Message string     // what type and code mean, or what the system said
	From    netip.Addr // who reported it; invalid for ErrorSend and where unknown

	send error // the [*SendError] of ErrorSend
}

// Err returns e as the typed error of its kind: [*DestinationUnreachable],
// [*TimeExceeded], [*PacketTooBig], [*ParameterProblem] or [*SendError].
func (e EchoError) Err() error {
	switch e.Kind {
	case ErrorTimeExceeded:
		return &TimeExceeded{Code: e.Code, Message: e.Message, From: e.From}
	case ErrorPacketTooBig:
		return &PacketTooBig{Code: e.Code, Message: e.Message, MTU: e.MTU, From: e.From}
	case ErrorParameterProblem:
		return &ParameterProblem{Code: e.Code, Message: e.Message, Pointer: e.Pointer, From: e.From}
	case ErrorSend:
		if e.send == nil { // not one of ours
			return &SendError{Err: errors.New(e.Message)}
		}
		return e.send
	}
	return &DestinationUnreachable{Code: e.Code, Message: e.Message, From: e.From}
}

// Echo is one thing that happened to one echo request, for [Options.OnEcho].
type Echo struct {
	Host    string
	Addr    netip.Addr    // the address probed
	Seq     int           // which request of the series, from 1
	Outcome Outcome       // what happened
	Time    time.Time     // when: a reply or an error came in, or the timeout was found to have passed
	From    netip.Addr    // who replied, or who reported the error
	RTT     time.Duration // for OutcomeReply, OutcomeDuplicate and OutcomeLate
	TTL     int           // of the reply, 0 where there is none
	DSCP    int           // of the reply, -1 where the system does not say
	Size    int           // payload bytes of the reply
	Err     error         // for OutcomeError: as [EchoError.Err]
}

// Outcome is what happened to an echo request.
type Outcome uint8

// The outcomes. Each request has exactly one of reply, timeout and error;
// duplicates, late and corrupt replies may come besides.
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
