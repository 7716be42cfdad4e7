package web

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// sample is a series of a family: its labels, {} and all, and its value.
type sample struct {
	labels string
	value  float64
}

// writeProbe writes the figures of a probe: first those of blackbox_exporter, by its
// names and with its meaning, then ours. What was not measured is left out.
func writeProbe(to io.Writer, q query, got *probed) {
	b := bufio.NewWriter(to)
	family := func(name, help string, samples ...sample) {
		if len(samples) == 0 {
			return
		}
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
		for _, s := range samples {
			fmt.Fprintf(b, "%s%s %s\n", name, s.labels, strconv.FormatFloat(s.value, 'g', -1, 64))
		}
	}
	if q.debug {
		writeDebug(b, q, &got.result)
	}
	blackboxFamilies(family, got)
	ownFamilies(family, &got.result)
	b.Flush() // an error means that the client has left
}

type writeFamily func(name, help string, samples ...sample)

// blackboxFamilies writes the families of blackbox_exporter's prober icmp.
func blackboxFamilies(family writeFamily, got *probed) {
	r := &got.result
	family("probe_success", "1 if a reply came in time, else 0.", when(r.Success()))
	family("probe_duration_seconds", "Time that the probe took, with the look-up.", seconds(got.taken))
	family("probe_dns_lookup_time_seconds", "Time that the look-up of the name took.", seconds(got.lookup))
	phases := []sample{{`{phase="resolve"}`, got.lookup.Seconds()}, {`{phase="setup"}`, got.setup.Seconds()}}
	if r.Received > 0 {
		phases = append(phases, sample{`{phase="rtt"}`, r.Mean.Seconds()})
	}
	family("probe_icmp_duration_seconds", "Time of each phase; rtt is the mean round-trip time.", phases...)
	if r.TTL > 0 {
		family("probe_icmp_reply_hop_limit", "TTL or hop limit of the first reply.", number(r.TTL))
	}
	if r.Addr.IsValid() {
		version := 6
		if r.Addr.Is4() {
			version = 4
		}
		hash := fnv.New32a()
		hash.Write(r.Addr.AsSlice()) // never fails
		family("probe_ip_protocol", "IP version of the address probed, 4 or 6.", number(version))
		family("probe_ip_addr_hash", "Hash (FNV-1a) of the address probed.", sample{"", float64(hash.Sum32())})
	}
}

// ownFamilies writes what blackbox_exporter does not have.
func ownFamilies(family writeFamily, r *icmpcore.PingResult) {
	if r.Sent > 0 {
		family("ping_probe_requests", "Echo requests of the series.", number(r.Sent))
		family("ping_probe_replies", "Replies in time.", number(r.Received))
		family("ping_probe_loss_ratio", "Part of the requests without a reply in time, 0 to 1.", sample{"", r.Loss / 100})
		family("ping_probe_duplicates", "Further replies to one request.", number(r.Duplicates))
		family("ping_probe_reordered", "Replies overtaken by a later one.", number(r.Reordered))
		family("ping_probe_corrupt", "Replies with a wrong checksum, payload or length.", number(r.Corrupt))
	}
	if r.Received > 0 {
		family("ping_probe_rtt_seconds", "Round-trip times of the series.", sample{`{stat="min"}`, r.Min.Seconds()},
			sample{`{stat="mean"}`, r.Mean.Seconds()}, sample{`{stat="median"}`, r.Median.Seconds()}, sample{`{stat="max"}`, r.Max.Seconds()})
	}
	if r.Received > 1 {
		family("ping_probe_jitter_seconds", "Sample standard deviation of the round-trip times.", seconds(r.Jitter))
	}
	if r.IPDVPairs > 0 {
		family("ping_probe_ipdv_seconds", "Mean difference of successive round-trip times (RFC 3393).", seconds(r.IPDV))
	}
	if r.Hops > 0 {
		family("ping_probe_hops", "Hops to the target, estimated from the reply's TTL.", number(r.Hops))
	}
	family("ping_probe_errors", "Requests without a reply in time by what happened to them; one if the target could not be probed.", failures(r)...)
}

// failures returns a sample for each kind and reason of failure.
func failures(r *icmpcore.PingResult) []sample {
	type key struct{ kind, reason string }
	counts := make(map[key]int)
	silent := r.Sent - r.Received
	for _, e := range r.Errors {
		counts[key{string(e.Kind), e.Message}]++
		if e.Kind != icmpcore.SendFailed {
			silent--
		}
	}
	late := min(r.Late, silent)
	for kind, n := range map[string]int{"late": late, "timeout": silent - late} {
		if n > 0 {
			counts[key{kind, ""}] = n
		}
	}
	if r.Err != nil && len(counts) == 0 && r.Sent == 0 {
		counts[key{kindOf(r.Err), reasonOf(r.Err)}] = 1
	}
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.reason, b.reason))
	})
	var all []sample
	for _, k := range keys {
		all = append(all, sample{fmt.Sprintf(`{error_type="%s",reason="%s"}`, label(k.kind), label(k.reason)), float64(counts[k])})
	}
	return all
}

// kindOf returns the error_type of what kept a target from being probed.
func kindOf(err error) string {
	if resolve := (*icmpcore.ResolveError)(nil); errors.As(err, &resolve) {
		return "resolve"
	}
	if errors.Is(err, context.Canceled) {
		return "timeout" // the scraper's, before an echo had an outcome
	}
	return "send"
}

// reasonOf returns the reason without the parts that change from one probe to the
// next, each of which would be a series of its own.
func reasonOf(err error) string {
	resolve, dns, send := (*icmpcore.ResolveError)(nil), (*net.DNSError)(nil), (*icmpcore.SendError)(nil)
	switch {
	case errors.Is(err, context.Canceled):
		return "the scrape's timeout has passed"
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &resolve):
		return resolve.Err.Error()
	case errors.As(err, &send):
		return send.Err.Error()
	}
	return err.Error()
}

// label escapes the value of a label.
func label(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
}

// writeDebug says in comments what was probed and how.
func writeDebug(b *bufio.Writer, q query, r *icmpcore.PingResult) {
	o := q.options
	fmt.Fprintf(b, "# target %q, address %v, module %q\n", q.host, r.Addr, q.module)
	fmt.Fprintf(b, "# module: count %d, ping_interval %v, timeout %v, size %d, ttl %d, dscp %d, family %v; at most %v in all\n",
		o.Count, o.Interval, o.Timeout, o.Size, o.TTL, o.DSCP, o.Family, q.budget)
	result := r.String()
	if err := r.Failure(); err != nil {
		result = err.Error()
	}
	fmt.Fprintf(b, "# result: %q\n", result)
}

func number(n int) sample            { return sample{"", float64(n)} }
func seconds(d time.Duration) sample { return sample{"", d.Seconds()} }
func when(yes bool) sample {
	if yes {
		return number(1)
	}
	return number(0)
}
