package otel

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/pingtel/pingtel/icmpcore"
)

// scopeName is the name of the instrumentation scope.
const scopeName = "github.com/pingtel/pingtel/otel"

// kind is what an instrument's points are.
type kind uint8

const (
	counter kind = iota
	updown       // a sum that can fall
	gauge
	distribution
)

// instrument is a metric by its name.
type instrument struct {
	name, unit, description string
	kind                    kind
}

// The instruments of a target, as indices of targetInstruments.
const (
	rttMetric = iota
	requestsMetric
	repliesMetric
	errorsMetric
	duplicatesMetric
	reorderedMetric
	corruptMetric
	lossMetric
	jitterMetric
	ipdvMetric
	ttlMetric
	hopsMetric
	upMetric
	pathHopsMetric
	pathChangesMetric
	targetMetrics // how many there are
)

var targetInstruments = [targetMetrics]instrument{
	rttMetric:        {"ping.rtt", "s", "Round-trip times of replies in time.", distribution},
	requestsMetric:   {"ping.requests", "{request}", "Echo requests attempted.", counter},
	repliesMetric:    {"ping.replies", "{reply}", "Replies in time.", counter},
	errorsMetric:     {"ping.errors", "{error}", "Requests without a reply in time, by error.type.", counter},
	duplicatesMetric: {"ping.duplicates", "{reply}", "Further replies to one request.", counter},
	reorderedMetric:  {"ping.reordered", "{reply}", "Replies overtaken by a later one.", counter},
	corruptMetric:    {"ping.corrupt", "{reply}", "Replies with a wrong checksum, payload or length.", counter},
	lossMetric:       {"ping.loss", "1", "Loss of the latest series, 0 to 1.", gauge},
	jitterMetric:     {"ping.jitter", "s", "Sample standard deviation of the latest series' round-trip times.", gauge},
	ipdvMetric:       {"ping.ipdv", "s", "Mean absolute difference of the latest series' successive round-trip times.", gauge},
	ttlMetric:        {"ping.ttl", "{hop}", "TTL or hop limit of the latest series' first reply.", gauge},
	hopsMetric:       {"ping.hops", "{hop}", "Hops, estimated from the TTL of the reply.", gauge},
	upMetric:         {"ping.up", "{target}", "1 if the latest series had a reply, else 0.", gauge},

	pathHopsMetric:    {"ping.path.hops", "{hop}", "Hops to the target in the latest trace that reached it.", gauge},
	pathChangesMetric: {"ping.path.changes", "{change}", "Traces that took another path than the one before.", counter},
}

// The instruments on the program itself, as indices of selfInstruments.
const (
	targetsMetric = iota
	skippedMetric
	foreignMetric
	dropsMetric
	failedMetric
	sourceAgeMetric
	sourceFailuresMetric
	membersMetric // the first of those of a fleet
	ownedMetric
	changesMetric
	viewAgeMetric
	breaksMetric
	selfMetrics // how many there are
)

var selfInstruments = [selfMetrics]instrument{
	targetsMetric:        {"ping.target.count", "{target}", "Targets in the configuration in force.", updown},
	skippedMetric:        {"ping.rounds.skipped", "{round}", "Series left out because the target's last one still ran, or their time had passed.", counter},
	foreignMetric:        {"ping.foreign", "{packet}", "Packets that looked like ours and were not: forged, replayed, other pingers'.", counter},
	dropsMetric:          {"ping.kernel.drops", "{packet}", "Packets that the kernel dropped because the receive buffer was full.", counter},
	failedMetric:         {"ping.export.failed", "{export}", "Pushes that failed, wholly or in part.", counter},
	sourceAgeMetric:      {"ping.source.age", "s", "Age of the oldest list of targets in force, since its source last gave it.", gauge},
	sourceFailuresMetric: {"ping.source.failures", "{attempt}", "Attempts to read a source of targets that failed.", counter},
	membersMetric:        {"ping.fleet.members", "{prober}", "Probers that share the targets, this one included.", updown},
	ownedMetric:          {"ping.fleet.owned", "{target}", "Targets of this prober, without those that it is about to give up.", updown},
	changesMetric:        {"ping.fleet.changes", "{change}", "Changes of the list of probers.", counter},
	viewAgeMetric:        {"ping.fleet.view.age", "s", "Age of what this prober knows of the other probers.", gauge},
	breaksMetric:         {"ping.path.breaks", "{target}", "Targets that began to lose, by the last address on their path that answers.", counter},
}

// Instruments returns the names of all instruments, in the order of the package's
// documentation. They are the values of [StoreOptions].Metrics. The caller owns the
// slice.
func Instruments() []string {
	var names []string
	for _, i := range targetInstruments {
		names = append(names, i.name)
	}
	for _, i := range selfInstruments {
		names = append(names, i.name)
	}
	return names
}

// Keys of attributes. Where the semantic conventions have a name, it is theirs.
const (
	hostKey    = attribute.Key("server.address")
	addressKey = attribute.Key("network.peer.address")
	typeKey    = attribute.Key("network.type")
	dscpKey    = attribute.Key("ping.dscp")
	errorKey   = attribute.Key("error.type")
	lastKey    = attribute.Key("ping.path.last_address")
)

// failure is why a request has no reply in time: a value of error.type.
type failure uint8

const (
	failedTimeout failure = iota
	failedLate
	failedSend
	failedResolve
	failedUnreachable
	failedExceeded
	failedTooBig
	failedParameter
	failures // how many there are
)

var failureNames = [failures]string{
	failedTimeout: "timeout", failedLate: "late", failedSend: "send", failedResolve: "resolve",
	failedUnreachable: "destination_unreachable", failedExceeded: "time_exceeded",
	failedTooBig: "packet_too_big", failedParameter: "parameter_problem",
}

// outage holds the failures that most outages consist of. Each has a point from the
// first push of an address on, also while its count is zero: a counter that begins
// with its first error shows no increase at that error. That is true of every
// failure, but each such point costs a twelfth of a push.
var outage = [failures]bool{failedTimeout: true, failedUnreachable: true}

// failureOf returns the failure for an echo's error.
func failureOf(k icmpcore.ErrorKind) failure {
	switch k {
	case icmpcore.SendFailed:
		return failedSend
	case icmpcore.TimeExceeded:
		return failedExceeded
	case icmpcore.PacketTooBig:
		return failedTooBig
	case icmpcore.ParameterProblem:
		return failedParameter
	}
	return failedUnreachable
}
