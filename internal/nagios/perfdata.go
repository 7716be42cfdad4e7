package nagios

import (
	"fmt"
	"strings"
)

// Perfdata says for which hosts there is performance data.
type Perfdata int

// The choices of performance data.
const (
	PerfdataMain Perfdata = iota // of each host, or counts of the states where that would be too long
	PerfdataNone
	PerfdataAll // of each host, however long that is
)

var perfdataNames = [...]string{"main", "none", "all"}

// String returns "main", "none" or "all".
func (p Perfdata) String() string { return perfdataNames[p] }

// UnmarshalText reads what String writes.
func (p *Perfdata) UnmarshalText(text []byte) error {
	for i, name := range perfdataNames {
		if string(text) == name {
			*p = Perfdata(i)
			return nil
		}
	}
	return fmt.Errorf("want %s", strings.Join(perfdataNames[:], ", "))
}

// maxPerfdata bounds the performance data of PerfdataMain, in bytes.
const maxPerfdata = 5 << 10

// values are the texts of one host's values, "" for one that does not exist.
type values struct{ rta, loss, rtmin, rtmax, jitter string }

// longest are values as long as they can be: a timeout is an hour at most.
var longest = values{"3600000.000", "100.000", "3600000.000", "3600000.000", "3600000.000"}

func valuesOf(v Verdict) (out values) {
	r := &v.Result
	if r.Sent > 0 {
		out.loss = number(r.Loss)
	}
	if r.Received > 0 {
		out.rta, out.rtmin, out.rtmax = milliseconds(r.Mean), milliseconds(r.Min), milliseconds(r.Max)
	}
	if r.Received > 1 { // one time does not vary
		out.jitter = milliseconds(r.Jitter)
	}
	return out
}

// perfdata returns the performance data, with a space before each value.
func perfdata(verdicts []Verdict, suffixes []string, which Perfdata) string {
	var b strings.Builder
	switch {
	case which == PerfdataNone:
		return ""
	case len(verdicts) == 1:
		appendValues(&b, "", valuesOf(verdicts[0]), verdicts[0].Thresholds)
		return b.String()
	case which == PerfdataMain && !fits(verdicts, suffixes):
		return stateCounts(verdicts)
	}
	for i, v := range verdicts {
		appendValues(&b, v.Result.Host+suffixes[i]+" ", valuesOf(v), v.Thresholds)
	}
	return b.String()
}

// fits reports whether the performance data of all hosts stays within
// maxPerfdata. It looks at how long the values can become, not at how long they
// are: a check has the same labels in every run.
func fits(verdicts []Verdict, suffixes []string) bool {
	var b strings.Builder
	for i, v := range verdicts {
		appendValues(&b, v.Result.Host+suffixes[i]+" ", longest, v.Thresholds)
		if b.Len() > maxPerfdata {
			return false
		}
	}
	return true
}

// stateCounts is the performance data of many hosts: how many are in each state.
func stateCounts(verdicts []Verdict) string {
	var b strings.Builder
	for s, n := range count(verdicts) {
		fmt.Fprintf(&b, " hosts_%s=%d;;;0;%d", strings.ToLower(Status(s).String()), n, len(verdicts))
	}
	return b.String()
}

// appendValues appends the values of one host.
func appendValues(b *strings.Builder, before string, v values, t Thresholds) {
	value := func(name, value, unit, warn, crit, bounds string) {
		b.WriteByte(' ')
		b.WriteString(label(before + name))
		b.WriteByte('=')
		if value == "" {
			b.WriteString("U") // guidelines: the value could not be determined
		} else {
			b.WriteString(value + unit)
		}
		b.WriteString(";" + warn + ";" + crit + ";" + bounds)
	}
	value("rta", v.rta, "ms", limitMS(t.Warn.RTT), limitMS(t.Crit.RTT), "0")
	value("pl", v.loss, "%", limit(t.Warn.Loss), limit(t.Crit.Loss), "0;100")
	value("rtmin", v.rtmin, "ms", "", "", "0")
	value("rtmax", v.rtmax, "ms", limitMS(t.Warn.Max), limitMS(t.Crit.Max), "0")
	value("jitter", v.jitter, "ms", limitMS(t.Warn.Jitter), limitMS(t.Crit.Jitter), "0")
}

// label quotes a label if it has a space, as the guidelines ask.
func label(s string) string {
	if s = labelText(s); strings.Contains(s, " ") {
		return "'" + s + "'"
	}
	return s
}

// labelText makes a text fit for a label. Many readers end a label at an equals
// sign or a quote mark, so these become underscores.
func labelText(s string) string {
	return plain(strings.NewReplacer("=", "_", "'", "_").Replace(s))
}
