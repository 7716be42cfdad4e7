package plugin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

const (
	// drainTime is how long running series may take to finish at the end,
	// flushTime how long stdout may take after that. Telegraf closes stdin
	// and sends SIGTERM five seconds later.
	drainTime = 3500 * time.Millisecond
	flushTime = 1 * time.Second

	// maxRounds bounds the rounds on demand that run at once.
	maxRounds = 4
)

// The signals of inputs.execd, as the file writes them.
const (
	signalNone  = "none"
	signalStdin = "STDIN"
)

// Session is what [Serve] and [Once] work with. Serve needs all of it, Once
// does without Stdin, Signals, Load, Apply and Stats.
type Session struct {
	Config  *config.Config
	Monitor *monitor.Monitor
	Output  *Output
	Log     *slog.Logger

	// Stdin is read until its end, which ends the session.
	Stdin io.Reader

	// Signals brings SIGHUP, SIGUSR1 and SIGUSR2 of the process.
	Signals <-chan os.Signal

	// Load reads the file again. Its error is logged and changes nothing.
	Load func() (*config.Config, error)

	// Apply takes over what Load gave, in all that is not the plugin's.
	Apply func(*config.Config)

	// Stats returns the counts of the prober, for the plugin's own line.
	Stats func() icmpcore.Stats

	// PushesFailed returns how many pushes to a collector have failed, for the
	// same line. It is nil where there are none.
	PushesFailed func() uint64

	// Close ends all series that still run and returns when they are recorded.
	Close func() error
}

// session is a running Session.
type session struct {
	Session

	config  *config.Config // in force
	rounds  sync.WaitGroup // on demand
	slots   chan struct{}  // one for each round that runs
	dropped uint64         // lines, when that was last said
	missed  uint64         // rounds left out
	said    uint64         // rounds left out, when that was last said
}

// Serve holds the conversation with Telegraf: series by the schedule, or a
// round for each signal, until ctx is done or stdin ends. Then it lets running
// series finish, for 3.5 seconds at most, writes what waits, and returns nil.
// It returns an error where stdout cannot be written.
func Serve(ctx context.Context, with Session) error {
	s := &session{Session: with, config: with.Config, slots: make(chan struct{}, maxRounds)}
	running, stop := context.WithCancel(ctx)
	defer stop()
	demand, eof := make(chan struct{}, 1), make(chan error, 1)
	go watchStdin(s.Stdin, demand, eof) // ends with stdin, or with the process
	var schedule sync.WaitGroup
	if s.config.Telegraf.Signal == signalNone {
		schedule.Go(func() { s.Monitor.Run(running) })
	}
	err := s.converse(running, demand, eof)
	stop()
	schedule.Wait()
	return errors.Join(err, s.finish())
}

// Once runs one round and returns when it is written: nil, or an error where
// stdout or a result cannot be written. When ctx is done it ends with what there
// is.
func Once(ctx context.Context, with Session) error {
	s := &session{Session: with, config: with.Config}
	running, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with this function
		select {
		case <-s.Output.Failed():
			stop()
		case <-running.Done():
		}
	}()
	if err := s.Monitor.Round(running); err != nil && !errors.Is(err, context.Canceled) {
		return errors.Join(err, s.finish())
	}
	return errors.Join(s.finish(), s.Output.complete())
}

// converse serves until the end, and returns why where that is an error.
func (s *session) converse(ctx context.Context, demand <-chan struct{}, eof <-chan error) error {
	tick := time.NewTicker(s.config.Agent.Interval)
	defer tick.Stop()
	early := true // within the first interval, and nothing has come on stdin
	for {
		select {
		case <-ctx.Done():
			s.Log.Debug("told to end")
			return nil
		case err := <-eof:
			if err != nil {
				s.Log.Warn("stdin cannot be read: ending", "error", err)
			}
			select {
			case <-demand: // came before the end
				early = false
				s.demanded(ctx)
			default:
			}
			if err == nil {
				s.sayEnded(early)
			}
			return nil
		case <-s.Output.Failed():
			return nil // finish tells
		case <-demand:
			early = false
			s.demanded(ctx)
		case sig := <-s.Signals:
			s.signal(ctx, sig, tick)
		case <-tick.C:
			early = false
			s.report()
		}
	}
}

// sayEnded says why the session ends, and to whoever started it with a stdin
// that is at its end from the first what to do instead.
func (s *session) sayEnded(early bool) {
	if early {
		s.Log.Warn("stdin is at its end, so pingtel ends: let Telegraf's inputs.execd run it, keep stdin open, or run one round with --once")
		return
	}
	s.Log.Info("stdin has ended, so pingtel ends")
}

