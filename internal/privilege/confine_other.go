//go:build !linux

package privilege

import "errors"

// Confine does nothing: only Linux has Landlock.
func Confine(_, _ []string) error { return errors.ErrUnsupported }
