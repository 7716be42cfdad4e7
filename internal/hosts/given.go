package hosts

import "io"

// Given holds the hosts of a command line: arguments, and a file with one host on
// each line. Their prefixes and ranges share one limit, MaxExpanded.
type Given struct {
	Args []string
	File io.Reader // nil: no file
}

// Each calls yield for each host, first those of the arguments, then those of the
// file while it reads it. It stops when yield returns an error. It returns that
// error, that of reading, or one that wraps ErrTooMany. [List.Each] says what
// happens to texts that are not hosts. The slice is valid until yield returns.
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
