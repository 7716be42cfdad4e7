// Package config reads pingtel's configuration file. It is strict, and it
// reports all faults at once, each with its file, line and key and with what to
// write instead.
package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/hosts"
	"github.com/pingtel/pingtel/internal/nagios"
)

// Defaults of the file that differ from those of package icmpcore.
const (
	DefaultInterval       = 10 * time.Second
	DefaultPrefixHosts    = hosts.MaxExpanded
	DefaultCount          = 5
	DefaultPingInterval   = 200 * time.Millisecond
	DefaultMeasurement    = "ping"
	DefaultMaxTargets     = 100_000
	DefaultTelegrafSignal = "none"
)

// Config holds a file that has no faults.
type Config struct {
	File     string // its path, as given
	Agent    Agent
	Telegraf Telegraf
	OTel     OTel
	Web      Web
	Path     Path
	Fleet    Fleet

	// Targets holds a target for each host and family, in the file's order. Load
	// puts those of hosts there; those of Sources come when they are read.
	Targets []Target

	Sources []*Source // tables whose hosts are kept elsewhere

	needs []need // interfaces and addresses that this machine must have
}

// Agent is the [agent] table.
type Agent struct {
	Interval       time.Duration // from one series of a target to its next
	MaxRate        int           // echo requests per second, as in [icmpcore.Config]
	Socket         icmpcore.SocketKind
	LogLevel       slog.Level
	MaxPrefixHosts int    // most hosts in the prefixes and ranges of one list
	MaxTargets     int    // most targets of one source
	State          string // folder for what outlives a restart; "" for none
}

// Target is one host to probe in one family.
type Target struct {
	Host string // name or address, from the file or from a prefix
	*Probe
}

// Probe holds what the targets of one [[targets]] table share. Nobody changes it.
type Probe struct {
	Options     icmpcore.Options // Family is auto or the one that the file names
	Tags        []Tag            // sorted by key; none has an empty value
	Interval    time.Duration    // from one series of a target to its next; 0: that of the agent
	Percentiles []float64        // as in [Telegraf]; nil: those of [Telegraf]
	Thresholds  nagios.Thresholds

	tags  tagsHandle
	line  int // of the table, for messages
	table int // its index
}

// Tag is one of a target's own tags.
type Tag struct{ Key, Value string }

// Key identifies a target: two targets with the same key would be measured in
// the same way, and no output could tell which is which.
func (t *Target) Key() string { return t.Host + t.key() }

// key is the part of a target's key that all targets of its table share.
func (p *Probe) key() string {
	var b strings.Builder
	o := p.Options
	for _, part := range []string{
		p.Interval.String(), fmt.Sprint(p.Percentiles), o.Family.String(), o.Source.String(), o.Interface, itoa(o.Count), o.Interval.String(), o.Timeout.String(),
		itoa(o.Size), itoa(o.TTL), itoa(o.DSCP), itoa(int(o.Mark)), boolText(o.DontFragment),
	} {
		b.WriteByte(0)
		b.WriteString(part)
	}
	for _, tag := range p.Tags {
		b.WriteByte(0)
		b.WriteString(tag.Key)
		b.WriteByte(1)
		b.WriteString(tag.Value)
	}
	return b.String()
}

// IntervalOf returns the time from one series of t to its next.
func (c *Config) IntervalOf(t *Target) time.Duration {
	if t.Interval > 0 {
		return t.Interval
	}
	return c.Agent.Interval
}

// isAddress reports whether the host is an address and not a name.
func (t *Target) isAddress() bool {
	_, err := netip.ParseAddr(t.Host)
	return err == nil
}

// Telegraf is the [telegraf] table.
type Telegraf struct {
	Signal      string // none, STDIN, SIGHUP, SIGUSR1 or SIGUSR2
	Measurement string
	Percentiles []float64 // 0 to 100, ascending
}

// OTel is the [otel] table of the file. A nil field is a key that the file does
// not have: its value comes from the environment or is the default.
type OTel struct {
	Enabled     bool // push from the telegraf command too
	Endpoint    *string
	Protocol    *string // grpc or http/protobuf
	Insecure    *bool
	Headers     map[string]string
	CAFile      *string
	CertFile    *string
	KeyFile     *string
	Compression *string // gzip or none
	Timeout     *time.Duration
	Interval    *time.Duration
	Temporality *string   // cumulative, delta or lowmemory
	Histogram   *string   // explicit or exponential
	Bounds      []float64 // seconds, ascending
	Metrics     []string  // names of instruments
	Resource    map[string]string

	present bool           // the table is in the file
	file    string         // for messages; "" if o is not from a file
	lines   map[string]int // of the table's keys, by dotted path
}

