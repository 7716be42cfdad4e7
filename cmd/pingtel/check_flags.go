package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/hosts"
	"github.com/pingtel/pingtel/internal/nagios"
)

// The defaults of check's own flags.
const (
	defaultTotal    = 10 * time.Second // schedulers kill a plugin after 10 s or more
	maxTotal        = 24 * time.Hour
	defaultWarnRTT  = 100 * time.Millisecond
	defaultCritRTT  = 500 * time.Millisecond
	defaultWarnLoss = 20
	defaultCritLoss = 60
)

// checkFlags are the flags of check.
type checkFlags struct {
	probeFlags
	named      []string // hosts given with -H
	count      int
	warn, crit nagios.Level // as given; zero is the default
	need       int
	total      time.Duration
	perfdata   nagios.Perfdata
	quiet      bool
	verbose    int
	version    bool
	paths      bool // trace the paths of hosts with too much loss
	configFile string

	echoTimeout bool // is given
}

// register adds check's own flags and those it shares with ping. Where the two
// differ, the letters are those of check_ping and check_icmp.
func (f *checkFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringArrayVarP(&f.named, "hostname", "H", nil, "a host to check, may be repeated")
	f.thresholds(set)
	count := &flagValue[int]{&f.count, intIn(1, maxCount, ""), strconv.Itoa, "count", "number", &f.faults}
	set.VarP(count, "count", "n", "echoes to each host (also -p)")
	set.VarP(&flagValue[int]{&f.need, intIn(1, maxCount, ""), hideZero[int], "need", "hosts", &f.faults},
		"need", "m", "how many hosts must be OK (default: all)")
	set.VarP(&flagValue[time.Duration]{&f.total, durationIn(minDuration, maxTotal), formatDuration, "timeout", "duration", &f.faults},
		"timeout", "t", "time for the whole run")
	f.shared(cmd)
	set.Var(&flagValue[nagios.Perfdata]{&f.perfdata, parsePerfdata, nagios.Perfdata.String, "perfdata", "which", &f.faults},
		"perfdata", "main, none, or all without a limit of its size")
	complete(cmd, "perfdata", "main", "none", "all")
	set.BoolVar(&f.paths, "path", false, "trace the path to a host with too much loss, and say below the first line where the loss begins")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing when all is OK")
	set.CountVarP(&f.verbose, "verbose", "v", "a line with all figures for each host")
	set.BoolVarP(&f.version, "version", "V", false, "print the version")
	set.StringVar(&f.configFile, "config", "", "check the targets of a config file, by their own options and thresholds")
	f.aliases(set, count)
}

// thresholds adds the flags of the thresholds.
func (f *checkFlags) thresholds(set *pflag.FlagSet) {
	pair := func(dst *nagios.Level, name, short string, def nagios.Level, usage string) {
		parse := func(text string) (nagios.Level, error) { return pairOver(*dst, text) }
		show := func(nagios.Level) string { return fmt.Sprintf("%v,%v%%", def.RTT, def.Loss) }
		set.VarP(&flagValue[nagios.Level]{dst, parse, show, name, "rtt,loss%", &f.faults}, name, short, usage)
	}
	pair(&f.warn, "warning", "w", nagios.Level{RTT: defaultWarnRTT, Loss: defaultWarnLoss}, "mean RTT and loss at which to warn")
	pair(&f.crit, "critical", "c", nagios.Level{RTT: defaultCritRTT, Loss: defaultCritLoss}, "mean RTT and loss that are critical")
	level := func(dst *time.Duration, name, usage string) {
		parse := func(text string) (time.Duration, error) { return atMostTimeout(nagios.ParseTime(text)) }
		set.Var(&flagValue[time.Duration]{dst, parse, hideZeroDuration, name, "rtt", &f.faults}, name, usage+" (default: none)")
	}
	level(&f.warn.Jitter, "warn-jitter", "jitter at which to warn")
	level(&f.crit.Jitter, "crit-jitter", "jitter that is critical")
	level(&f.warn.Max, "warn-max", "longest RTT at which to warn")
	level(&f.crit.Max, "crit-max", "longest RTT that is critical")
}

