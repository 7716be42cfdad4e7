package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/config"
)

// kept is a memory with a copy of three members.
func kept(t *testing.T) (memory, lastView) {
	t.Helper()
	c, err := config.Parse("f.toml", "[agent]\nstate = '"+t.TempDir()+"'\n[fleet]\nmember = \"a\"\nmembers = { nats = \"nats://user:s3cret@127.0.0.1:1\" }\n"+
		"[[targets]]\nhosts = [\"198.18.0.1\"]\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := newMemory(c)
	last := lastView{Member{"a", ""}, []Member{{"b", "east"}, {"2001:db8::1", ""}}}
	if err := m.keep(last, time.Now(), time.Second); err != nil {
		t.Fatal(err)
	}
	return m, last
}

// TestCopy: what was kept is read again, with its age; it is written when it changes, and
// confirmed once in a refresh.
func TestCopy(t *testing.T) {
	m, last := kept(t)
	got, at, err := m.read()
	if d := cmp.Diff(last, got); d != "" || err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("%v, %v (-want +got):\n%s", at, err, d)
	}
	now := m.at.Add(time.Hour)
	if err := m.keep(last, now, time.Second); err != nil {
		t.Fatal(err)
	}
	if _, at, _ := m.read(); !at.Truncate(time.Second).Equal(now.Truncate(time.Second)) {
		t.Errorf("confirmed at %v, want %v", at, now)
	}
	if err := m.keep(last, now.Add(time.Millisecond), time.Second); err != nil || m.at != now {
		t.Errorf("confirmed twice in a refresh: %v, %v", m.at, err)
	}
	last.Others = last.Others[:1]
	if err := m.keep(last, now.Add(time.Millisecond), time.Second); err != nil {
		t.Fatal(err)
	}
	if got, _, err := m.read(); err != nil || !got.equal(last) {
		t.Errorf("%+v, %v, want %+v", got, err, last)
	}
	text, err := os.ReadFile(m.file)
	if err != nil || strings.Contains(string(text), "s3cret") {
		t.Errorf("%s, %v", text, err)
	}
	if files, err := os.ReadDir(filepath.Dir(m.file)); err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
}

// TestNoCopy: a copy that is torn or of another prober is named, and ignored; a folder
// that cannot be written is reported.
func TestNoCopy(t *testing.T) {
	m, _ := kept(t)
	text, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		"\x00": "not complete",
		`"Format":"pingtel members 1"->"Format":"x"`:        "not a list of members",
		`a in the zone->b in the zone`:                      "it is a copy of b in the zone",
		`"Name":"b"->"Name":"b c"`:                          "a member is",
		`"Zone":"east"->"Zone":" "`:                         "the zone of b is",
		`{"Name":"b","Zone":"east"}->` + many(999):          "it has 1001 members",
		`"Self":{"Name":"a","Zone":""}->"Self":{"Name":""}`: "a member is an empty name",
		`"Others"->` + strings.Repeat(" ", maxCopy):         "more than",
	} {
		was, is, _ := strings.Cut(change, "->")
		broken := strings.Replace(string(text), was, is, 1)
		if change == "\x00" {
			broken = broken[:len(broken)/2]
		}
		if err := os.WriteFile(m.file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := m.read()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), m.file) || !got.equal(lastView{}) {
			t.Errorf("%.80s: %.80v, %v, want %s", change, got, err, want)
		}
	}
	if err := os.Remove(m.file); err != nil {
		t.Fatal(err)
	}
	if got, _, err := m.read(); err != nil || !got.equal(lastView{}) {
		t.Errorf("without a file: %v, %v", got, err)
	}
	m.file = filepath.Join(m.file, "sub", "x") // below a file
	if err := os.WriteFile(filepath.Dir(filepath.Dir(m.file)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.keep(lastView{Self: Member{Name: "a"}}, time.Now().Add(time.Hour), time.Second); err == nil {
		t.Error("no error without a folder")
	}
}

// many is n members in JSON.
func many(n int) string {
	return strings.TrimSuffix(strings.Repeat(`{"Name":"c"},`, n), ",")
}

func FuzzReadCopy(f *testing.F) {
	f.Add([]byte(`{"Format":"pingtel members 1","Place":"p","Self":{"Name":"a"},"Others":[{"Name":"b","Zone":"east"}]}`))
	f.Add([]byte(`{"Format":"pingtel members 1","Place":"p","Others":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := readCopy(text, "p")
		if err != nil {
			if !got.equal(lastView{}) {
				t.Errorf("%+v and %v", got, err)
			}
			return
		}
		if config.CheckMember(got.Self.Name) != nil || len(got.Others) >= config.MaxMembers {
			t.Errorf("%+v", got)
		}
	})
}
