package nagios

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Worst returns the status of the worst verdict, Unknown where there is none.
func Worst(verdicts []Verdict) Status {
	if len(verdicts) == 0 {
		return Unknown
	}
	worst := OK
	for _, v := range verdicts {
		if v.Status.worse(worst) {
			worst = v.Status
		}
	}
	return worst
}

// Line returns the status line of a check, performance data included, without
// a line end.
func Line(verdicts []Verdict) string {
	var b strings.Builder
	b.WriteString("PING " + Worst(verdicts).String() + " - ")
	if len(verdicts) == 1 {
		b.WriteString(plain(summary(verdicts[0])))
	} else {
		b.WriteString(plain(overview(verdicts)))
	}
	b.WriteString(" |")
	for _, v := range verdicts {
		appendPerfdata(&b, v, len(verdicts) > 1)
	}
	return b.String()
}

// Failed returns the status line of a check that could not run.
func Failed(err error) string {
	return "PING UNKNOWN - " + plain(err.Error())
}

// summary is the text for one host.
func summary(v Verdict) string {
	r := &v.Result
	s := r.Host
	if r.Addr.IsValid() && r.Addr.String() != r.Host {
		s += " (" + r.Addr.String() + ")"
	}
	if v.Reason != "" {
		s += ": " + v.Reason
		if r.Sent == 0 {
			return s
		}
		s += ";"
	} else {
		s += ":"
	}
	if r.Received > 0 {
		s += " rta " + milliseconds(r.Mean) + " ms,"
	}
	s += " loss " + number(r.Loss) + "%"
	if r.Received > 1 {
		s += ", jitter " + milliseconds(r.Jitter) + " ms"
	}
	return s
}

// overview is the text for several hosts: how many are how, then each that is
// not OK, the worst first.
func overview(verdicts []Verdict) string {
	counts := make(map[Status]int)
	for _, v := range verdicts {
		counts[v.Status]++
	}
	parts := []string{strconv.Itoa(counts[OK]) + " of " + strconv.Itoa(len(verdicts)) + " hosts ok"}
	for _, s := range []Status{Critical, Warning, Unknown} {
		if n := counts[s]; n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+strings.ToLower(s.String()))
		}
	}
	text := strings.Join(parts, ", ")
	bad := slices.DeleteFunc(slices.Clone(verdicts), func(v Verdict) bool { return v.Status == OK })
	slices.SortStableFunc(bad, func(a, b Verdict) int { return b.Status.rank() - a.Status.rank() })
	for i, v := range bad {
		text += []string{": ", "; "}[min(i, 1)] + v.Result.Host + " " + v.Status.String() + " " + v.Reason
	}
	return text
}

// appendPerfdata appends the three values of one host.
func appendPerfdata(b *strings.Builder, v Verdict, named bool) {
	r, t := &v.Result, &v.Thresholds
	value := func(name, value, unit, warn, crit, bounds string) {
		if named {
			name = r.Host + " " + name
		}
		b.WriteByte(' ')
		b.WriteString(label(name))
		b.WriteByte('=')
		if value == "" {
			b.WriteString("U") // guidelines: the value could not be determined
		} else {
			b.WriteString(value + unit)
		}
		b.WriteString(";" + warn + ";" + crit + ";" + bounds)
	}
	var rta, loss, jitter string
	if r.Sent > 0 {
		loss = number(r.Loss)
	}
	if r.Received > 0 {
		rta = milliseconds(r.Mean)
	}
	if r.Received > 1 {
		jitter = milliseconds(r.Jitter)
	}
	value("rta", rta, "ms", limitMS(t.Warn.RTT), limitMS(t.Crit.RTT), "0")
	value("pl", loss, "%", limit(t.Warn.Loss), limit(t.Crit.Loss), "0;100")
	value("jitter", jitter, "ms", limitMS(t.Warn.Jitter), limitMS(t.Crit.Jitter), "0")
}

// label quotes a label where the guidelines ask for it. An equals sign or a
// quote mark would end the label for many readers: they become underscores.
func label(s string) string {
	s = plain(strings.NewReplacer("=", "_", "'", "_").Replace(s))
	if strings.ContainsAny(s, " \t") {
		return "'" + s + "'"
	}
	return s
}

// plain replaces what would end the line, its text part, or its reader's
// patience: the bar, line ends and other control characters.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '|':
			return '/'
		case !strconv.IsPrint(c):
			return ' '
		}
		return c
	}, s)
}

func limit(v float64) string {
	if v == 0 {
		return ""
	}
	return number(v)
}

func limitMS(d time.Duration) string { return limit(toMS(d)) }

func toMS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// milliseconds formats a measured time, exact to the microsecond.
func milliseconds(d time.Duration) string { return strconv.FormatFloat(toMS(d), 'f', 3, 64) }

// number formats with up to three decimals, and none that say nothing.
func number(v float64) string {
	s := strings.TrimRight(strconv.FormatFloat(v, 'f', 3, 64), "0")
	return strings.TrimSuffix(s, ".")
}
