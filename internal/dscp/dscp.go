// Package dscp converts between differentiated services code points (RFC 2474)
// and their names, for flags, the configuration file and output.
package dscp

import (
	"errors"
	"strconv"
	"strings"
)

// Code points whose names do not follow from a rule, and the limits of the rules.
const (
	lowerEffort       = 1  // RFC 8622
	voiceAdmit        = 44 // RFC 5865
	expeditedForward  = 46 // RFC 3246
	highestCodePoint  = 63
	assuredForwardMin = 10 // AF11, RFC 2597
	assuredForwardMax = 38 // AF43
)

var errUnknown = errors.New("want 0 to 63 or a name: EF, AF11 to AF43, CS0 to CS7, BE, DF, LE, VA")

// Parse returns the code point that text names: a decimal number from 0 to
// 63, or a name in upper or lower case: BE or DF (0), LE (1), CS0 to CS7,
// AF11 to AF43, VA (44), EF (46). The error lists what is valid.
func Parse(text string) (int, error) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		if n > highestCodePoint {
			return 0, errUnknown
		}
		return int(n), nil
	}
	name := strings.ToUpper(text)
	switch name {
	case "BE", "DF":
		return 0, nil
	case "LE":
		return lowerEffort, nil
	case "VA":
		return voiceAdmit, nil
	case "EF":
		return expeditedForward, nil
	}
	if class, ok := strings.CutPrefix(name, "CS"); ok && len(class) == 1 && class >= "0" && class <= "7" {
		return int(class[0]-'0') << 3, nil
	}
	if af, ok := strings.CutPrefix(name, "AF"); ok && len(af) == 2 &&
		af[0] >= '1' && af[0] <= '4' && af[1] >= '1' && af[1] <= '3' {
		return int(af[0]-'0')<<3 | int(af[1]-'0')<<1, nil
	}
	return 0, errUnknown
}

// Name returns the name of a code point, "" if it has none. For 0 it is CS0.
func Name(codePoint int) string {
	switch {
	case codePoint < 0 || codePoint > highestCodePoint:
		return ""
	case codePoint == lowerEffort:
		return "LE"
	case codePoint == voiceAdmit:
		return "VA"
	case codePoint == expeditedForward:
		return "EF"
	}
	class, drop := codePoint>>3, codePoint&7
	if drop == 0 {
		return "CS" + strconv.Itoa(class)
	}
	if codePoint >= assuredForwardMin && codePoint <= assuredForwardMax && drop%2 == 0 {
		return "AF" + strconv.Itoa(class) + strconv.Itoa(drop/2)
	}
	return ""
}

// Names returns every name that [Parse] takes, in the order of their code
// points.
func Names() []string {
	names := []string{"BE", "DF", "LE"}
	for n := range highestCodePoint + 1 {
		if name := Name(n); name != "" && n != lowerEffort {
			names = append(names, name)
		}
	}
	return names
}
