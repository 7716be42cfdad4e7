package watch

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/integration/tmux"
)

// panicEnv has the test binary run a view in which something panics, in the
// terminal that it stands in.
const panicEnv = "WATCH_TEST_PANIC"

func TestMain(m *testing.M) {
	if where := os.Getenv(panicEnv); where != "" {
		fmt.Println("error:", panicking(where))
		os.Exit(3)
	}
	if what := os.Getenv(loadEnv); what != "" {
		fmt.Println("error:", runLoad(what == "view", os.Getenv(loadEnv+"_FILE")))
		os.Exit(0)
	}
	if flag.Parse(); *load {
		os.Exit(peer.Main(m)) // which builds pingtel
	}
	os.Exit(m.Run())
}

// panicking runs a view until something panics: the drawing of a frame, the
// measuring, or what takes an echo in.
func panicking(where string) error {
	s := NewStore(0)
	x := s.Add("198.18.0.1", nil, time.Second)
	frames := 0
	clock := func() time.Time {
		if frames++; where == "frame" && frames > 12 {
			panic("a frame")
		}
		return time.Now()
	}
	screen := newScreen(s, true, true, clock)
	return run(context.Background(), Terminal{Out: os.Stdout}, screen, func(ctx context.Context) error {
		for seq := 1; ctx.Err() == nil; seq++ {
			x.Echo(icmpcore.Echo{Seq: seq, Outcome: icmpcore.OutcomeReply, RTT: ms, Time: time.Now()})
			select {
			case <-time.After(frameTime / 4):
			case <-ctx.Done():
			}
			switch {
			case seq < 12:
			case where == "measuring":
				panic("the measuring")
			case where == "echo":
				s.feed.mu.Lock() // so much waits that the next echo takes it in, and that panics, if the view does not come first
				s.feed.events = append(s.feed.events, make([]event, drainAt)...)
				s.feed.mu.Unlock()
				go x.Echo(icmpcore.Echo{Seq: 1}) // on a goroutine of its own, as that of a Pinger
				<-ctx.Done()
			case where == "error":
				return errors.New("no more echoes")
			}
		}
		return nil
	})
}

// TestPanic has the view end by a panic of each of its goroutines, and by an
// error: the terminal is left usable, and says why.
func TestPanic(t *testing.T) {
	for where, want := range map[string]string{
		"frame": "Caught panic:", "measuring": "panic: the measuring", "echo": "nil pointer dereference", "error": "error: no more echoes",
	} {
		x := tmux.Start(t, 100, 40, []string{panicEnv + "=" + where}, "sh", "-c", `stty -a >/dev/null; s=$(stty -g); "$0" 2>&1; [ "$s" = "$(stty -g)" ] && echo same; echo FINISHED; cat`, os.Args[0])
		x.AwaitText("198.18.0.1")
		text := x.AwaitText("FINISHED")
		if !strings.Contains(text, "same\nFINISHED\n") {
			t.Errorf("%s: the modes of the line have changed, or it is no line: %s", where, text)
		}
		if state := x.State(); !strings.HasPrefix(state, "alternate 0 cursor 1 keypad 0 cursor-keys 0 mouse 0 wrap 1") {
			t.Errorf("%s: the terminal is %s", where, state)
		}
		if all := x.All(); !strings.Contains(all, want) {
			t.Errorf("%s: the terminal shows %s\nwant %q in it", where, all, want)
		}
	}
}
