package output

import (
	"time"

	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/path"
)

// PathTaker is an [Output] that takes paths, too.
type PathTaker interface {
	// RecordPath takes what is known of the path to a target. Calls come one at a time,
	// beside those of Record and Forget, possibly after that of the target's Forget.
	// It must not block, and must not change p.
	RecordPath(t *monitor.Target, p *Path)
}

// Path is what is known of the path to a target.
type Path struct {
	Trace   *path.Trace // nil if the target was not traced itself, but joined to a cause that another trace showed
	Route   path.Route  // of this trace, or the last healthy one that is known; empty if there is none
	Verdict path.Verdict
	At      time.Time
	Loss    bool // loss was the reason to look, not that a healthy path is traced from time to time

	// Before is the route before, if this trace took another one.
	Before *path.Route
}
