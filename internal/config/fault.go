package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong in a file, or in a variable that serves
// where the file is silent.
type Fault struct {
	File    string // "" where a variable is to blame
	Line    int    // from 1; 0 where no line is to blame
	Key     string // dotted path, "targets[0].dscp", or the variable's name
	Problem string // what is wrong, and what would be right
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
