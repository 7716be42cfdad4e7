package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong in a file, or in a variable that pingtel
// reads because the file does not have the key.
type Fault struct {
	File    string // "" if the fault is in a variable
	Line    int    // from 1; 0 if the fault belongs to no line
	Key     string // dotted path, "targets[0].dscp", or the variable's name
	Problem string // what is wrong, and what to write instead
}

func (f Fault) Error() string {
	if f.File == "" {
		return f.Key + ": " + f.Problem
	}
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if f.Key == "" {
		return where + ": " + f.Problem
	}
	return where + ": " + f.Key + ": " + f.Problem
}

// Faults are all the faults of a file, by line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}
