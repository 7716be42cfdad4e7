//go:build unix

package peer

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Service is a running 'pingtel telegraf'. It reads the lines like Telegraf.
type Service struct {
	*Process
	File string // its configuration

	stdin  *os.File
	stdout *os.File
	gate   sync.Mutex // held while nothing may read stdout

	lines  sync.Mutex // guards what follows
	points []Point
	wrong  []string // lines that cannot be read
}

// StartService starts pingtel with a configuration. If wrap is not nil, it makes
// the command from the arguments.
func StartService(t *testing.T, config string, wrap func(args ...string) *exec.Cmd) *Service {
	t.Helper()
	s := &Service{File: filepath.Join(t.TempDir(), "pingtel.toml")}
	s.Configure(t, config)
	if wrap == nil {
		wrap = func(args ...string) *exec.Cmd { return exec.Command(args[0], args[1:]...) }
	}
	cmd := wrap(Pingtel(), "telegraf", "--config", s.File)
	in, stdin := pipe(t)
	stdout, out := pipe(t)
	s.stdin, s.stdout = stdin, stdout
	cmd.Stdin, cmd.Stdout = in, out
	s.Process = Start(t, cmd)
	in.Close() // the process has its own
	out.Close()
	go s.read() // ends with the process, or with CloseStdout
	return s
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // closed already, mostly
		r.Close()
		w.Close()
	})
	return r, w
}

// read keeps the lines as they come.
func (s *Service) read() {
	for sc := bufio.NewScanner(s.stdout); sc.Scan(); {
		s.gate.Lock()
		got, err := ParsePoints(append(sc.Bytes(), '\n'))
		s.lines.Lock()
		s.points = append(s.points, got...)
		if err != nil {
			s.wrong = append(s.wrong, fmt.Sprintf("%q: %v", sc.Text(), err))
		}
		s.lines.Unlock()
		s.gate.Unlock()
	}
}

// Configure replaces the configuration file.
func (s *Service) Configure(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(s.File, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Reload replaces the configuration file and lets pingtel read it.
func (s *Service) Reload(t *testing.T, config string) {
	t.Helper()
	s.Configure(t, config)
	s.Signal(syscall.SIGHUP)
}

// Block stops reading stdout until the function that it returns is called.
func (s *Service) Block() (unblock func()) {
	s.gate.Lock()
	return s.gate.Unlock
}

// CloseStdout closes the reading end of stdout.
func (s *Service) CloseStdout() { s.stdout.Close() }

// Points returns the points of all lines so far, and fails the test if a line could
// not be read.
func (s *Service) Points(t *testing.T) []Point {
	t.Helper()
	s.lines.Lock()
	defer s.lines.Unlock()
	for _, w := range s.wrong {
		t.Error("no line protocol:", w)
	}
	s.wrong = nil
	return append([]Point(nil), s.points...)
}

// Of returns the lines of a host so far.
func (s *Service) Of(t *testing.T, host string) []Point {
	t.Helper()
	return Of(s.Points(t), host)
}

// Of returns the points of a host, of measurement ping.
func Of(points []Point, host string) []Point {
	var got []Point
	for _, p := range points {
		if p.Measurement == "ping" && p.Tags["url"] == host {
			got = append(got, p)
		}
	}
	return got
}

// Internal returns the newest point of pingtel_internal.
func (s *Service) Internal(t *testing.T) Point {
	t.Helper()
	var last Point
	for _, p := range s.Points(t) {
		if p.Measurement == "pingtel_internal" {
			last = p
		}
	}
	return last
}

// More waits until each host has count more series that started from now on, and
// returns the time of the call.
func (s *Service) More(t *testing.T, count int, hosts ...string) time.Time {
	t.Helper()
	from := time.Now()
	Await(t, fmt.Sprintf("%d series of each of %v", count, hosts), func() bool {
		points := s.Points(t)
		for _, h := range hosts {
			n := 0
			for _, p := range Of(points, h) {
				if p.At.After(from) {
					n++
				}
			}
			if n < count {
				return false
			}
		}
		return true
	}, s.Process)
	return from
}

// Says waits until pingtel prints a text on stderr, after the first from bytes of
// its output.
func (s *Service) Says(t *testing.T, from int, what string) {
	t.Helper()
	Await(t, fmt.Sprintf("it says %q", what), func() bool { return strings.Contains(s.Text()[from:], what) }, s.Process)
}

// End closes stdin and waits for the process to end, which must succeed.
func (s *Service) End(t *testing.T) {
	t.Helper()
	s.stdin.Close()
	Await(t, "the end", s.Ended)
	if status := s.Cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("pingtel ended with %d", status)
	}
}
