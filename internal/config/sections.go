package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/dscp"
	"github.com/pingtel/pingtel/internal/nagios"
)

// readAgent reads the [agent] table.
func (r *reader) readAgent(t *table, a *Agent) {
	*a = Agent{Interval: DefaultInterval, MaxRate: icmpcore.DefaultMaxRate, MaxPrefixHosts: DefaultPrefixHosts, MaxTargets: DefaultMaxTargets}
	read(t, "interval", r.duration(minInterval, maxInterval), &a.Interval)
	read(t, "max_rate", integer(0, 10_000_000), &a.MaxRate)
	if a.MaxRate == 0 {
		a.MaxRate = -1 // no limit; the library's zero is its default
	}
	kind := "auto"
	read(t, "socket", r.oneOf("auto", "raw", "datagram"), &kind)
	if err := a.Socket.UnmarshalText([]byte(kind)); err != nil {
		t.fault("socket", "%v", err)
	}
	level := "info"
	read(t, "log_level", r.oneOf("debug", "info", "warn", "error"), &level)
	if err := a.LogLevel.UnmarshalText([]byte(level)); err != nil {
		t.fault("log_level", "%v", err)
	}
	read(t, "max_prefix_hosts", integer(1, 10_000_000), &a.MaxPrefixHosts)
	read(t, "max_targets", integer(1, 10_000_000), &a.MaxTargets)
	read(t, "state", r.text, &a.State)
	t.refuseUnknown()
}

// probe holds a [defaults] or [[targets]] table while it is read.
type probe struct {
	options     icmpcore.Options
	table       int  // index of the [[targets]] table
	both        bool // probe both families
	tags        map[string]string
	interval    time.Duration // 0: the agent's
	percentiles []float64     // nil: those of [telegraf]
	thresholds  nagios.Thresholds
}

// readDefaults reads the [defaults] table.
func (r *reader) readDefaults(t *table) probe {
	p := probe{options: icmpcore.Options{
		Count: DefaultCount, Interval: DefaultPingInterval, Timeout: icmpcore.DefaultTimeout, Size: icmpcore.DefaultSize,
	}}
	r.readProbe(t, &p)
	r.tagProber(&p)
	t.refuseUnknown()
	return p
}

// readProbe reads the keys that [defaults] and [[targets]] share into p. It returns
// the tags of the table itself.
func (r *reader) readProbe(t *table, p *probe) (own tagMap) {
	r.readOptions(t, &p.options)
	read(t, "interval", r.duration(minInterval, maxInterval), &p.interval)
	read(t, "percentiles", numbers(0, 100), &p.percentiles)
	r.readFamily(t, p)
	own = r.readTags(t, p)
	r.readThresholds(t, &p.thresholds)
	return own
}

// readOptions reads the keys that say how to send a series, except family.
func (r *reader) readOptions(t *table, o *icmpcore.Options) {
	read(t, "count", integer(1, 10000), &o.Count)
	read(t, "ping_interval", r.duration(time.Millisecond, 24*time.Hour), &o.Interval)
	read(t, "timeout", r.duration(time.Millisecond, time.Hour), &o.Timeout)
	read(t, "size", integer(8, 65507), &o.Size)
	read(t, "ttl", integer(0, 255), &o.TTL) // in [[targets]], 0 and an empty source cancel the value of [defaults]
	read(t, "dscp", r.codePoint, &o.DSCP)
	if read(t, "source", r.address, &o.Source) && o.Source.IsValid() {
		r.needs = append(r.needs, need{fault: t.at("source"), addr: o.Source})
	}
	if read(t, "interface", r.interfaceName, &o.Interface) && o.Interface != "" {
		r.needs = append(r.needs, need{fault: t.at("interface"), iface: o.Interface})
	}
	read(t, "mark", integer[uint32](0, math.MaxUint32), &o.Mark)
	read(t, "dont_fragment", boolean, &o.DontFragment)
}

func (r *reader) readFamily(t *table, p *probe) {
	family := ""
	if !read(t, "family", r.oneOf("auto", "ipv4", "ipv6", "both"), &family) {
		return
	}
	p.both = family == "both"
	p.options.Family = icmpcore.FamilyAuto
	if !p.both {
		if err := p.options.Family.UnmarshalText([]byte(family)); err != nil {
			t.fault("family", "%v", err)
		}
	}
}

// reservedTags are tags that the outputs set themselves.
var reservedTags = []string{"url", "address", "server.address", "network.peer.address", "network.type", "ping.dscp", "error.type"}

