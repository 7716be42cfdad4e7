package plugin

import (
	"context"
	"io"
	"os"
	"syscall"
)

// Event is what the other side of a [Conversation] wants.
type Event int

const (
	// End means that the plugin is to write what it has, and to exit with
	// status 0.
	End Event = iota
	// Collect means that one round of results is wanted now.
	Collect
	// Reload means that the configuration is to be read again.
	Reload
	// Other is a signal without a meaning here.
	Other
)

// Conversation is how Telegraf's inputs.execd speaks to a plugin: a newline on
// stdin or a signal asks for a round of results, and the end of stdin ends the
// plugin. Make one with [NewConversation].
type Conversation struct {
	signal  string
	signals <-chan os.Signal
	demand  chan struct{} // holds one where a newline has come
	eof     chan error    // holds why stdin ended, nil at its end
}

// NewConversation reads stdin until its end. signal is the setting of
// inputs.execd: "none", "STDIN", "SIGHUP", "SIGUSR1" or "SIGUSR2". signals
// brings the signals of the process; see [Signals]. It may be nil.
//
// The goroutine that reads ends with stdin, or with the process.
func NewConversation(stdin io.Reader, signal string, signals <-chan os.Signal) *Conversation {
	c := &Conversation{signal: signal, signals: signals, demand: make(chan struct{}, 1), eof: make(chan error, 1)}
	go c.read(stdin)
	return c
}

// Next waits for the next event. Newlines that come faster than Next is called
// are one event. SIGHUP means [Reload], unless it asks for rounds. When ctx is
// done, or stdin is at its end, Next returns [End]; the error says why stdin
// cannot be read, where that is the reason.
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
