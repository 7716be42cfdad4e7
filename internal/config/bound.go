package config

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// The bounds of a file. The decoder's time grows with the square of the number
// of parts of a dotted key, and its memory with the depth of nesting.
const (
	maxFile  = 32 << 20 // bytes: a million hosts
	maxParts = 16       // of a dotted key
	maxDepth = 16       // of lists and inline tables
)

// readFile reads a file, but at most one byte more than maxFile.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // it was only read, so an error does not matter
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return string(data), err
}

// bound returns what is too large in a text for the decoder, and the line. It
// returns "" if nothing is.
func bound(text string) (line int, problem string) {
	if len(text) > maxFile {
		return 0, fmt.Sprintf("is larger than %d MiB: want a shorter file, with prefixes instead of single addresses", maxFile>>20)
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
