package fleet

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/pingtel/pingtel/internal/config"
)

func TestKeyOf(t *testing.T) {
	for name, want := range map[string]string{
		"probe-1": "probe-1", "probe-1.example": "probe-1=2Eexample", "2001:db8::1": "2001=3Adb8=3A=3A1", "=": "=3D", "ä": "=C3=A4", "*": "=2A", ">": "=3E",
	} {
		if got := keyOf(name); got != want {
			t.Errorf("keyOf(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestReadCard(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		want       card
		fault      string
	}{
		{"a", `{"instance":"x"}`, card{Instance: "x"}, ""},
		{"a", `{"zone":"east","left":true,"later":[1]}`, card{Zone: "east", Left: true}, ""},
		{"a.b", `{}`, card{}, "not a name"},
		{"a=2e", `{}`, card{}, "not a name"},
		{"a=", `{}`, card{}, "not a name"},
		{"=61", `{}`, card{}, "not a name"},
		{"=0A", `{}`, card{}, "without spaces"},
		{"=FF", `{}`, card{}, "without spaces"},
		{strings.Repeat("a", 254), `{}`, card{}, "254 bytes"},
		{"a", ``, card{}, "unexpected end"},
		{"a", `{"zone":"a b"}`, card{}, "its zone is"},
		{"a", `{"zone":"` + strings.Repeat("a", 5000) + `"}`, card{}, "5011 bytes"},
	} {
		name, got, err := readCard(tt.key, []byte(tt.value))
		if tt.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fault) || name != "" || got != (card{}) {
				t.Errorf("readCard(%.20q, %.20q) = %q, %+v, %v, want %s", tt.key, tt.value, name, got, err, tt.fault)
			}
			continue
		}
		if err != nil || name != tt.key || got != tt.want {
			t.Errorf("readCard(%q, %q) = %q, %+v, %v", tt.key, tt.value, name, got, err)
		}
	}
}

func FuzzReadCard(f *testing.F) {
	f.Add("probe-1=2Eexample", []byte(`{"zone":"east","instance":"x"}`))
	f.Add("=C3=A4", []byte(`{"left":true}`))
	f.Add("=", []byte(`{`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		name, c, err := readCard(key, value)
		if err != nil {
			if name != "" || c != (card{}) {
				t.Errorf("%q, %+v and %v", name, c, err)
			}
			return
		}
		if keyOf(name) != key || config.CheckMember(name) != nil || len(c.Zone) > config.MaxName {
			t.Errorf("key %q gives %q, %+v", key, name, c)
		}
	})
}

// entry is a key's value as a watcher brings it.
type entry struct {
	nats.KeyValueEntry
	key, value string
	revision   uint64
	op         nats.KeyValueOp
}

func (e entry) Key() string                { return e.key }
func (e entry) Value() []byte              { return []byte(e.value) }
func (e entry) Revision() uint64           { return e.revision }
func (e entry) Operation() nats.KeyValueOp { return e.op }

// TestTake: a value that was seen before says nothing new, a key that is deleted or
// expires is not one whose member has left, and two probers of one name are reported.
func TestTake(t *testing.T) {
	var log strings.Builder
	f := natsFleet(t, &log)
	e := f.engine.(*natsEngine)
	e.last = 10
	const there, gone = `{"zone":"east","instance":"b"}`, `{"left":true,"instance":"b"}`
	f.works()
	for _, tt := range []struct {
		entry
		ours    bool
		members int
	}{
		{entry{key: "b", value: there, revision: 5}, false, 2},
		{entry{key: "b", value: there, revision: 6, op: nats.KeyValueDelete}, false, 2},
		{entry{key: "b", value: there, revision: 7, op: nats.KeyValuePurge}, false, 2},
		{entry{key: "b", value: gone, revision: 8}, false, 1},
		{entry{key: "b", value: there, revision: 7}, false, 1}, // older: of a new watch
		{entry{key: "b", value: gone, revision: 8}, false, 1},
		{entry{key: "b", value: there, revision: 9}, false, 2},
		{entry{key: "a", value: `{"instance":"` + e.instance + `"}`, revision: 9}, false, 2},
		{entry{key: "a", value: `{"instance":"` + e.instance + `"}`, revision: 10}, true, 2},
		{entry{key: "a", value: `{"instance":"other"}`, revision: 11}, true, 2},
		{entry{key: "odd.key", value: there, revision: 12}, false, 2},
	} {
		if got := e.take(tt.entry); got != tt.ours || f.Stats().Members != tt.members {
			t.Errorf("take(%+v) = %t, %d members, want %t and %d", tt.entry, got, f.Stats().Members, tt.ours, tt.members)
		}
	}
	for _, want := range []string{`another prober has the name \"a\" too`, `the key \"odd.key\" of the bucket pingtel is not a prober's`} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("log %s\nwant %s once", &log, want)
		}
	}
}

func natsFleet(t *testing.T, log *strings.Builder) *Fleet {
	t.Helper()
	c, err := config.Parse("f.toml", "[fleet]\nmember = \"a\"\nmembers = { nats = \"nats://user:s3cret@127.0.0.1:1\" }\n[[targets]]\nhosts = [\"198.18.0.1\"]\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := New(c, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(f.Close)
	return f
}

// TestNoServer: a prober whose NATS is not there says what is wrong, without the
// password.
func TestNoServer(t *testing.T) {
	var log strings.Builder
	f := natsFleet(t, &log)
	e := f.engine.(*natsEngine)
	err := e.session(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	if text := e.explain(err).Error(); !strings.HasPrefix(text, "NATS at nats://127.0.0.1:1: not connected: nats: no servers available for connection: is it running there") || strings.Contains(text, "s3cret") {
		t.Errorf("error %q", text)
	}
}

// TestClosedAfterHandshake: a server that refuses our certificate may close the connection
// before we can read why.
func TestClosedAfterHandshake(t *testing.T) {
	var log strings.Builder
	e := natsFleet(t, &log).engine.(*natsEngine)
	err := e.explain(fmt.Errorf("%w: connection closed by remote after TLS handshake: %w", nats.ErrTLS, io.ErrUnexpectedEOF))
	if want := "if the server wants a certificate, set cert_file and key_file"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want %q in it", err, want)
	}
}
