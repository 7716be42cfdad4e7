package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/dscp"
	"github.com/pingtel/pingtel/internal/hosts"
	"github.com/pingtel/pingtel/internal/path"
)

// The defaults of the flags that differ from the library's.
const (
	defaultPingCount  = 4
	defaultCheckCount = 5
	defaultFlagSize   = 8
)

// The ranges of the flags, as [icmpcore.Options] has them.
const (
	maxCount    = 1 << 30
	minDuration = time.Millisecond
	maxTimeout  = time.Hour
	maxInterval = 24 * time.Hour
	minSize     = 8
	maxSize     = 65507
)

// probeFlags are the flags that ping and check share: the options of the echoes, and
// the hosts.
type probeFlags struct {
	opts       icmpcore.Options
	config     icmpcore.Config
	ipv4, ipv6 bool
	file       string
	path       bool // of a trace, which has TTLs of its own
	faults     faults
}

// register adds the flags to a command, except --count, which each command defines.
func (p *probeFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	p.opts.Timeout, p.opts.Interval, p.opts.Size = icmpcore.DefaultTimeout, icmpcore.DefaultInterval, defaultFlagSize
	p.config.MaxRate = icmpcore.DefaultMaxRate
	timeout, interval, least := "how long to wait for the reply to each echo", "time from one echo to the next of a host", minSize
	if p.path {
		p.opts.Interval, p.opts.Size = path.DefaultInterval, icmpcore.DefaultSize
		timeout, interval, least = "how long a whole trace takes at most", "time from one echo to the next of a hop", path.MinSize
	}
	p.duration(f, &p.opts.Timeout, maxTimeout, "timeout", "t", timeout)
	p.duration(f, &p.opts.Interval, maxInterval, "interval", "i", interval)
	f.VarP(&flagValue[int]{&p.opts.Size, intIn(least, maxSize, " bytes"), hideZero[int], "size", "bytes", &p.faults},
		"size", "s", fmt.Sprintf("payload of an echo, %d to 65507", least))
	if !p.path {
		f.Var(&flagValue[int]{&p.opts.TTL, intIn(1, 255, ""), hideZero[int], "ttl", "hops", &p.faults},
			"ttl", "time to live or hop limit, 1 to 255 (default: the system's)")
	}
	f.Var(&flagValue[int]{&p.opts.DSCP, dscp.Parse, hideZero[int], "dscp", "dscp", &p.faults},
		"dscp", "code point, 0 to 63 or a name: EF, AF41, CS1 (default: the system's)")
	f.BoolVarP(&p.ipv4, "ipv4", "4", false, "IPv4 only")
	f.BoolVarP(&p.ipv6, "ipv6", "6", false, "IPv6 only")
	f.VarP(&flagValue[string]{&p.opts.Interface, parseInterface, func(name string) string { return name }, "interface", "name", &p.faults},
		"interface", "I", "network interface to send from")
	f.VarP(&flagValue[netip.Addr]{&p.opts.Source, parseSource, formatSource, "source", "address", &p.faults},
		"source", "S", "local address to send from")
	f.VarP(&flagValue[uint32]{&p.opts.Mark, parseMark, hideZero[uint32], "mark", "number", &p.faults},
		"mark", "m", "firewall mark of the echoes (Linux)")
	f.BoolVarP(&p.opts.DontFragment, "dont-fragment", "M", false, "forbid fragmentation on the way")
	f.Var(&flagValue[icmpcore.SocketKind]{&p.config.Socket, parseSocket, icmpcore.SocketKind.String, "socket", "kind", &p.faults},
		"socket", "auto, raw or datagram")
	f.VarP(&flagValue[string]{&p.file, p.parseFile, func(name string) string { return name }, "file", "string", &p.faults},
		"file", "f", "more hosts from a file, one a line, # comments; - is stdin")
	f.VarP(&flagValue[int]{&p.config.MaxRate, intIn(0, maxCount, ", 0 for no limit"), strconv.Itoa, "rate", "number", &p.faults},
		"rate", "r", "echoes per second over all hosts, 0 for no limit")

	complete(cmd, "socket", "auto", "raw", "datagram")
	complete(cmd, "dscp", dscp.Names()...)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
}