// demanded does what a line on stdin asks for.
func (s *session) demanded(ctx context.Context) {
	if s.config.Telegraf.Signal == signalStdin {
		s.round(ctx)
	}
}

// signal does what a signal asks for.
func (s *session) signal(ctx context.Context, sig os.Signal, tick *time.Ticker) {
	switch {
	case signalName(sig) == s.config.Telegraf.Signal:
		s.round(ctx)
	case sig == syscall.SIGHUP:
		if s.reload() {
			tick.Reset(s.config.Agent.Interval)
		}
	default:
		s.Log.Debug("a signal that the file does not name", "signal", sig.String())
	}
}

// signalName returns the name of a signal as the file writes it.
func signalName(sig os.Signal) string {
	switch sig {
	case syscall.SIGHUP:
		return "SIGHUP"
	case sigUsr1:
		return "SIGUSR1"
	case sigUsr2:
		return "SIGUSR2"
	}
	return ""
}

// round starts a round on demand. Targets whose last series still runs are
// skipped, counted and told by the monitor; the whole round is where too many
// are under way.
func (s *session) round(ctx context.Context) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.missed++
		return
	}
	s.rounds.Go(func() {
		defer func() { <-s.slots }()
		if err := s.Monitor.Round(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.Log.Error("a round could not run", "error", err)
		}
	})
}

// reload takes the file over anew, and reports whether it did.
func (s *session) reload() bool {
	next, err := s.Load()
	if err == nil {
		err = s.config.CheckReload(next)
	}
	if err != nil {
		s.Log.Error("the configuration stays as it was", "error", err)
		return false
	}
	if was := s.config.Telegraf.Signal; next.Telegraf.Signal != was {
		s.Log.Warn("restart pingtel to change telegraf.signal", "in_force", was, "file", next.Telegraf.Signal)
		next.Telegraf.Signal = was
	}
	s.Output.SetFormat(next.Telegraf)
	s.Apply(next)
	s.config = next
	return true
}

// report says what was left out since the last time, and writes the plugin's
// own line.
func (s *session) report() {
	now := s.sayDropped()
	if missed := s.missed - s.said; missed > 0 {
		s.Log.Warn("rounds were asked for faster than they end: some were left out", "rounds", missed, "in_all", s.missed)
		s.said = s.missed
	}
	s.Output.recordInternal(time.Now(), s.Stats(), s.Monitor.Stats(), now, s.more())
}

// more returns what the session itself adds to the plugin's own line.
func (s *session) more() []count {
	own := []count{{"rounds_missed", s.missed}}
	if s.PushesFailed != nil {
		own = append(own, count{"pushes_failed", s.PushesFailed()})
	}
	return own
}

// sayDropped says how many lines were dropped since the last time.
func (s *session) sayDropped() queueStats {
	now := s.Output.queue.stats()
	if lost := now.dropped - s.dropped; lost > 0 && now.err == nil { // an error ends the session, and is told then
		s.Log.Warn("stdout is not read fast enough: the oldest lines were dropped", "lines", lost, "in_all", now.dropped)
	}
	s.dropped = now.dropped
	return now
}

// finish ends all series and writes what waits.
func (s *session) finish() error {
	s.rounds.Wait() // they do not wait for their series any more, but may still have some to begin
	select {
	case <-s.Output.Failed(): // nobody takes what they would give
	default:
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		if err := s.Monitor.Drain(ctx); err != nil {
			s.Log.Warn("series were cut short", "series", s.Monitor.Stats().Running)
		}
		cancel()
	}
	err := s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	s.sayDropped()
	lost := s.Output.Close(ctx)
	if errors.Is(lost, errUnread) { // whoever wants the end does not want the lines
		s.Log.Warn("lines are lost at the end", "error", lost)
		lost = nil
	}
	return errors.Join(err, lost)
}

// watchStdin sends a token for each newline, as many as are wanted, and the
// error that ended the reading, nil at the end of stdin.
func watchStdin(r io.Reader, demand chan<- struct{}, eof chan<- error) {
	b := make([]byte, 4<<10)
	for {
		n, err := r.Read(b)
		for _, c := range b[:n] {
			if c == '\n' {
				signal(demand)
			}
		}
		switch {
		case err == io.EOF:
			eof <- nil
			return
		case err != nil:
			eof <- err
			return
		}
	}
}
