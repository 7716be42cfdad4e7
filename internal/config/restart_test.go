package config

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
)

func TestCheckReload(t *testing.T) {
	parse := func(text string) *Config {
		t.Helper()
		c, err := Parse("f.toml", text, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const (
		plain  = "[[targets]]\nhosts = [\"127.0.0.1\"]\n"
		other  = "[agent]\ninterval = \"20s\"\n[[targets]]\nhosts = [\"127.0.0.2\", \"::1\"]\n"
		raw    = "[agent]\nsocket = \"raw\"\n" + plain
		rate   = "[agent]\nmax_rate = 500\n" + plain
		marked = plain + "mark = 7\n"
		both   = "[agent]\nsocket = \"raw\"\n" + marked
	)
	tests := []struct {
		name, from, to, want string
	}{
		{"targets and interval", plain, other, ""},
		{"the same mark", marked, marked, ""},
		{"a mark goes", marked, plain, ""},
		{"socket", plain, raw, "f.toml: restart pingtel to change agent.socket (auto to raw)"},
		{"rate", rate, plain, "f.toml: restart pingtel to change agent.max_rate (500 to 10000)"},
		{"first mark", plain, marked,
			"f.toml: restart pingtel to change mark (pingtel has given up the capability that a mark needs)"},
		{"several", plain, both, "f.toml: restart pingtel to change agent.socket (auto to raw), " +
			"mark (pingtel has given up the capability that a mark needs)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := parse(tt.from).CheckReload(parse(tt.to))
			got := ""
			if err != nil {
				got = err.Error()
				if r := (*RestartError)(nil); !errors.As(err, &r) || len(r.Keys) == 0 {
					t.Errorf("error %T, want *RestartError with keys", err)
				}
			}
			if got != tt.want {
				t.Errorf("CheckReload = %q, want %q", got, tt.want)
			}
		})
	}
}

// Linux lets an IPv6 datagram socket not choose its source.
func TestCheckSockets(t *testing.T) {
	parse := func(source string) *Config {
		t.Helper()
		c, err := Parse("f.toml", "[[targets]]\nhosts = [\"a.example\"]\n"+source, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tt := range []struct {
		source string
		kind   icmpcore.SocketKind
		want   string
	}{
		{"", icmpcore.SocketDatagram, ""},
		{"source = \"198.18.0.1\"", icmpcore.SocketDatagram, ""},
		{"source = \"2001:db8::1\"", icmpcore.SocketRaw, ""},
		{"source = \"2001:db8::1\"", icmpcore.SocketDatagram, "f.toml: source 2001:db8::1 of a.example needs a raw socket, " +
			"but pingtel has a datagram socket: give it CAP_NET_RAW and restart it"},
	} {
		err := parse(tt.source).CheckSockets(func(icmpcore.Family) icmpcore.SocketKind { return tt.kind })
		if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
			t.Errorf("%s, %s socket: %v, want %q", tt.source, tt.kind, err, tt.want)
		}
	}
}
