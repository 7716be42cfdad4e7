package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pingtel/pingtel/internal/hosts"
)

// otherFlags are flags of ping (iputils) and fping that pingtel ping does not
// have, and what to write instead.
var otherFlags = map[string]string{
	"A": "the interval never depends on replies: want -i 0.01 for ping's -A; fping's -A is the default",
	"a": "want --alive for the hosts that answered, as fping's -a",
	"b": "want -s 56 for fping's -b 56; broadcast addresses need no flag",
	"C": "want -c 5 --show-rtts, or -c 5 -j, for fping's -C 5",
	"D": "want --show-rtts --timestamps",
	"e": "times are always shown: want it without -e",
	"g": "want the prefix or the range as HOST, as 198.18.0.0/24 or 198.18.1.1-9, without -g",
	"H": "want --ttl 64 for fping's -H 64",
	"l": "want -c 0 for fping's -l",
	"n": "addresses are never looked up for their names: want it without -n",
	"O": "lost echoes are always shown: want it without -O, or --dscp for fping's -O",
	"p": "want -i 0.5 for fping's -p 500; ping's -p (a pattern) does not exist",
	"Q": "want --dscp EF for ping's -Q 0xb8; the figures so far come on SIGQUIT",
	"u": "want --dead for the hosts that did not answer, as fping's -u",
	"v": "errors are always shown: want it without -v, or --show-rtts for a line for each echo",
	"W": "want -t 1 for ping's -W 1, how long to wait for each reply",
}

// otherPathFlags are flags of mtr and traceroute that pingtel path does not have, and
// what to write instead.
var otherPathFlags = map[string]string{
	"a": "want -S 192.0.2.1 for mtr's -a",
	"A": "numbers of networks are not looked up: want it without -A",
	"b": "want --names: names are shown with their addresses",
	"B": "the payload is pingtel's own: want it without -B",
	"C": "want -j for mtr's -C",
	"d": "want it without -d",
	"e": "MPLS labels are always shown: want it without -e",
	"E": "want -c 20 to look longer at each hop: want it without -E",
	"F": "want -M for traceroute's -F, -f for mtr's -F",
	"g": "the way is that of the routers: want it without -g",
	"G": "want -t 1 for mtr's -G 1, how long a whole trace waits",
	"l": "want -j for mtr's -l",
	"L": "hops are found by themselves: want it without -L",
	"n": "names are looked up only with --names: want it without -n",
	"N": "all hops are probed at once: want it without -N",
	"o": "the columns are always the same: want it without -o, or -j for all figures",
	"p": "echoes have no port: want it without -p",
	"P": "echoes have no port: want it without -P",
	"q": "want -c 3 for traceroute's -q 3",
	"Q": "want --dscp EF for mtr's -Q 0xb8",
	"T": "pingtel probes with ICMP echo only: want it without -T",
	"u": "pingtel probes with ICMP echo only: want it without -u",
	"U": "pingtel probes with ICMP echo only: want it without -U",
	"v": "'pingtel version' says the version: want it without -v",
	"V": "'pingtel version' says the version: want it without -V",
	"w": "want -t 1 for traceroute's -w 1; mtr's -w is the default",
	"x": "want -j for mtr's -x",
	"y": "networks are not looked up: want it without -y",
	"z": "networks are not looked up, and all hops are probed at once: want it without -z",
	"Z": "want -t 1 for mtr's -Z 1, how long a whole trace waits",

	"report":        reportHint,
	"report-cycles": "want -c 10 for mtr's --report-cycles 10",
	"max-ttl":       hopsHint,
	"max-hops":      hopsHint,
	"first-ttl":     hopsHint,
	"first":         hopsHint,
	"psize":         "want -s 56 for the payload",
	"icmp":          "ICMP echo is all that path sends: want it without --icmp",
	"curses":        "'pingtel watch' is the live view, with paths on p",
}

const (
	reportHint = "the report is what path prints: want it without mtr's -r, and -r 1000 for echoes per second"
	hopsHint   = "all hops are probed at once, and a trace ends where the path ends: want none of the numbers of hops"
)

