//go:build !linux

package confine

import "errors"

// Files does nothing: only Linux has Landlock.
func Files(_, _ []string) error { return errors.ErrUnsupported }
