package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

func TestTelegrafRefuses(t *testing.T) {
	good := writeConfig(t, "[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	faulty := writeConfig(t, "[agent]\nbogus = 1\n[[targets]]\nhosts = [\"127.0.0.1\"]\nttl = 999\n")
	for args, wants := range map[string][]string{
		"telegraf":                                          {"E! no file given: want --config FILE"},
		"telegraf --config /nonexistent":                    {"E! open /nonexistent: no such file"},
		"telegraf --config " + faulty:                       {":2: agent.bogus", ":5: targets[0].ttl"},
		"telegraf --config " + good + " --poll_interval 1s": {"E! --poll_interval: 1s is shorter than a series to 127.0.0.1"},
		"telegraf -config " + good + " -poll_interval 0":    {`E! --poll_interval "0": want 100ms to 24h`},
		"telegraf -config " + good + " -poll_interval=-1s":  {`E! --poll_interval "-1s": want seconds`},
		"telegraf --confg " + good:                          {"E! unknown flag: --confg ('pingtel telegraf --help' lists the flags)"},
		"telegraf --config " + good + " more":               {"E! 'pingtel telegraf' takes no argument"},
	} {
		status, stdout, stderr := runWith(t, "", strings.Fields(args)...)
		if status != 2 || stdout != "" {
			t.Errorf("%s: status %d, stdout %q, want 2 and nothing", args, status, stdout)
		}
		compareLines(t, args, stderr, wants)
		for line := range strings.Lines(stderr) {
			if !strings.HasPrefix(line, "E! ") {
				t.Errorf("%s: %q has no level for Telegraf", args, line)
			}
		}
	}
}

// TestTelegrafUnreadStderr: the command ends although nobody reads its messages.
func TestTelegrafUnreadStderr(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	if status := run(t.Context(), []string{"telegraf", "--config", "/nonexistent"}, strings.NewReader(""), io.Discard, w); status != 2 {
		t.Errorf("status %d, want 2", status)
	}
}

// TestTelegrafPollInterval has a file whose own interval is too short, and whose signal
// would turn the schedule off.
func TestTelegrafPollInterval(t *testing.T) {
	path := writeConfig(t, "[agent]\ninterval = \"1s\"\n[[targets]]\nhosts = [\"127.0.0.1\"]\n[telegraf]\nsignal = \"SIGHUP\"\n")
	load := func(interval time.Duration, disabled bool) (*config.Config, error) {
		return (&telegrafFlags{config: path, pollInterval: interval, pollDisabled: disabled}).load()
	}
	c, err := load(5*time.Second, false)
	if err != nil || c.Agent.Interval != 5*time.Second || c.Telegraf.Signal != "none" {
		t.Errorf("load = %+v, %v, want every 5s without a signal", c, err)
	}
	if _, err := load(5*time.Second, true); err == nil || !strings.Contains(err.Error(), "pingtel.toml:2: agent.interval: 1s") {
		t.Errorf("disabled: %v, want the file's interval judged", err)
	}
}

func TestOneDash(t *testing.T) {
	got := oneDash(newRootCommand(), strings.Fields("telegraf -config f -poll_interval=10 -poll_interval_disabled --once -h -x config"))
	want := strings.Fields("telegraf --config f --poll_interval=10 --poll_interval_disabled --once -h -x config")
	if !slices.Equal(got, want) {
		t.Errorf("oneDash = %q, want %q", got, want)
	}
	ping := strings.Fields("ping -config")
	if got := oneDash(newRootCommand(), ping); !slices.Equal(got, ping) {
		t.Errorf("oneDash = %q, want %q", got, ping)
	}
}

func TestTelegrafOnce(t *testing.T) {
	needSocket(t)
	path := writeConfig(t, "[defaults]\ncount = 2\nping_interval = \"10ms\"\n[[targets]]\nhosts = [\"127.0.0.1\", \"::1\"]\ntags = { site = \"lab 1\" }\n")
	status, stdout, stderr := runWith(t, "", "telegraf", "--config", path, "--once")
	if status != 0 || stderr != "" || strings.Count(stdout, "\n") != 2 {
		t.Fatalf("status %d, stderr %q, stdout\n%s", status, stderr, stdout)
	}
	for line := range strings.Lines(stdout) {
		if !strings.HasPrefix(line, "ping,address=") || !strings.Contains(line, `,site=lab\ 1,url=`) ||
			!strings.Contains(line, " packets_transmitted=2i,packets_received=2i,result_code=0i,percent_packet_loss=0,minimum_response_ms=0.") {
			t.Errorf("line %q", line)
		}
	}
}

func TestTelegrafWarnsOfTwins(t *testing.T) {
	needSocket(t)
	path := writeConfig(t, "[defaults]\ncount = 1\n[[targets]]\nhosts = [\"127.0.0.1\"]\n[[targets]]\nhosts = [\"127.0.0.1\"]\ndscp = \"EF\"\n")
	status, stdout, stderr := runWith(t, "", "telegraf", "--config", path, "--once")
	if status != 0 || strings.Count(stdout, "\n") != 2 {
		t.Errorf("status %d, stdout\n%s", status, stdout)
	}
	compareLines(t, "stderr", stderr, []string{"W! several targets of a host have the same tags"})
	_, stdout, _ = runWith(t, "", "config", "check", path)
	if !strings.Contains(stdout, "warning") || !strings.Contains(stdout, "127.0.0.1 first") {
		t.Errorf("config check says\n%s", stdout)
	}
}
