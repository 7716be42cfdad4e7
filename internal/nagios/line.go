package nagios

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pingtel/pingtel/icmpcore"
)

// Report is what a check says of its hosts.
type Report struct {
	Verdicts []Verdict
	Need     int      // how many hosts must be OK, 0 for all of them
	Perfdata Perfdata // for which hosts there is performance data
	Verbose  bool     // a line with all figures for each host
}

// Status returns the state of the whole check.
func (r *Report) Status() Status { return count(r.Verdicts).Of(r.Need) }

func count(verdicts []Verdict) (n States) {
	for _, v := range verdicts {
		n[v.Status]++
	}
	return n
}

// The bounds of what a check writes, in bytes. Nagios reads 8 KiB and drops the
// rest. Pagers and tables show little more than the first line.
const (
	maxOutput  = 8<<10 - 1 // without the line end
	maxFirst   = 256       // the first line without performance data
	maxText    = 1 << 10   // the whole text of a single host, where the first line has no room for it
	maxFigures = 240       // one host among several
	maxPath    = 400       // what a trace shows
	maxShort   = 72        // one host on the first line
	maxShown   = 3         // hosts on the first line
)

// String returns what a check prints, without the last line end: a short first
// line with the state, the worst hosts and the performance data, then the lines
// that it has no room for: of several hosts one for each host in trouble, the
// worst first, as many as fit. What traces show stands only there. It is at most 8 KiB with the line end, unless all
// performance data is asked for.
func (r *Report) String() string {
	names := suffixes(r.Verdicts)
	text := "PING " + r.Status().String() + " - "
	var below []string
	if len(r.Verdicts) == 1 {
		text = plain(text + summary(r.Verdicts[0]))
		if len(text) > maxFirst {
			below = append(below, cut(text, maxText))
		}
		if path := r.Verdicts[0].Path; path != "" {
			below = append(below, "path: "+cut(plain(path), maxPath))
		}
	} else {
		trouble := r.Trouble()
		below = r.describe(trouble, names)
		text = plain(text + r.overview(below))
		for n, i := range trouble {
			if path := r.Verdicts[i].Path; path != "" {
				below[n] += "; path: " + cut(plain(path), maxPath)
			}
		}
	}
	if r.Verbose {
		for i, v := range r.Verdicts {
			below = append(below, cut(plain(details(v, names[i])), maxFigures))
		}
	}
	out := cut(text, maxFirst)
	if data := perfdata(r.Verdicts, names, r.Perfdata); data != "" {
		out += " |" + data
	}
	room := maxOutput - len(out)
	if r.Perfdata == PerfdataAll {
		room = maxOutput - maxFirst
	}
	return out + longOutput(below, room)
}

// Failed returns what a check prints that could not run.
func Failed(err error) string {
	text := "PING UNKNOWN - " + plain(err.Error())
	if len(text) <= maxFirst {
		return text
	}
	return cut(text, maxFirst) + "\n" + cut(text, maxText)
}

// summary is the text for one host.
func summary(v Verdict) string {
	var parts []string
	if v.Reason != "" {
		parts = append(parts, v.Reason)
	}
	if figures := figures(v); figures != "" {
		parts = append(parts, figures)
	}
	if v.Asked > 0 {
		parts = append(parts, "certain after "+strconv.Itoa(v.Result.Sent)+" of "+strconv.Itoa(v.Asked)+" echoes")
	}
	return name(&v.Result) + ": " + strings.Join(parts, "; ")
}

// name is the host with its address, if that is another text.
func name(r *icmpcore.PingResult) string {
	if r.Addr.IsValid() && r.Addr.String() != r.Host {
		return r.Host + " (" + r.Addr.String() + ")"
	}
	return r.Host
}

// details are all figures of a host, in one line.
func details(v Verdict, suffix string) string {
	r := &v.Result
	s := name(r) + suffix + " " + v.Status.String() + ": " + strconv.Itoa(r.Received) + " of " + strconv.Itoa(r.Sent) + " echoes answered"
	if r.Received > 0 {
		s += ", rta " + milliseconds(r.Mean) + " ms, rtmin " + milliseconds(r.Min) + " ms, rtmax " + milliseconds(r.Max) + " ms"
	}
	if r.Received > 1 {
		s += ", jitter " + milliseconds(r.Jitter) + " ms"
	}
	if r.TTL > 0 {
		s += ", ttl " + strconv.Itoa(r.TTL)
	}
	return s
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

// Trouble returns the numbers of the verdicts that are not OK, the worst state first,
// and in one state the highest loss. Hosts that were not waited for are not among them.
func (r *Report) Trouble() []int {
	var bad []int
	for i := range r.Verdicts {
		if v := &r.Verdicts[i]; v.Status != OK && !v.Skipped {
			bad = append(bad, i)
		}
	}
	slices.SortStableFunc(bad, func(i, j int) int {
		a, b := &r.Verdicts[i], &r.Verdicts[j]
		return cmp.Or(b.Status.rank()-a.Status.rank(), cmp.Compare(b.Result.Loss, a.Result.Loss))
	})
	return bad
}

// describe returns a line for each of some verdicts.
func (r *Report) describe(some []int, suffixes []string) []string {
	texts := make([]string, len(some))
	for n, i := range some {
		v := &r.Verdicts[i]
		texts[n] = cut(plain(v.Result.Host+suffixes[i]+" "+v.Status.String()+" "+v.Reason), maxFigures)
	}
	return texts
}

// overview is the text for several hosts: how many are in which state, and the
// worst of them.
func (r *Report) overview(trouble []string) string {
	counts, skipped := count(r.Verdicts), 0
	for _, v := range r.Verdicts {
		if v.Skipped {
			counts[v.Status]--
			skipped++
		}
	}
	text := strconv.Itoa(counts[OK]) + " of " + strconv.Itoa(len(r.Verdicts)) + " hosts ok"
	if r.Need > 0 {
		text += " (" + strconv.Itoa(r.Need) + " needed)"
	}
	add := func(n int, what string) {
		if n > 0 {
			text += ", " + strconv.Itoa(n) + " " + what
		}
	}
	for _, s := range []Status{Critical, Warning, Unknown} {
		add(counts[s], strings.ToLower(s.String()))
	}
	add(skipped, "not waited for")
	var worst []string
	for _, host := range trouble[:min(len(trouble), maxShown)] {
		worst = append(worst, cut(host, maxShort))
	}
	if len(worst) > 0 {
		text += ": " + strings.Join(worst, "; ")
	}
	return text + more(len(trouble)-maxShown, "; ")
}

// longOutput is the lines below the first, as many as room has bytes for.
func longOutput(lines []string, room int) string {
	room -= len(more(len(lines), "\n"))
	var b strings.Builder
	for i, text := range lines {
		if b.Len()+1+len(text) > room {
			b.WriteString(more(len(lines)-i, "\n"))
			break
		}
		b.WriteString("\n" + text)
	}
	return b.String()
}

// more says how many hosts or lines are left out.
func more(n int, before string) string {
	if n <= 0 {
		return ""
	}
	return before + "and " + strconv.Itoa(n) + " more"
}

// cut returns s, or as much of it as fits into n bytes with dots after it.
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

// plain replaces what would end the text or the line, or confuse a terminal: the
// bar, line ends and other control characters.
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

// number formats with up to three decimals and no trailing zeros.
func number(v float64) string {
	s := strings.TrimRight(strconv.FormatFloat(v, 'f', 3, 64), "0")
	return strings.TrimSuffix(s, ".")
}
