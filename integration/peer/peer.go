//go:build unix

// Package peer builds and runs pingtel, and the real programs with which the
// integration tests run it.
//
// A test package that uses it ends its TestMain with [Main]:
//
//	func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }
package peer

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaryEnv is the variable with the path of the binary that the first process has
// built, for the test's processes inside network namespaces.
const binaryEnv = "PINGTEL_TEST_BINARY"

// Main builds pingtel like a release, runs the tests, and returns their exit
// status.
func Main(m *testing.M) int {
	if os.Getenv(binaryEnv) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "pingtel")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "pingtel")
	build := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", bin, "github.com/pingtel/pingtel/cmd/pingtel")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build pingtel:", err)
		return 1
	}
	if err := os.Setenv(binaryEnv, bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// sideBySide is how many tests MainSideBySide runs at once for each CPU.
const sideBySide = 3

// MainSideBySide is Main for tests that wait most of the time: for the next echo, or
// for a timeout. Unless -parallel says otherwise, more of those that call t.Parallel
// run at once than there are CPUs.
func MainSideBySide(m *testing.M) int {
	flag.Parse()
	const parallel = "test.parallel"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == parallel })
	if !given {
		if err := flag.Set(parallel, strconv.Itoa(sideBySide*runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return Main(m)
}

// Pingtel returns the path of the binary that Main has built.
func Pingtel() string { return os.Getenv(binaryEnv) }

// Output runs a command and returns its output, which is in the error too.
func Output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		const most = 4 << 10
		return string(out), fmt.Errorf("%s: %w\n%s", cmd, err, out[max(0, len(out)-most):])
	}
	return string(out), nil
}

// Process is a program that runs in the background of a test.
type Process struct {
	Cmd *exec.Cmd

	t    *testing.T
	name string
	done chan struct{} // closed when it has ended
	err  error         // of Wait

	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Start starts cmd. It keeps the output on stderr, and on stdout unless cmd.Stdout
// is set. It kills the process at the end of the test if it still runs.
func Start(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Cmd: cmd, t: t, name: filepath.Base(cmd.Path), done: make(chan struct{})}
	cmd.Stderr = p
	if cmd.Stdout == nil {
		cmd.Stdout = p
	}
	cmd.WaitDelay = 5 * time.Second // for pipes that its children keep open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", p.name, p.tail())
		}
	})
	return p
}

// Write keeps output of the process.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// Text returns the output of the process so far.
func (p *Process) Text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *Process) tail() string {
	const most = 8 << 10
	s := p.Text()
	return s[max(0, len(s)-most):]
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
}

// Stop sends SIGTERM and returns how long the process took to end, and its exit
// status. The test fails if the process does not end within a minute.
func (p *Process) Stop() (time.Duration, int) {
	p.t.Helper()
	start := time.Now()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatalf("%s does not end", p.name)
	}
	return time.Since(start), p.Cmd.ProcessState.ExitCode()
}

// Kill ends the process at once, if it has not ended.
func (p *Process) Kill() {
	if !p.Ended() {
		p.Cmd.Process.Kill() // fails only if the process has just ended
	}
	<-p.done
}

// Await calls done again and again until it returns true. The test fails if that
// takes more than a minute, or if one of the processes ends before.
func Await(t *testing.T, what string, done func() bool, of ...*Process) {
	t.Helper()
	AwaitFor(t, time.Minute, what, done, of...)
}

// AwaitFor is Await with another time limit.
func AwaitFor(t *testing.T, bound time.Duration, what string, done func() bool, of ...*Process) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(bound); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", bound, what)
		}
		for _, p := range of {
			if p.Ended() && !done() {
				t.Fatalf("%s has ended (%v) before this: %s", p.name, p.err, what)
			}
		}
	}
}
