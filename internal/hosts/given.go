package hosts

import "io"

// Given is what a command line names: arguments, and a file with one host on
// each line. Their prefixes and ranges share one bound, MaxExpanded.
type Given struct {
	Args []string
	File io.Reader // nil: there is none
}

// Each calls yield for each host, first those of the arguments, then those of
// the file as it is read. It stops where yield returns an error, and returns
// that error, that of reading, or one that wraps ErrTooMany; see [List.Each] for
// texts that are no hosts. The slice is valid until yield returns.
func (g Given) Each(yield func([]byte) error) error {
	var list List
	for _, arg := range g.Args {
		if err := list.Each([]byte(arg), yield); err != nil {
			return err
		}
	}
	if g.File == nil {
		return nil
	}
	return ReadFile(g.File, func(text []byte) error { return list.Each(text, yield) })
}
