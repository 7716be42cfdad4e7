package netsim

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// childEnv holds the name of the test that the process runs inside the
// namespaces.
const childEnv = "NETSIM_TEST"

// cannotRun begins the reason of every skip because of missing rights or devices.
const cannotRun = "netsim: cannot run here: "

// The reports of the child on its status pipe.
const (
	statusRan     = "ran"
	statusSkipped = "skipped"
	statusCannot  = "cannot: " // and why
)

// graceTime is how much earlier than its parent a child runs out of time, so that
// the parent can still pass on the child's report of it.
const graceTime = 2 * time.Second

// childArgs returns the arguments with which the test binary runs only the test of
// that name. They include the flags that change what the test does, but not those
// for profiles, which would overwrite the parent's. left is the time until the
// parent's deadline, 0 if there is none.
func childArgs(name string, left time.Duration, flags *flag.FlagSet) []string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	if left > 0 {
		left = max(left-graceTime, time.Second)
	}
	args := []string{
		"-test.run=" + strings.Join(parts, "/"),
		"-test.v=true",
		"-test.count=1",
		"-test.timeout=" + left.String(),
	}
	passed := []string{"test.short", "test.parallel", "test.cpu", "test.gocoverdir"}
	flags.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") || slices.Contains(passed, f.Name) {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	return append(args, flags.Args()...)
}

// relay passes on a test's output line by line, without the lines that the parent
// test prints itself.
type relay struct {
	out  io.Writer
	name string
	part []byte // a line that has not ended yet
}

// Write passes on all lines that end in p.
func (r *relay) Write(p []byte) (int, error) {
	r.part = append(r.part, p...)
	for {
		end := bytes.IndexByte(r.part, '\n')
		if end < 0 {
			return len(p), nil
		}
		line := r.part[:end+1]
		if !r.noise(string(line)) {
			if _, err := r.out.Write(line); err != nil {
				return 0, err
			}
		}
		r.part = append(r.part[:0], r.part[end+1:]...)
	}
}

// flush passes on a last line without an end of line.
func (r *relay) flush() {
	if len(r.part) > 0 {
		_, _ = r.Write([]byte("\n")) // an error here cannot be reported anywhere
	}
}

// noise reports whether a line comes from the testing package.
func (r *relay) noise(line string) bool {
	for _, prefix := range []string{
		"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "coverage: ",
		"--- PASS: " + r.name + " ", "--- FAIL: " + r.name + " ", "--- SKIP: " + r.name + " ",
	} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	line = strings.TrimSpace(line)
	return line == "PASS" || line == "FAIL"
}

// report writes the result of the test t to status, the pipe to the parent, as soon
// as the test is over.
func report(t *testing.T, status *os.File) {
	t.Cleanup(func() {
		text := statusRan
		if t.Skipped() {
			text = statusSkipped
		}
		if _, err := status.WriteString(text); err != nil {
			t.Errorf("netsim: reporting to the parent: %v", err)
		}
	})
}

// outcome returns why the parent test fails or why it is skipped, from the child's
// exit and status. Both are empty if the test passed.
func outcome(err error, status string) (failed, skip string) {
	reason, cannot := strings.CutPrefix(status, statusCannot)
	switch {
	case err != nil:
		return fmt.Sprintf("netsim: inside the namespaces: %v", err), ""
	case cannot:
		return "", cannotRun + strings.TrimSuffix(reason, statusSkipped) // it skips then
	case status == statusSkipped:
		return "", "netsim: skipped inside the namespaces; the reason stands above"
	case status != statusRan:
		return fmt.Sprintf("netsim: the test did not run inside the namespaces: status %q", status), ""
	}
	return "", ""
}