// shared adds the flags of ping that say how to probe. Some have another letter,
// and the timeout of an echo another name.
func (f *checkFlags) shared(cmd *cobra.Command) {
	ping := &cobra.Command{}
	f.probeFlags.register(ping)
	cmd.ValidArgsFunction = ping.ValidArgsFunction
	letters := map[string]string{"timeout": "", "size": "b", "ttl": "l", "mark": ""}
	ping.Flags().VisitAll(func(flag *pflag.Flag) {
		if letter, ok := letters[flag.Name]; ok {
			flag.Shorthand = letter
		}
		switch v := flag.Value.(type) {
		case *flagValue[time.Duration]:
			if flag.Name == "timeout" {
				flag.Name, v.name = "echo-timeout", "echo-timeout"
				flag.Usage, flag.DefValue = "how long to wait for each reply (default: 1s, or the critical RTT if that is longer)", ""
			}
		case *flagValue[string]:
			if flag.Name == "interface" {
				v.parse = parseCheckInterface
			}
		}
		cmd.Flags().AddFlag(flag)
	})
}

// aliases adds what check_ping and check_icmp name differently. The help text
// does not list it.
func (f *checkFlags) aliases(set *pflag.FlagSet, count pflag.Value) {
	set.VarP(count, "packets", "p", "")
	set.BoolVar(&f.ipv4, "use-ipv4", false, "")
	set.BoolVar(&f.ipv6, "use-ipv6", false, "")
	set.VarP(&lineValue{func(text string) { f.faults.add(f.sourceOrDevice(text)) }}, "source-or-device", "s", "")
	for _, alias := range []string{"packets", "use-ipv4", "use-ipv6", "source-or-device"} {
		set.Lookup(alias).Hidden = true
	}
	for _, r := range refusedByCheck {
		given := "-" + r.letter
		if r.letter == "" {
			given = "--" + r.name
		}
		set.VarP(&lineValue{func(text string) {
			f.faults.add(errors.New(given + ": " + strings.ReplaceAll(r.want, "VALUE", text)))
		}}, r.name, r.letter, "")
		flag := set.Lookup(r.name)
		flag.Hidden = true
		if r.alone {
			flag.NoOptDefVal = "true"
		}
	}
}

// refusedByCheck are flags of check_ping, check_icmp and check_fping that cannot
// be taken, each with what to write instead. VALUE is the value given.
var refusedByCheck = []struct {
	letter, name string
	alone        bool // takes no value
	want         string
}{
	{"L", "link", true, "check prints no HTML: leave it out"},
	{"T", "target-timeout", false, "how long to wait for each reply is --echo-timeout: want --echo-timeout VALUEms"},
	{"a", "alive", true, "any reply is enough for a host check: want -w 5000,100% -c 5000,100%"},
	{"R", "rta-mode-thresholds", false, "mean RTTs are in -w and -c: want them there, as -w 100,20% -c 500,60%"},
	{"P", "packet-loss-mode-thresholds", false, "losses are in -w and -c: want them there, as -w 100,20% -c 500,60%"},
	{"J", "jitter-mode-thresholds", false, "thresholds of the jitter are --warn-jitter and --crit-jitter: want them instead of VALUE"},
	{"O", "out-of-order-packets", true, "reordered replies are not judged: leave it out"},
	{"", "extra-opts", false, "check reads no ini file: want the flags of VALUE here, or --config with a pingtel file"},
}

// lineValue is a flag whose texts go to a function.
type lineValue struct{ set func(string) }

func (v *lineValue) Set(text string) error { v.set(text); return nil }
func (v *lineValue) String() string        { return "" }
func (v *lineValue) Type() string          { return "value" }

// sourceOrDevice takes what check_icmp's -s has: an address or an interface.
func (f *checkFlags) sourceOrDevice(text string) error {
	if addr, err := netip.ParseAddr(text); err == nil {
		f.opts.Source = addr
		return nil
	}
	if _, err := strconv.Atoi(text); err == nil {
		return fmt.Errorf("-s %s: -s is the source, as in check_icmp: want -b %s or --size %s for the payload", text, text, text)
	}
	if _, err := net.InterfaceByName(text); err != nil {
		return fmt.Errorf("-s %q: want an IP address or a network interface of this machine", text)
	}
	f.opts.Interface = text
	return nil
}