// Load reads the file. lookup returns the value of a variable, like
// [os.LookupEnv]. The error is [Faults] if the file has faults.
func Load(path string, lookup func(string) (string, bool)) (*Config, error) {
	return LoadEvery(0, "", path, lookup)
}

// LoadEvery is Load with another interval than the file's, unless interval is
// 0. name is the flag that set it, for messages.
func LoadEvery(interval time.Duration, name, path string, lookup func(string) (string, bool)) (*Config, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	r := &reader{file: path, lookup: lookup, interval: interval, intervalName: name}
	return r.parse(text)
}

// Parse is Load for a text that has been read already; path is for messages.
func Parse(path, text string, lookup func(string) (string, bool)) (*Config, error) {
	r := &reader{file: path, lookup: lookup}
	return r.parse(text)
}

func (r *reader) parse(text string) (*Config, error) {
	root, ok := r.decode(text)
	if !ok {
		return nil, r.faults
	}
	c := &Config{File: r.file}
	r.readAgent(root.table("agent"), &c.Agent)
	r.readFleet(root.table("fleet"), &c.Fleet) // before the targets, which have a tag of it
	defaults := r.readDefaults(root.table("defaults"))
	tables, none := root.tables("targets")
	r.readTargets(tables, defaults, c)
	r.readTelegraf(root.table("telegraf"), &c.Telegraf)
	r.readOTel(root.table("otel"), &c.OTel)
	r.readWeb(root.table("web"), &c.Web, defaults)
	r.readPath(root.table("path"), &c.Path)
	if none && (c.Web.Listen == "" || !c.Web.Probe.On()) {
		root.fault("targets", "nothing to probe: want a [[targets]] table with hosts, file, http, dns or kubernetes, or listen in [web] and allow in [web.probe]")
	}
	root.refuseUnknown()
	if r.interval > 0 {
		c.Agent.Interval = r.interval
	}
	if len(r.faults) == 0 {
		r.checkPlan(c)
	}
	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
		return nil, r.faults
	}
	slices.SortStableFunc(r.needs, func(a, b need) int { return a.fault.Line - b.fault.Line })
	c.needs = r.needs
	return c, nil
}

// Plan holds the load that a file causes.
type Plan struct {
	Targets int
	Rate    float64       // echo requests per second
	Share   float64       // of the allowed rate, 0 to 1; 0 if there is no limit
	Longest time.Duration // of a series, from its first request to its last timeout

	LongestOf time.Duration // the interval of that series
	Own       bool          // some targets have an interval of their own
}

// Plan computes the load that c causes.
func (c *Config) Plan() Plan {
	p := Plan{Targets: len(c.Targets)}
	echoes := make(map[time.Duration]int) // in a round, by interval
	last := (*Probe)(nil)
	interval, n := time.Duration(0), 0 // of the last targets, and their echoes
	for i := range c.Targets {
		t := &c.Targets[i]
		if t.Probe != last {
			last = t.Probe
			if own := c.IntervalOf(t); own != interval {
				echoes[interval] += n
				interval, n = own, 0
			}
			if d := SeriesTime(t.Options, c.Agent.MaxRate); d > p.Longest {
				p.Longest, p.LongestOf = d, interval
			}
			p.Own = p.Own || interval != c.Agent.Interval
		}
		n += t.Options.Count
	}
	echoes[interval] += n
	delete(echoes, 0) // of no target
	for interval, n := range echoes {
		p.Rate += float64(n) / interval.Seconds()
	}
	if c.Agent.MaxRate > 0 {
		p.Share = p.Rate / float64(c.Agent.MaxRate)
	}
	return p
}

// SeriesTime is how long a series takes if its last echo is lost. A low maxRate
// makes the gaps between requests longer than o.Interval. The result is the
// longest possible duration if the true one does not fit.
func SeriesTime(o icmpcore.Options, maxRate int) time.Duration {
	apart := o.Interval
	if maxRate > 0 {
		apart = max(apart, time.Second/time.Duration(maxRate))
	}
	if apart > 0 && time.Duration(o.Count-1) > (math.MaxInt64-o.Timeout)/apart {
		return math.MaxInt64
	}
	return time.Duration(o.Count-1)*apart + o.Timeout
}
