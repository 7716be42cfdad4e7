package config

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// The bounds of a file. The decoder takes time by the square of the parts of a
// dotted key, and memory by the depth of what is nested.
const (
	maxFile  = 32 << 20 // bytes: a million hosts
	maxParts = 16       // of a dotted key
	maxDepth = 16       // of lists and inline tables
)

// readFile reads a file up to one byte more than there may be.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // was only read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return string(data), err
}

// bound returns what of a text is larger than the decoder should be given, and
// in which line; "" where nothing is.
func bound(text string) (line int, problem string) {
	if len(text) > maxFile {
		return 0, fmt.Sprintf("is larger than %d MiB: want a shorter file, with prefixes in the place of addresses", maxFile>>20)
	}
	s := scanner{}
	for l := range strings.Lines(text) {
		line++
		s.step(l)
		switch {
		case s.parts > maxParts:
			return line, fmt.Sprintf("a key of more than %d parts: want fewer dots", maxParts)
		case s.deepest > maxDepth:
			return line, fmt.Sprintf("more than %d lists or tables inside each other: want fewer brackets", maxDepth)
		case !s.open():
			s = scanner{}
		}
	}
	return 0, ""
}
