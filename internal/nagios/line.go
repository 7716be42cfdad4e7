package nagios

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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

// The bounds of what a check writes, in bytes. Nagios reads 8 KiB and drops the
// rest.
const (
	maxOutput  = 8<<10 - 1 // the line end aside
	maxText    = 1 << 10   // of the first line, without performance data
	maxFigures = 240       // of one host among several
	maxShown   = 3         // hosts in trouble on the first line
)

// Output returns what a check prints, without the last line end: a short first
// line with the state, the worst hosts and the performance data, and where there
// are several hosts a line for each one in trouble, the worst first, as many as
// fit. It is at most 8 KiB, the line end included, unless all performance data
// is asked for.
func Output(verdicts []Verdict, which Perfdata) string {
	names := suffixes(verdicts)
	text := "PING " + Worst(verdicts).String() + " - "
	var trouble []string
	if len(verdicts) == 1 {
		text += summary(verdicts[0])
	} else {
		trouble = inTrouble(verdicts, names)
		text += overview(verdicts, trouble)
	}
	out := cut(plain(text), maxText)
	if data := perfdata(verdicts, names, which); data != "" {
		out += " |" + data
	}
	if len(trouble) > 0 {
		room := maxOutput - len(out)
		if which == PerfdataAll {
			room = maxOutput - maxText
		}
		out += longOutput(trouble, room)
	}
	return out
}

// Failed returns the status line of a check that could not run.
func Failed(err error) string {
	return cut("PING UNKNOWN - "+plain(err.Error()), maxText)
}

// summary is the text for one host.
func summary(v Verdict) string {
	r := &v.Result
	s := r.Host
	if r.Addr.IsValid() && r.Addr.String() != r.Host {
		s += " (" + r.Addr.String() + ")"
	}
	var parts []string
	if v.Reason != "" {
		parts = append(parts, v.Reason)
	}
	if figures := figures(v); figures != "" {
		parts = append(parts, figures)
	}
	return s + ": " + strings.Join(parts, "; ")
}

// figures are the values that the reason of a verdict does not name already.
func figures(v Verdict) string {
	r := &v.Result
	var parts []string
	if r.Received > 0 && !v.named.rta {
		parts = append(parts, "rta "+milliseconds(r.Mean)+" ms")
	}
	if r.Sent > 0 && !v.named.loss {
		parts = append(parts, lossText(r, ""))
	}
	if r.Received > 1 && !v.named.jitter {
		parts = append(parts, "jitter "+milliseconds(r.Jitter)+" ms")
	}
	return strings.Join(parts, ", ")
}

// inTrouble describes each host that is not OK, the worst state first, and in
// one state the highest loss.
func inTrouble(verdicts []Verdict, suffixes []string) []string {
	var bad []int
	for i, v := range verdicts {
		if v.Status != OK {
			bad = append(bad, i)
		}
	}
	slices.SortStableFunc(bad, func(i, j int) int {
		a, b := &verdicts[i], &verdicts[j]
		return cmp.Or(b.Status.rank()-a.Status.rank(), cmp.Compare(b.Result.Loss, a.Result.Loss))
	})
	texts := make([]string, len(bad))
	for n, i := range bad {
		v := &verdicts[i]
		texts[n] = cut(plain(v.Result.Host+suffixes[i]+" "+v.Status.String()+" "+v.Reason), maxFigures)
	}
	return texts
}

// overview is the text for several hosts: how many are how, and the worst.
func overview(verdicts []Verdict, trouble []string) string {
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
	if len(trouble) == 0 {
		return text
	}
	text += ": " + strings.Join(trouble[:min(len(trouble), maxShown)], "; ")
	return text + more(len(trouble)-maxShown, "; ")
}

// longOutput is a line for each host in trouble, as many as room has bytes for.
func longOutput(trouble []string, room int) string {
	room -= len(more(len(trouble), "\n"))
	var b strings.Builder
	for i, text := range trouble {
		if b.Len()+1+len(text) > room {
			b.WriteString(more(len(trouble)-i, "\n"))
			break
		}
		b.WriteString("\n" + text)
	}
	return b.String()
}

// more says how many hosts in trouble are not named.
func more(n int, before string) string {
	if n <= 0 {
		return ""
	}
	return before + "and " + strconv.Itoa(n) + " more"
}

// cut returns s, or as much of it as fits into n bytes with dots behind it.
func cut(s string, n int) string {
	const dots = "..."
	if len(s) <= n {
		return s
	}
	n -= len(dots)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + dots
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

// limit formats a threshold exactly, "" where there is none.
func limit(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
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
