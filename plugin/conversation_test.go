package plugin

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

// TestConversation looks at what comes of what Telegraf writes and sends.
func TestConversation(t *testing.T) {
	broken := errors.New("input/output error")
	for _, tt := range []struct {
		name, signal string
		stdin        io.Reader
		signals      []os.Signal
		want         []Event // sorted as they must come
		err          error
	}{
		{"end of stdin", "none", strings.NewReader(""), nil, []Event{End}, nil},
		{"a newline by the schedule", "none", strings.NewReader("\n"), nil, []Event{End}, nil},
		{"a newline on demand", "STDIN", strings.NewReader("\n"), nil, []Event{Collect, End}, nil},
		{"a newline with the end", "STDIN", iotest.DataErrReader(strings.NewReader("\n")), nil, []Event{Collect, End}, nil},
		{"many newlines at once", "STDIN", strings.NewReader("\n\n\n"), nil, []Event{Collect, End}, nil},
		{"text without a newline", "STDIN", strings.NewReader("now"), nil, []Event{End}, nil},
		{"stdin fails", "STDIN", iotest.ErrReader(broken), nil, []Event{End}, broken},
		{"the signal", "SIGUSR1", nil, []os.Signal{sigUsr1}, []Event{Collect}, nil},
		{"another signal", "SIGUSR1", nil, []os.Signal{sigUsr2}, []Event{Other}, nil},
		{"reload", "SIGUSR2", nil, []os.Signal{syscall.SIGHUP, sigUsr2}, []Event{Reload, Collect}, nil},
		{"an empty setting", "", nil, []os.Signal{syscall.SIGTERM}, []Event{Other}, nil},
		{"the end again", "STDIN", strings.NewReader("\n"), nil, []Event{Collect, End, End}, nil},
		{"the error again", "none", iotest.ErrReader(broken), nil, []Event{End, End}, broken},
		{"SIGHUP on demand", "SIGHUP", nil, []os.Signal{syscall.SIGHUP}, []Event{Collect}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal, 4)
				for _, s := range tt.signals {
					signals <- s
				}
				open, end := io.Pipe()
				defer end.Close()
				if tt.stdin == nil {
					tt.stdin = open
				}
				c := NewConversation(tt.stdin, tt.signal, signals)
				synctest.Wait() // all has been read
				for i, want := range tt.want {
					got, err := c.Next(t.Context())
					if got != want || err != nil && (got != End || !errors.Is(err, tt.err)) || err == nil && got == End && tt.err != nil {
						t.Fatalf("event %d is %v, %v, want %v", i, got, err, want)
					}
				}
			})
		})
	}
}

func TestConversationIsEnded(t *testing.T) {
	stdin, end := io.Pipe()
	defer end.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := NewConversation(stdin, "STDIN", nil).Next(ctx); got != End || err != nil {
		t.Errorf("Next = %v, %v, want the end", got, err)
	}
}
