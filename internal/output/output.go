// Package output is the contract between the running process and the ways that
// its figures leave it.
package output

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

// Output takes results, as a [monitor.Sink], and brings them to where they are
// wanted. An output knows nothing of the others.
type Output interface {
	monitor.Sink

	// Run works until ctx is done, which is when the process begins to end:
	// series that are under way are still recorded after it. Run returns an
	// error where the output can do nothing any more. That ends the process.
	Run(ctx context.Context) error

	// Reload takes over what the file says by now, and logs what takes a restart.
	Reload(next *config.Config)

	// Close hands over what is left, until ctx is done, and frees everything. It
	// comes after Run, if that was called, and after the last Record. The error
	// says what was lost, or is that of Run.
	Close(ctx context.Context) error

	// String says in a few words what goes where.
	String() string
}

// Counter is an [Output] with counts of its own, for outputs that report on the
// process itself.
type Counter interface {
	Counts() []Count
}

// Count is a named count since the start.
type Count struct {
	Name  string
	Value uint64
}

// Own is what a process knows of itself.
type Own struct {
	Engine       icmpcore.Stats
	Schedule     monitor.Stats
	Behind       time.Duration // how long the schedule is behind
	RoundsMissed uint64        // rounds that were asked for while too many were under way
	Outputs      []Count       // of all outputs
}

// Env is what an output gets from the process.
type Env struct {
	Command string    // of pingtel, "telegraf" for example
	Version string    // of pingtel
	Once    bool      // the process runs one round and ends
	Stdout  io.Writer // nil for an output that has nothing to print there
	Log     *slog.Logger
	Own     func() Own // safe for concurrent use, from Run on
}