// readTags adds the tags of a table to those of [defaults], and returns them.
func (r *reader) readTags(t *table, p *probe) tagMap {
	var tags tagMap
	if !read(t, "tags", r.tags, &tags) {
		return nil
	}
	all := maps.Clone(p.tags)
	if all == nil {
		all = tags
	}
	maps.Copy(all, tags)
	p.tags = all
	return tags
}

// tags converts a table of tags. It joins its errors.
func (r *reader) tags(v any) (map[string]string, error) {
	tags, err := r.texts(v)
	errs := each(err)
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		switch {
		case k == "":
			errs = append(errs, errors.New("an empty key: want a name"))
		case slices.Contains(reservedTags, k) || k == ProberTag && r.prober != "":
			errs = append(errs, &keyError{k, errors.New("pingtel sets this tag itself: want another name")})
		}
	}
	return tags, errors.Join(errs...)
}

// readThresholds reads the thresholds of check --config.
func (r *reader) readThresholds(t *table, to *nagios.Thresholds) {
	pair := func(key string, level *nagios.Level) {
		var s string
		if !read(t, key, r.text, &s) {
			return
		}
		rtt, loss, err := nagios.ParsePair(s)
		if err != nil {
			t.fault(key, "%q: %v", s, err)
			return
		}
		level.RTT, level.Loss = rtt, loss
	}
	pair("warning", &to.Warn)
	pair("critical", &to.Crit)
	read(t, "warning_jitter", r.duration(time.Microsecond, time.Hour), &to.Warn.Jitter)
	read(t, "critical_jitter", r.duration(time.Microsecond, time.Hour), &to.Crit.Jitter)
	if err := to.Validate(); err != nil {
		t.fault("warning", "%v", err)
	}
}

// codePoint converts a DSCP, a number or a name.
func (r *reader) codePoint(v any) (int, error) {
	if n, ok := v.(int64); ok {
		v = fmt.Sprint(n)
	}
	s, err := r.text(v)
	if err != nil {
		return 0, err
	}
	n, err := dscp.Parse(s)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	return n, nil
}

func (r *reader) address(v any) (netip.Addr, error) {
	s, err := r.text(v)
	if err != nil || s == "" {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q: want an IP address of this machine", s)
	}
	return a.Unmap(), nil
}

// readTelegraf reads the [telegraf] table.
func (r *reader) readTelegraf(t *table, to *Telegraf) {
	*to = Telegraf{Signal: DefaultTelegrafSignal, Measurement: DefaultMeasurement, Percentiles: []float64{50, 95, 99}}
	read(t, "signal", r.oneOf("none", "STDIN", "SIGHUP", "SIGUSR1", "SIGUSR2"), &to.Signal)
	read(t, "measurement", r.measurement, &to.Measurement)
	read(t, "percentiles", numbers(0, 100), &to.Percentiles)
	t.refuseUnknown()
}

// measurement converts a name that can begin a line of line protocol.
func (r *reader) measurement(v any) (string, error) {
	s, err := r.text(v)
	switch {
	case err != nil:
		return "", err
	case strings.TrimSpace(strings.TrimRight(s, `\`)) == "": // the encoder drops backslashes at the end
		return "", fmt.Errorf("%q is empty in line protocol: want a name", s)
	case s[0] == '#':
		return "", fmt.Errorf("%q: a line that begins with # is a comment in line protocol: want a name without # in front", s)
	}
	return s, nil
}

// readOTel reads the [otel] table.
func (r *reader) readOTel(t *table, to *OTel) {
	to.present = t.values != nil
	to.place(r)
	read(t, "enabled", boolean, &to.Enabled)
	optional(t, "endpoint", r.text, &to.Endpoint)
	optional(t, "protocol", r.oneOf("grpc", "http/protobuf"), &to.Protocol)
	optional(t, "insecure", boolean, &to.Insecure)
	read(t, "headers", r.texts, &to.Headers)
	optional(t, "ca_file", r.text, &to.CAFile)
	optional(t, "cert_file", r.text, &to.CertFile)
	optional(t, "key_file", r.text, &to.KeyFile)
	optional(t, "compression", r.oneOf("gzip", "none"), &to.Compression)
	optional(t, "timeout", r.duration(minPush, maxTimeout), &to.Timeout)
	optional(t, "interval", r.duration(minInterval, maxInterval), &to.Interval)
	optional(t, "temporality", r.oneOf("cumulative", "delta", "lowmemory"), &to.Temporality)
	optional(t, "histogram", r.oneOf("explicit", "exponential"), &to.Histogram)
	read(t, "bounds", numbers(1e-9, 3600), &to.Bounds)
	read(t, "metrics", r.metrics, &to.Metrics)
	read(t, "resource", r.texts, &to.Resource)
	t.refuseUnknown()
}
