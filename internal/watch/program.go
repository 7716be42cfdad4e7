package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

const (
	// frameTime is the time from one frame to the next.
	frameTime = 250 * time.Millisecond

	// flushRate is how many times a second bubbletea looks whether there is
	// something to write: a frame waits for it.
	flushRate = 60
)

// Terminal is where the view is shown.
type Terminal struct {
	In     *os.File // keys; nil: stdin, or the terminal of the process where that is none
	Out    *os.File // must be a terminal
	Colour bool
	UTF8   bool // it shows more than ASCII
}

// Run shows the store in the terminal until the user quits, ctx is done, or
// measure returns, which fills the store and has to return when its context is
// done. It returns measure's error. Run leaves the terminal as it was, also
// where something panics; it goes on with the panic then.
func Run(ctx context.Context, t Terminal, s *Store, measure func(context.Context) error) error {
	return run(ctx, t, newScreen(s, t.Colour, t.UTF8, time.Now), measure)
}

func run(ctx context.Context, t Terminal, screen *Screen, measure func(context.Context) error) error {
	profile := colorprofile.ASCII
	if t.Colour {
		profile = colorprofile.ANSI // all that is used; asking the terminal for more would run a program
	}
	options := []tea.ProgramOption{
		tea.WithOutput(t.Out), tea.WithColorProfile(profile), tea.WithFPS(flushRate),
		tea.WithoutSignalHandler(), // ctx says it
	}
	if t.In != nil {
		options = append(options, tea.WithInput(t.In))
	}
	p := tea.NewProgram(program{screen}, options...)
	crash := make(chan string, 1) // holds the first panic of a goroutine that is not bubbletea's
	caught := func() {
		if v := recover(); v != nil {
			select {
			case crash <- fmt.Sprintf("%v\n\n%s", v, debug.Stack()):
			default: // one is enough
			}
			p.Quit()
		}
	}
	screen.store.caught = caught
	measuring, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { // ends with measure, which is waited for below
		var err error
		defer func() { ended <- err }()
		defer caught()
		err = measure(measuring)
		p.Quit()
	}()
	quitting := context.AfterFunc(ctx, p.Quit)
	_, err := p.Run()
	quitting()
	stop()
	failed := <-ended
	select {
	case v := <-crash:
		panic(v)
	default:
	}
	if err != nil {
		err = fmt.Errorf("terminal: %s", strings.TrimPrefix(err.Error(), "bubbletea: "))
	}
	return errors.Join(err, failed)
}

// program is the model of bubbletea: it passes on keys, sizes and the time.
type program struct{ screen *Screen }

// tick says that it is time for a frame.
type tick struct{}

func nextTick() tea.Cmd {
	return tea.Tick(frameTime, func(time.Time) tea.Msg { return tick{} })
}

// Init begins the frames.
func (p program) Init() tea.Cmd { return nextTick() }

// Update takes in a message. bubbletea draws a frame after each.
func (p program) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		return p, nextTick()
	case tea.WindowSizeMsg:
		p.screen.resize(msg.Width, msg.Height)
	case tea.PasteMsg:
		p.screen.paste(msg.Content)
	case tea.KeyPressMsg:
		switch p.screen.key(msg.String(), msg.Text) {
		case quit:
			return p, tea.Quit
		case suspend:
			return p, tea.Suspend
		}
	}
	return p, nil
}

// View returns a frame.
func (p program) View() tea.View {
	v := tea.NewView(p.screen.render())
	v.AltScreen = true
	return v
}