// otherPathNames are the long names of those flags.
var otherPathNames = map[string]string{
	"no-dns": "n", "show-ips": "b", "report-wide": "report", "tcp": "T", "udp": "u", "mpls": "e", "aslookup": "z", "as-path-lookups": "A", "ipinfo": "y",
	"csv": "C", "raw": "l", "xml": "x", "split": "l", "order": "o", "address": "a", "port": "P", "tos": "Q", "queries": "q", "wait": "w", "sim-queries": "N",
	"gracetime": "G", "bitpattern": "B", "filename": "F", "gateway": "g", "debug": "d", "version": "V", "displaymode": "curses", "gtk": "curses",
}

// otherNames are the long names of those flags.
var otherNames = map[string]string{
	"numeric": "n", "verbose": "v", "generate": "g", "vcount": "C", "period": "p", "unreach": "u", "loop": "l", "elapsed": "e",
}

// flagError explains an error of the flags of a command.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		names, flags := otherNames, otherFlags
		if cmd.Name() == "path" {
			names, flags = otherPathNames, otherPathFlags
		}
		if short, ok := names[name]; ok {
			name = short
		}
		switch hint := flags[name]; {
		case (cmd.Name() == "ping" || cmd.Name() == "path") && hint != "":
			return fmt.Errorf("%w: %s", err, hint)
		case cmd == cmd.Root():
			return fmt.Errorf("%w: flags come after a command, as in 'pingtel ping -c 3 192.0.2.1' ('%s --help' lists the commands)", err, cmd.CommandPath())
		}
	}
	return fmt.Errorf("%w ('%s --help' lists the flags)", err, cmd.CommandPath())
}

// hostHint says what to write where the name of a command is a host, "" where it
// can be none. An address or a name with a dot can only be meant as one.
func hostHint(word string) (hint string, certain bool) {
	if _, err := hosts.Parse(word); err != nil {
		return "", false
	}
	return "want 'pingtel ping " + word + "' to ping a host", strings.ContainsAny(word, ".:") || word == "localhost"
}

// checkPMTU refuses what ping's -M takes: here -M has no value, and the word would
// be pinged.
func (f *pingFlags) checkPMTU(args []string) {
	if !f.opts.DontFragment || len(args) == 0 {
		return
	}
	switch word := args[0]; word {
	case "do", "probe":
		f.faults.add(fmt.Errorf("-M takes no value: want -M alone for ping's -M %s", word))
	case "want", "dont":
		f.faults.add(fmt.Errorf("-M takes no value: want no -M for ping's -M %s", word))
	}
}

// fileError explains a file that is not there: ping's -f is another flag.
func (f *pingFlags) fileError(err error) error {
	if errors.Is(err, fs.ErrNotExist) && isOne(f.file) && !strings.ContainsRune(f.file, '/') {
		return fmt.Errorf("%w: -f reads hosts from a file: want 'pingtel ping -i 0.01 %s' for ping's -f", err, f.file)
	}
	return err
}

// notes are about values that the same flag of ping or fping has in another
// meaning. They are right here too, so that the run goes on.
func (f *pingFlags) notes() (notes []string) {
	if n, err := strconv.Atoi(f.timeoutText.text); err == nil && n >= 10 {
		want := fmt.Sprintf("-t %dms for fping's -t", n)
		if n <= 255 {
			want = fmt.Sprintf("--ttl %d for ping's -t, %s", n, want)
		}
		notes = append(notes, fmt.Sprintf("-t %d waits %d seconds for each reply (-t %ds says so without this note): want %s", n, n, n, want))
	}
	if n, err := strconv.Atoi(f.rateText.text); err == nil && n >= 1 && n <= 5 {
		notes = append(notes, fmt.Sprintf("-r %d sends %d echo %s per second over all hosts: want -c %d --until-reply for fping's -r", n, n, plural(n, "request", "requests"), n+1))
	}
	return notes
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// keptText is a flag's value that keeps the text that was given.
type keptText struct {
	pflag.Value
	text string
}

// Set keeps the text and sets the value.
func (k *keptText) Set(text string) error {
	k.text = text
	return k.Value.Set(text)
}

// keepText keeps the text of a flag that is registered.
func keepText(set *pflag.FlagSet, name string) *keptText {
	flag := set.Lookup(name)
	kept := &keptText{Value: flag.Value}
	flag.Value = kept
	return kept
}

// interfaceHint explains an address in the place of an interface.
func interfaceHint(text string) string {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return ", or -S " + text + " to send from that address"
	}
	return ""
}
