package report

import (
	"strconv"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
)

// Lost says in a few words what is known of why echoes were lost: the error that
// came most, replies that were corrupt, replies that came after their timeout.
// It is "" where there was only silence.
func Lost(r *icmpcore.PingResult) string {
	var parts []string
	if c, n := mostCommon(r.Errors); n > 0 {
		text := c.String()
		if n < r.Sent-r.Received {
			text = strconv.Itoa(n) + " x " + text
		}
		parts = append(parts, text)
	}
	count := func(n int, one, many string) {
		if n > 0 {
			parts = append(parts, strconv.Itoa(n)+plural(n, one, many))
		}
	}
	count(r.Corrupt, " corrupt reply", " corrupt replies")
	count(r.Late, " late reply", " late replies")
	return strings.Join(parts, ", ")
}

// mostCommon returns the cause that most of the errors have, the first of those
// that are as common, and how many have it.
func mostCommon(errs []icmpcore.EchoError) (most cause, n int) {
	counts := make(map[cause]int)
	for _, e := range errs {
		counts[causeOf(e)]++
	}
	for _, e := range errs {
		if c := causeOf(e); counts[c] > n {
			most, n = c, counts[c]
		}
	}
	return most, n
}
