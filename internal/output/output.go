// Package output is the contract between the running process and its outputs, through
// which the figures leave it.
package output

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/fleet"
	"github.com/pingtel/pingtel/internal/monitor"
)

// Output receives results, as a [monitor.Sink], and delivers them to where they are
// wanted. An output knows nothing about the others.
type Output interface {
	monitor.Sink

	// Run works until ctx is done, which is when the process begins to end. Results
	// of running series are still recorded after that. Run returns an error if the
	// output can do nothing any more, and that ends the process.
	Run(ctx context.Context) error

	// Reload takes over the settings of the new file, and logs changes that need a
	// restart.
	Reload(next *config.Config)

	// Close delivers what is left, until ctx is done, and frees everything. It is
	// called after Run has returned, if Run was called, and after the last Record.
	// The error says what was lost, or is that of Run.
	Close(ctx context.Context) error

	// String says in a few words what the output sends, and where to.
	String() string
}

// Counter is an [Output] with counts of its own, for outputs that report on the
// process itself.
type Counter interface {
	Counts() []Count
}

// Reader is an [Output] that reads files again while it runs.
type Reader interface {
	Files() []string // their names
}

// Count is a named count since the start.
type Count struct {
	Name  string
	Value uint64
}

// Own is what a process knows about itself.
type Own struct {
	Engine       icmpcore.Stats
	Schedule     monitor.Stats
	Behind       time.Duration // how long the schedule is behind
	RoundsMissed uint64        // rounds that were asked for while too many were under way
	Fleet        *fleet.Stats  // nil: this prober measures all targets of its file
	Outputs      []Count       // of all outputs
	Sources      []Source      // of targets
}

// Source is what a process knows about a source of targets.
type Source struct {
	Name     string
	Targets  int           // of the list in force
	Age      time.Duration // since the source last gave that list, or since the start if it has none
	Failures uint64        // since the start
	Refused  int           // entries of the list that cannot be targets
}

// Env is what an output gets from the process.
type Env struct {
	Command string    // of pingtel, "telegraf" for example
	Version string    // of pingtel
	Once    bool      // the process runs one round and ends
	Stdout  io.Writer // nil if the output does not print
	Log     *slog.Logger
	Own     func() Own // safe for concurrent use, from Run on

	// Planned returns how many echo requests a second the schedule needs, with the
	// targets of all sources. Safe for concurrent use, from Run on.
	Planned func() float64

	// Prober returns what sends echoes, for outputs that probe by themselves. Safe
	// for concurrent use, from Run on.
	Prober func() monitor.Prober

	// RecordPath hands a path to all outputs that take paths. Calls must come one at a
	// time, from Run on and not after its end.
	RecordPath func(*monitor.Target, *Path)
}
