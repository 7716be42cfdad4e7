package nagios_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/nagios"
)

// The grammar of performance data, from the Monitoring Plugins Development
// Guidelines: 'label'=value[UOM];[warn];[crit];[min];[max], separated by spaces.
// A label has no equals sign and no quote mark, and stands in quote marks if it
// has a space. The value may be U. A plain number is a threshold; the guidelines'
// ranges with colons are not needed here.
var (
	number    = `-?[0-9]+(?:\.[0-9]+)?`
	perfDatum = regexp.MustCompile(`^(?:'([^'=]+)'|([^'= ]+))=(U|(` + number + `)(s|us|ms|%|c|[KMGT]?B)?)` +
		`(?:;(` + number + `)?)?(?:;(` + number + `)?)?(?:;(` + number + `)?)?(?:;(` + number + `)?)?$`)
)

// datum is one value of performance data.
type datum struct{ label, value, unit, warn, crit, low, high string }

// parsed is the output of a plugin, taken apart as the guidelines say.
type parsed struct {
	text  string   // of the first line
	data  []datum  // performance data of the first line
	below []string // long output
}

// parseOutput takes the output of a plugin apart, and fails where the guidelines
// do not allow it.
func parseOutput(out string) (p parsed, err error) {
	if len(out)+1 > 8<<10 {
		return p, fmt.Errorf("%d bytes, Nagios reads 8 KiB", len(out)+1)
	}
	lines := strings.Split(out, "\n")
	text, data, _ := strings.Cut(lines[0], "|")
	p.text, p.below = strings.TrimSpace(text), lines[1:]
	for _, line := range p.below {
		if line == "" || strings.Contains(line, "|") {
			return p, fmt.Errorf("a line of long output is %q", line)
		}
	}
	seen := make(map[string]bool)
	for _, word := range splitPerfdata(data) {
		m := perfDatum.FindStringSubmatch(word)
		if m == nil {
			return p, fmt.Errorf("%q is no performance data", word)
		}
		d := datum{m[1] + m[2], m[4], m[5], m[6], m[7], m[8], m[9]}
		if d.value == "" {
			d.value = m[3]
		}
		if seen[d.label] {
			return p, fmt.Errorf("two values for %q", d.label)
		}
		seen[d.label] = true
		if err := d.check(); err != nil {
			return p, fmt.Errorf("%s: %w", word, err)
		}
		p.data = append(p.data, d)
	}
	return p, nil
}

// splitPerfdata splits at spaces outside of quote marks.
func splitPerfdata(s string) (words []string) {
	quoted := false
	return slices.DeleteFunc(strings.FieldsFunc(s, func(c rune) bool {
		if c == '\'' {
			quoted = !quoted
		}
		return c == ' ' && !quoted
	}), func(w string) bool { return w == "" })
}

// check reports a value outside of its bounds.
func (d datum) check() error {
	if d.value == "U" {
		return nil
	}
	v, err := strconv.ParseFloat(d.value, 64)
	if err != nil {
		return err
	}
	if low, err := strconv.ParseFloat(d.low, 64); err == nil && v < low {
		return errors.New("below its minimum")
	}
	if high, err := strconv.ParseFloat(d.high, 64); err == nil && v > high {
		return errors.New("above its maximum")
	}
	return nil
}

// perfLabels are the labels of a host, and what they are in.
var perfLabels = map[string]string{"rta": "ms", "pl": "%", "rtmin": "ms", "rtmax": "ms", "jitter": "ms"}

// TestPerfdataGrammar: whatever became of the hosts, the output follows the
// grammar, and has the same labels, unique, complete and in one order.
func TestPerfdataGrammar(t *testing.T) {
	outcomes := map[string]func(host string) icmpcore.PingResult{
		"answered":  func(h string) icmpcore.PingResult { return result(h, 5, 5, 1234567*time.Nanosecond, 17*ms) },
		"one reply": func(h string) icmpcore.PingResult { return result(h, 5, 1, time.Hour-1, 0) },
		"dead":      func(h string) icmpcore.PingResult { return result(h, 3, 0, 0, 0) },
		"nameless": func(h string) icmpcore.PingResult {
			return icmpcore.PingResult{Host: h, Err: errors.New("no | such = 'host'\n")}
		},
		"third lost":  func(h string) icmpcore.PingResult { return result(h, 3, 2, ms, ms) },
		"instant":     func(h string) icmpcore.PingResult { return result(h, 2, 2, 1, 0) },
		"not started": func(h string) icmpcore.PingResult { return icmpcore.PingResult{Host: h} },
	}
	full := nagios.Thresholds{Warn: nagios.Level{RTT: ms, Loss: 0.5, Max: 2 * ms, Jitter: 100}, Crit: nagios.Level{RTT: time.Minute, Loss: 100, Max: time.Hour, Jitter: time.Second}}
	for _, hosts := range [][]string{{"a"}, {"2001:db8::1%eth0"}, {"x|y=z'", "münchen.test", "a b", "a", "a"}, many(20, "h%d.test")} {
		var want []string
		for name, outcome := range outcomes {
			for _, th := range []nagios.Thresholds{{}, usual, full} {
				var verdicts []nagios.Verdict
				for _, h := range hosts {
					verdicts = append(verdicts, nagios.Judge(outcome(h), th, name == "not started"))
				}
				r := nagios.Report{Verdicts: verdicts, Verbose: true}
				p, err := parseOutput(r.String())
				if err != nil {
					t.Fatalf("%s, %q: %v, in\n%s", name, hosts, err, r.String())
				}
				var got []string
				for _, d := range p.data {
					got = append(got, d.label)
					kind := d.label[strings.LastIndex(d.label, " ")+1:]
					if unit, ok := perfLabels[kind]; !ok || d.unit != unit && d.value != "U" || d.low != "0" || (kind == "pl") != (d.high == "100") {
						t.Errorf("%s: %+v", name, d)
					}
				}
				if len(got) != len(perfLabels)*len(hosts) {
					t.Errorf("%s: %d labels for %d hosts", name, len(got), len(hosts))
				}
				if want == nil {
					want = got
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: other labels (-want +got)\n%s", name, diff)
				}
			}
		}
	}
}

// TestPerfdataGrammarItself: the test's parser refuses what it must.
func TestPerfdataGrammarItself(t *testing.T) {
	for _, bad := range []string{"x | a", "x | a=", "x | a=1 ms", "x | a b=1", "x | 'a=b'=1", "x | a=1;2;3;4;5;6", "x | a=1|b=2", "x | a=1,5", "x | a=1 a=2", "x | a=1ns", "x | a=-1;;;0", "x | a=3;;;0;2", "x\ny|z", "x\n\ny", strings.Repeat("x", 8<<10)} {
		if p, err := parseOutput(bad); err == nil {
			t.Errorf("%q is taken: %+v", bad, p)
		}
	}
	p, err := parseOutput("x | 'a b'=1.5ms;2;3;0;9 c=U;;;0\nlong\noutput")
	want := []datum{{"a b", "1.5", "ms", "2", "3", "0", "9"}, {"c", "U", "", "", "", "0", ""}}
	if diff := cmp.Diff(want, p.data, cmp.AllowUnexported(datum{})); diff != "" || err != nil || p.text != "x" || len(p.below) != 2 {
		t.Errorf("%v, %+v (-want +got)\n%s", err, p, diff)
	}
}