// parseCheckInterface is parseInterface, and knows what check_icmp's -I is.
func parseCheckInterface(text string) (string, error) {
	name, err := parseInterface(text)
	if err != nil && text != "" && strings.Trim(text, "0123456789.mus") == "" {
		return "", errors.New("-I is the network interface, and not check_icmp's time between hosts: want --rate, in echoes per second")
	}
	return name, err
}

// pairOver reads RTT,LOSS%. The part that is not given stays as it is.
func pairOver(level nagios.Level, text string) (nagios.Level, error) {
	rtt, loss, err := nagios.ParsePair(text)
	if err != nil {
		return nagios.Level{}, err
	}
	if rtt > 0 {
		level.RTT = rtt
	}
	if loss > 0 {
		level.Loss = loss
	}
	return level, nil
}

// atMostTimeout refuses a time that is longer than any echo is waited for.
func atMostTimeout(d time.Duration, err error) (time.Duration, error) {
	if err == nil && d > maxTimeout {
		return 0, fmt.Errorf("want at most %s", formatDuration(maxTimeout))
	}
	return d, err
}

func parsePerfdata(text string) (which nagios.Perfdata, err error) {
	err = which.UnmarshalText([]byte(text))
	return which, err
}

func hideZeroDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return formatDuration(d)
}

// finish reports every fault of the flags, and returns the thresholds.
func (f *checkFlags) finish(cmd *cobra.Command, args []string) (nagios.Thresholds, error) {
	t := judgedBy(nagios.Thresholds{Warn: f.warn, Crit: f.crit})
	f.opts.Count = f.count
	f.echoTimeout = cmd.Flags().Changed("echo-timeout")
	f.faults.add(t.Validate())
	if f.echoTimeout {
		f.faults.add(neverReached("warning", f.warn, f.opts.Timeout))
		f.faults.add(neverReached("critical", f.crit, f.opts.Timeout))
	}
	if t.Warn.Jitter+t.Crit.Jitter > 0 && f.count == 1 {
		f.faults.add(errors.New("--warn-jitter and --crit-jitter: one echo has no jitter: want -n 2 or more"))
	}
	if f.file == "" {
		n := 0
		for _, text := range args {
			e, _ := hosts.Parse(text) // what is wrong with it is said below
			n += e.Len()
		}
		_, err := f.planFor(n, t)
		f.faults.add(err)
	}
	return t, f.probeFlags.finish(args)
}

// neverReached reports round-trip times of a level that no reply can have.
func neverReached(name string, l nagios.Level, timeout time.Duration) error {
	if longest := max(l.RTT, l.Max, l.Jitter); longest > timeout {
		return fmt.Errorf("%s RTT %v is never reached: want it at or below --echo-timeout, %v", name, longest, timeout)
	}
	return nil
}

// planFor returns the options for n hosts, with the timeout of an echo that
// their number leaves, or an error if the run cannot end in its time.
func (f *checkFlags) planFor(n int, t nagios.Thresholds) (icmpcore.Options, error) {
	o := f.opts
	if !f.echoTimeout {
		o.Timeout = 0
		o.Timeout = echoTimeout(t.Crit.RTT, f.total-f.total/10-runTime([]icmpcore.Options{o}, n, f.config.MaxRate)) // a tenth for the start
	}
	takes := runTime([]icmpcore.Options{o}, n, f.config.MaxRate)
	if takes < f.total {
		return o, nil
	}
	what := fmt.Sprintf("%d echoes", f.count)
	if n > 1 {
		what += fmt.Sprintf(" to each of %d hosts", n)
	}
	hint := ""
	if o.Interval >= time.Second {
		hint = "; -i is in seconds here, milliseconds are -i 80ms"
	}
	return o, fmt.Errorf("--timeout %v is too short: %s take up to %v: want a longer one%s", f.total, what, takes, hint)
}
