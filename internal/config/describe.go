package config

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Describe writes the plan of c for a person to read. sources are what to say of its
// sources of targets, one line each. lookup returns the
// variables that count for keys that [otel] does not have. If they have faults,
// the error is [Faults] and nothing is written; see [Config.checkOTel].
func (c *Config) Describe(w io.Writer, lookup func(string) (string, bool), sources ...string) error {
	otel, warnings, err := c.checkOTel(lookup)
	if err != nil {
		return err
	}
	p := c.Plan()
	if part := c.Fleet.part(); part > 0 {
		p.Rate *= part
		p.Share *= part
	} else {
		p.Rate *= float64(c.Fleet.Copies)
	}
	names := 0
	for i := range c.Targets {
		if !c.Targets[i].isAddress() {
			names++
		}
	}
	limit, share := "no limit", ""
	if c.Agent.MaxRate > 0 {
		limit = fmt.Sprintf("%d per second", c.Agent.MaxRate)
		share = ", " + plain(p.Share*100) + " % of max_rate"
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(tw, name+"\t"+format+"\n", args...) }
	row("file", "%s: no fault", c.File)
	row("targets", "%d, %d of them names to look up", p.Targets, names)
	for _, s := range sources {
		row("source", "%s", s)
	}
	if c.Fleet.On {
		row("fleet", "%s", c.Fleet.describe())
	}
	row("interval", "%v%s", c.Agent.Interval, c.ownIntervals())
	if c.Fleet.Members != nil {
		row("echo requests", "%s per second by all probers together (%s by each)", plain(p.Rate), limit)
	} else {
		row("echo requests", "%s per second%s (%s)", plain(p.Rate), share, limit)
	}
	row("a series takes", "at most %v of %v", p.Longest, p.LongestOf)
	if c.Agent.MaxRate > 0 && !p.Own && c.Fleet.Members == nil {
		busy := time.Duration(p.Share * float64(c.Agent.Interval))
		row("a round takes", "%v at max_rate, spread over %v", busy.Round(time.Millisecond), c.Agent.Interval)
	}
	row("socket", "%s", c.Agent.Socket)
	row("telegraf", "signal %s, measurement %s, percentiles %v", c.Telegraf.Signal, c.Telegraf.Measurement, c.Telegraf.Percentiles)
	if hosts := c.Alike(); len(hosts) > 0 {
		row("warning", "%d hosts (%s first) have several targets with the same tags: in line protocol one hides the other; give each its own tag", len(hosts), hosts[0])
	}
	if otel != nil && (c.OTel.present || otel.anyVariable()) {
		row("otel enabled", "%t: %s", c.OTel.Enabled, map[bool]string{true: "'pingtel serve' and 'pingtel telegraf' push too", false: "only 'pingtel otel' pushes"}[c.OTel.Enabled])
		otel.describe(row)
	}
	if c.Web.Listen != "" {
		row("web", "listens on %s%s", c.Web.Listen, map[bool]string{true: ", with /metrics", false: ""}[c.Web.Metrics])
		if c.Web.Page {
			where := "agent.state"
			if c.Agent.State == "" {
				where = "memory, 64 MiB of it at most, until the end of the process (agent.state is not set)"
			}
			row("web.page", "remembers %v, %.4g GiB at most, in %s", c.Web.Keep, float64(c.Web.MaxSize)/(1<<30), where)
		}
		if p := &c.Web.Probe; p.On() {
			row("web.probe", "pings %s for everybody who reaches the listener; modules %s",
				p.AllowText(), strings.Join(slices.Sorted(maps.Keys(p.Modules)), ", "))
		}
	}
	for _, f := range c.Missing() {
		row("warning", "%v", f)
	}
	for _, f := range warnings {
		row("warning", "%v (so 'pingtel otel' would refuse to start)", f)
	}
	return tw.Flush() // writes everything and returns the first error of writing
}

// ownIntervals says how many targets have other intervals than the agent's.
func (c *Config) ownIntervals() string {
	own := make(map[time.Duration]int)
	for i := range c.Targets {
		if interval := c.IntervalOf(&c.Targets[i]); interval != c.Agent.Interval {
			own[interval]++
		}
	}
	var b strings.Builder
	for _, interval := range slices.Sorted(maps.Keys(own)) {
		fmt.Fprintf(&b, ", %v for %d targets", interval, own[interval])
	}
	return b.String()
}

// plain writes a number for a person: a whole number from 1,000 on, about four
// digits below, and never an exponent.
func plain(v float64) string {
	digits := 0
	for limit := 1000.0; v > 0 && v < limit && digits < 12; limit /= 10 {
		digits++
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if digits > 0 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
