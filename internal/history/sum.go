package history

import (
	"errors"
	"math"
	"net"

	"github.com/pingtel/pingtel/icmpcore"
)

// The counts of a round, or of all rounds of a time.
const (
	Sent = iota
	Received
	Late
	Duplicates
	Corrupt
	DestinationUnreachable
	TimeExceeded
	PacketTooBig
	ParameterProblem
	SendFailed
	Unresolved   // rounds in which the name had no address, by an answer of the DNS
	LookupFailed // rounds in which the DNS gave no answer, and none was known
	Unsent       // rounds in which nothing could be sent for another reason

	counts // how many there are
)

// CountNames are the names of the counts in JSON.
var CountNames = [counts]string{
	"sent", "received", "late", "duplicates", "corrupt", "destination_unreachable", "time_exceeded",
	"packet_too_big", "parameter_problem", "send", "unresolved", "lookup_failed", "unsent",
}

var errorCounts = map[icmpcore.ErrorKind]int{
	icmpcore.DestinationUnreachable: DestinationUnreachable, icmpcore.TimeExceeded: TimeExceeded,
	icmpcore.PacketTooBig: PacketTooBig, icmpcore.ParameterProblem: ParameterProblem, icmpcore.SendFailed: SendFailed,
}

// shape is what a round has besides its round-trip times. Rounds in a row often have
// the same.
type shape struct {
	after uint32 // seconds since the round before
	n     [counts]uint32
}

// shapeOf returns the shape of a result, and whether it says anything: a round that
// the end of the process cut short before anything was sent does not.
func shapeOf(r *icmpcore.PingResult) (s shape, ok bool) {
	s.n[Sent], s.n[Received] = uint32(r.Sent), uint32(len(r.RTTs))
	s.n[Late], s.n[Duplicates], s.n[Corrupt] = uint32(r.Late), uint32(r.Duplicates), uint32(r.Corrupt)
	for i := range r.Errors {
		s.n[errorCounts[r.Errors[i].Kind]]++
	}
	if r.Sent > 0 {
		return s, true
	}
	var resolve *icmpcore.ResolveError
	var send *icmpcore.SendError
	var option *icmpcore.OptionError
	switch {
	case errors.As(r.Err, &resolve):
		var dns *net.DNSError
		if errors.As(resolve.Err, &dns) && dns.IsNotFound {
			s.n[Unresolved] = 1
		} else {
			s.n[LookupFailed] = 1
		}
	case s.n[SendFailed] > 0, errors.As(r.Err, &send), errors.As(r.Err, &option):
		s.n[Unsent] = 1
	default:
		return s, false
	}
	return s, true
}

// Sum is the sum of all rounds of a time. The zero value is that of none.
type Sum struct {
	Rounds uint64
	Counts [counts]uint64
	RTTs   Histogram

	squares float64 // sum of squared deviations from the mean inside each round, in seconds
	freedom float64 // round-trip times less the rounds that have any
}

// Add adds another sum.
func (s *Sum) Add(other *Sum) {
	s.Rounds += other.Rounds
	for i, n := range other.Counts {
		s.Counts[i] += n
	}
	s.RTTs.Add(&other.RTTs)
	s.squares += other.squares
	s.freedom += other.freedom
}

// Loss returns the part of the echoes sent that have no reply in time, 0 to 1, and
// whether any was sent.
func (s *Sum) Loss() (float64, bool) {
	if s.Counts[Sent] == 0 {
		return 0, false
	}
	return 1 - float64(s.Counts[Received])/float64(s.Counts[Sent]), true
}

// Jitter returns the sample standard deviation of the round-trip times inside the
// rounds, pooled, in seconds, and whether any round had two of them. It is within
// 2 % of the true one.
func (s *Sum) Jitter() (float64, bool) {
	if s.freedom == 0 {
		return 0, false
	}
	return math.Sqrt(s.squares / s.freedom), true
}
