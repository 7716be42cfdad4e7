package netsim

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestChildArgs(t *testing.T) {
	flags := flag.NewFlagSet("", flag.PanicOnError)
	for _, name := range []string{"test.run", "test.coverprofile", "test.gocoverdir", "test.cpuprofile", "test.count", "golden", "unset"} {
		flags.String(name, "", "")
	}
	flags.Bool("test.short", false, "")
	err := flags.Parse(strings.Fields("-test.run=Test -test.coverprofile=c -test.gocoverdir /cov " +
		"-test.short -test.cpuprofile=p -test.count=7 -golden=x rest"))
	if err != nil {
		t.Fatal(err)
	}
	got := childArgs("TestA/b.c#01", 10*time.Second, flags)
	want := []string{
		`-test.run=^TestA$/^b\.c#01$`, "-test.v=true", "-test.count=1", "-test.timeout=8s",
		"-golden=x", "-test.gocoverdir=/cov", "-test.short=true", "rest",
	}
	if !slices.Equal(got, want) {
		t.Errorf("childArgs = %q, want %q", got, want)
	}
	for left, want := range map[time.Duration]string{0: "0s", time.Second: "1s", time.Minute: "58s"} {
		if got := childArgs("T", left, flags)[3]; got != "-test.timeout="+want {
			t.Errorf("with %v left: %s, want %s", left, got, want)
		}
	}
}

func TestRelay(t *testing.T) {
	const in = "=== RUN   TestA\n    a_test.go:1: log\n=== RUN   TestA/b\n--- FAIL: TestA (0.00s)\n" +
		"    --- FAIL: TestA/b (0.00s)\nFAIL\ncoverage: 3% of statements\nlast"
	const want = "    a_test.go:1: log\n    --- FAIL: TestA/b (0.00s)\nlast\n"
	for step := 1; step <= len(in); step++ {
		var out strings.Builder
		r := &relay{out: &out, name: "TestA"}
		for part := range slices.Chunk([]byte(in), step) {
			if n, err := r.Write(part); n != len(part) || err != nil {
				t.Fatalf("Write = %d, %v, want %d, nil", n, err, len(part))
			}
		}
		r.flush()
		if out.String() != want {
			t.Errorf("in parts of %d: %q, want %q", step, out.String(), want)
		}
	}
}

func TestOutcome(t *testing.T) {
	failure := errors.New("exit status 1")
	for _, tt := range []struct {
		name, status string
		err          error
		failed, skip string
	}{
		{"well", "ran", nil, "", ""},
		{"failed", "ran", failure, "exit status 1", ""},
		{"skipped", "skipped", nil, "", "skipped inside the namespaces"},
		{"cannot", "cannot: no TUNskipped", nil, "", "netsim: cannot run here: no TUN"},
		{"cannot, and failed", "cannot: no TUNskipped", failure, "exit status 1", ""},
		{"died early", "", failure, "exit status 1", ""},
		{"never ran", "", nil, "did not run", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			failed, skip := outcome(tt.err, tt.status)
			if !strings.Contains(failed, tt.failed) || (failed == "") != (tt.failed == "") {
				t.Errorf("failed: %q, want %q", failed, tt.failed)
			}
			if !strings.Contains(skip, tt.skip) || (skip == "") != (tt.skip == "") {
				t.Errorf("skip: %q, want %q", skip, tt.skip)
			}
		})
	}
}
