package plugin

import (
	"context"
	"io"
	"os"
	"syscall"
)

// Event is what Telegraf, or the sender of a signal, wants of a plugin.
type Event int

const (
	// End means: write what there is, and exit with status 0.
	End Event = iota
	// Collect means: ping every target once, now.
	Collect
	// Reload means: read the configuration again.
	Reload
	// Other is a signal that has no meaning here. Ignore it.
	Other
)

// Conversation is how Telegraf's inputs.execd speaks to a plugin: a newline on
// stdin or a signal asks for a round of results, and the end of stdin ends the
// plugin. Make one with [NewConversation]; the zero value does not work.
type Conversation struct {
	signal  string
	signals <-chan os.Signal
	demand  chan struct{} // holds one if a newline has come
	eof     chan error    // holds why stdin cannot be read any more: nil at its end
}

// NewConversation starts to read stdin. signal is the setting of inputs.execd:
// "none", "STDIN", "SIGHUP", "SIGUSR1" or "SIGUSR2". Anything else counts as
// "none": nothing asks for rounds, and the plugin keeps its own schedule.
//
// signals is a channel that [os/signal.Notify] sends [Signals] to. It may be nil,
// and must not be closed.
//
// The goroutine that reads ends with stdin, or with the process.
func NewConversation(stdin io.Reader, signal string, signals <-chan os.Signal) *Conversation {
	c := &Conversation{signal: signal, signals: signals, demand: make(chan struct{}, 1), eof: make(chan error, 1)}
	go c.read(stdin)
	return c
}

// Next waits for the next event. Newlines that come faster than Next is called
// are one event. SIGHUP means [Reload], unless it asks for rounds.
//
// When ctx is done, and when stdin has ended, Next returns [End], and so does each
// further call. The error is nil, unless End comes because stdin cannot be read.
// Cancel ctx when SIGINT or SIGTERM arrives.
func (c *Conversation) Next(ctx context.Context) (Event, error) {
	for {
		select {
		case <-ctx.Done():
			return End, nil
		case <-c.demand:
			if c.signal == "STDIN" {
				return Collect, nil
			}
		case sig := <-c.signals:
			switch name := signalName(sig); {
			case name != "" && name == c.signal:
				return Collect, nil
			case sig == syscall.SIGHUP:
				return Reload, nil
			}
			return Other, nil
		case err := <-c.eof:
			c.eof <- err // for the next call
			select {
			case <-c.demand: // a newline before the end counts
				if c.signal == "STDIN" {
					return Collect, nil
				}
			default:
			}
			return End, err
		}
	}
}

// signalName returns the name of a signal in the settings of inputs.execd.
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

// read reads stdin until its end.
func (c *Conversation) read(stdin io.Reader) {
	b := make([]byte, 4<<10)
	for {
		n, err := stdin.Read(b)
		for _, char := range b[:n] {
			if char == '\n' {
				signal(c.demand)
			}
		}
		switch {
		case err == io.EOF:
			c.eof <- nil
			return
		case err != nil:
			c.eof <- err
			return
		}
	}
}
