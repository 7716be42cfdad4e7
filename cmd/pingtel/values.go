package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pingtel/pingtel/icmpcore"
)

// faults collects the faults of a command's flags, so that all of them are
// reported at once.
type faults []error

func (f *faults) add(err error) {
	if err != nil {
		*f = append(*f, err)
	}
}

// err returns all faults as one error, nil if there is none.
func (f *faults) err() error { return errors.Join(*f...) }

// flagValue is a flag with its own parser ([pflag.Value]). A text that does not
// parse becomes a fault; the flag then keeps its value.
type flagValue[T any] struct {
	dst    *T
	parse  func(string) (T, error)
	format func(T) string
	name   string // of the flag
	kind   string // of its value, for the help text
	faults *faults
}

// Set never fails: pflag would stop at the first fault.
func (v *flagValue[T]) Set(text string) error {
	parsed, err := v.parse(text)
	if err != nil {
		v.faults.add(fmt.Errorf("--%s %q: %w", v.name, text, err))
		return nil
	}
	*v.dst = parsed
	return nil
}

func (v *flagValue[T]) String() string {
	if v.dst == nil { // pflag calls String on a zero value of the type
		return ""
	}
	return v.format(*v.dst)
}

func (v *flagValue[T]) Type() string { return v.kind }

var errDuration = errors.New("want seconds, such as 0.5, or a number with a unit, such as 500ms")

// parseDuration reads seconds as a plain decimal number, or a duration with
// units, which [time.ParseDuration] reads. It refuses a negative duration.
func parseDuration(text string) (time.Duration, error) {
	if text != "" && strings.Trim(text, "0123456789.") == "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || seconds >= math.MaxInt64/1e9 {
			return 0, errDuration
		}
		return time.Duration(math.Round(seconds * 1e9)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errDuration
	}
	return d, nil
}

// durationIn reads a duration between two bounds.
func durationIn(low, high time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := parseDuration(text)
		if err == nil && (d < low || d > high) {
			return 0, fmt.Errorf("want %s to %s", formatDuration(low), formatDuration(high))
		}
		return d, err
	}
}

// formatDuration writes 24h where Duration.String writes 24h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// intIn reads a whole number between two bounds. also is added to the text of
// the error; it may say what one of the bounds means.
func intIn(low, high int, also string) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("want a whole number from %d to %d%s", low, high, also)
		}
		return n, nil
	}
}

// parseMark reads a firewall mark, decimal or hexadecimal.
func parseMark(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, errors.New("want a firewall mark from 0 to 4294967295, or 0x0 to 0xffffffff")
	}
	return uint32(n), nil
}

func parseInterface(name string) (string, error) {
	if _, err := net.InterfaceByName(name); err != nil {
		return "", fmt.Errorf("want a network interface of this machine%s: %w", interfaceHint(name), err)
	}
	return name, nil
}

func parseSource(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, errors.New("want an IP address of this machine")
	}
	return addr, nil
}

func parseSocket(text string) (icmpcore.SocketKind, error) {
	var kind icmpcore.SocketKind
	if err := kind.UnmarshalText([]byte(text)); err != nil {
		return 0, errors.New("want auto, raw or datagram")
	}
	return kind, nil
}

// hideZero formats the number of a flag. Zero means the system's default, and
// the help text must not show that as 0.
func hideZero[T int | uint32](n T) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

func formatSource(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// besideConfig returns what of a command line that names a config file says the
// same as the file does: hosts, and all flags except those allowed.
func besideConfig(cmd *cobra.Command, args []string, allowed ...string) []string {
	var also []string
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Name != "config" && !slices.Contains(allowed, flag.Name) {
			also = append(also, "--"+flag.Name)
		}
	})
	if len(args) > 0 {
		also = append(also, "HOST")
	}
	return also
}
