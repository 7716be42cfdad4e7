package main

import (
	"strings"
	"testing"
)

func TestTelegrafRefuses(t *testing.T) {
	good := writeConfig(t, "[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	faulty := writeConfig(t, "[agent]\nbogus = 1\n[[targets]]\nhosts = [\"127.0.0.1\"]\nttl = 999\n")
	for args, wants := range map[string][]string{
		"telegraf":                                          {"E! no file given: want --config FILE"},
		"telegraf --config /nonexistent":                    {"E! open /nonexistent: no such file"},
		"telegraf --config " + faulty:                       {":2: agent.bogus", ":5: targets[0].ttl"},
		"telegraf --config " + good + " --poll_interval 1s": {"E! --poll_interval 1s is too short"},
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