// parseFile takes one name: the hosts of a first file would be left out silently.
func (p *probeFlags) parseFile(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("want the name of a file, or - for stdin")
	case p.file != "":
		return "", fmt.Errorf("there is %q already: want one file, or several joined on stdin, by cat and -f -", p.file)
	}
	return name, nil
}

func (p *probeFlags) duration(f *pflag.FlagSet, dst *time.Duration, high time.Duration, name, short, usage string) {
	f.VarP(&flagValue[time.Duration]{dst, durationIn(minDuration, high), formatDuration, name, "duration", &p.faults}, name, short, usage)
}

// complete adds words for the shell completion of a flag.
func complete(cmd *cobra.Command, flag string, words ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("pingtel: internal error: " + err.Error()) // no such flag
	}
}

// finish resolves the settings that depend on several flags, and reports all faults.
func (p *probeFlags) finish(args []string) error {
	switch {
	case p.ipv4 && p.ipv6:
		p.faults.add(errors.New("-4 and -6: want one of them, or neither for both families"))
	case p.ipv4:
		p.opts.Family = icmpcore.FamilyIPv4
	case p.ipv6:
		p.opts.Family = icmpcore.FamilyIPv6
	}
	if p.config.MaxRate == 0 {
		p.config.MaxRate = -1 // no limit; the library's zero is its default
	}
	var list hosts.List
	for _, host := range args {
		p.faults.add(p.checkHost(&list, host))
	}
	if len(args) == 0 && p.file == "" {
		p.faults.add(errors.New("no host given: want HOST... or --file"))
	}
	p.faults.add(p.opts.Validate())
	return p.faults.err()
}

// checkHost returns an error if the host cannot be pinged with these flags, or if the
// list has too many hosts.
func (p *probeFlags) checkHost(list *hosts.List, host string) error {
	e, err := list.Parse(host)
	if err != nil {
		return fmt.Errorf("host %q: %w", host, err)
	}
	addr := e.First()
	if !addr.IsValid() {
		return nil // a name
	}
	return p.checkAddr(host, addr)
}

// checkAddr is checkHost for the address of a host, or the first of several.
func (p *probeFlags) checkAddr(host string, addr netip.Addr) error {
	family := icmpcore.FamilyIPv6
	if addr = addr.Unmap(); addr.Is4() {
		family = icmpcore.FamilyIPv4
	}
	switch source := p.opts.Source; {
	case addr.IsUnspecified():
		return fmt.Errorf("host %s: want the address of a host", host)
	case p.opts.Family != icmpcore.FamilyAuto && p.opts.Family != family:
		return fmt.Errorf("host %s: want an %s address, or leave out -4 and -6", host, p.opts.Family)
	case source.IsValid() && source.Is4() != addr.Is4():
		return fmt.Errorf("host %s: --source %s is of the other family: want an %s address", host, source, family)
	}
	if zone := addr.Zone(); zone != "" {
		if _, err := strconv.ParseUint(zone, 10, 32); err == nil {
			return nil // an index
		}
		if _, err := net.InterfaceByName(zone); err != nil {
			return fmt.Errorf("host %s: zone %q: want the name or index of a network interface", host, zone)
		}
	}
	return nil
}

// hosts returns a function that calls its argument for each host, and the file to
// close afterwards.
func (p *probeFlags) hosts(args []string, stdin io.Reader) (func(func([]byte) error) error, io.Closer, error) {
	var file io.ReadCloser
	switch p.file {
	case "":
		file = io.NopCloser(strings.NewReader(""))
	case "-":
		file = io.NopCloser(stdin)
	default:
		f, err := os.Open(p.file)
		if err != nil {
			return nil, nil, fmt.Errorf("--file: %w", err)
		}
		file = f
	}
	return hosts.Given{Args: args, File: file}.Each, file, nil
}
