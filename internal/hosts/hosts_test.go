package hosts_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/hosts"
)

func all(e hosts.Entry) (list []string) {
	for h := range e.All() {
		list = append(list, string(h))
	}
	return list
}

func TestParse(t *testing.T) {
	for text, want := range map[string][]string{
		"192.0.2.1":                     {"192.0.2.1"},
		"::1":                           {"::1"},
		"fe80::1%eth0-1/2":              {"fe80::1%eth0-1/2"},
		"[::1]":                         {"::1"},
		"[fe80::1%eth0]":                {"fe80::1%eth0"},
		"b.test":                        {"b.test"},
		"B-1.test.":                     {"B-1.test."},
		"_my_host":                      {"_my_host"},
		"10-0-0-1.test":                 {"10-0-0-1.test"},
		"münchen.test":                  {"münchen.test"},
		"fade.be":                       {"fade.be"},
		"azAZ09.test":                   {"azAZ09.test"},
		"198.18.1.0/30":                 {"198.18.1.1", "198.18.1.2"},
		"198.18.1.0/31":                 {"198.18.1.0", "198.18.1.1"},
		"198.18.1.7/32":                 {"198.18.1.7"},
		"255.255.255.254/31":            {"255.255.255.254", "255.255.255.255"},
		"2001:db8::/126":                {"2001:db8::", "2001:db8::1", "2001:db8::2", "2001:db8::3"},
		"198.18.1.8-10":                 {"198.18.1.8", "198.18.1.9", "198.18.1.10"},
		"198.18.1.9-9":                  {"198.18.1.9"},
		"198.18.1.255-198.18.2.1":       {"198.18.1.255", "198.18.2.0", "198.18.2.1"},
		"2001:db8::ff-2001:db8::101":    {"2001:db8::ff", "2001:db8::100", "2001:db8::101"},
		"2001:db8:0:1::-2001:db8:0:1::": {"2001:db8:0:1::"},
	} {
		e, err := hosts.Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, all(e)); diff != "" || e.Len() != len(want) {
			t.Errorf("Parse(%q): %d hosts (-want +got)\n%s", text, e.Len(), diff)
		}
		if a, err := netip.ParseAddr(want[0]); err == nil && e.First() != a || err != nil && e.First().IsValid() {
			t.Errorf("Parse(%q).First() = %v", text, e.First())
		}
	}
}

func TestSingle(t *testing.T) {
	for text, want := range map[string]bool{"::1": true, "[::1]": true, "b.test": true, "198.18.1.7/32": false, "198.18.1.9-9": false} {
		if e, err := hosts.Parse(text); err != nil || e.Single() != want {
			t.Errorf("Parse(%q).Single() = %v, %v, want %v", text, e.Single(), err, want)
		}
	}
}

func TestParseFails(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "want a name or an address",
		"a b":                           "one host",
		"https://b.test/x":              "looks like a URL: want only its host, b.test",
		"http://[::1]:80/":              "looks like a URL: want only its host, ::1",
		"://":                           "looks like a URL",
		"b.test:80":                     "looks like host:port, and ICMP has no ports (80): want b.test",
		":80":                           "its ':'",
		"192.0.2.1:443":                 "want 192.0.2.1",
		"[::1]:80":                      "want ::1",
		"root@b.test":                   "looks like user@host: want b.test",
		"b.test/index":                  "looks like a part of a URL: want only its host, b.test",
		"198.18.0.0/33":                 "is not a prefix",
		"198.18.0.0/x":                  "is not a prefix",
		"198.18.0/24":                   "is not a prefix",
		"::/":                           "is not a prefix",
		"198.18.0.1/24":                 "want 198.18.0.0/24, or only the address",
		"198.18.1.9-1":                  "ends before it begins",
		"198.18.1.1-256":                "is not a range",
		"198.18.1.1-":                   "is not a range",
		"198.18.1.1-b.test":             "is not a range",
		"198.18.1.1-::1":                "is not a range",
		"::1-9":                         "is not a range",
		"fe80::1-fe80::2%a":             "is not a range",
		"1.2.3":                         "four numbers",
		"127.0.0.1.":                    "four numbers",
		"300.1.1.1":                     "four numbers",
		"a..b":                          "one dot too many",
		".":                             "four numbers",
		"*.test":                        `its '*'`,
		"-x.test":                       "hyphen",
		"x-.test":                       "hyphen",
		"[b.test]":                      "brackets",
		"[127.0.0.1]":                   "brackets",
		"[::1":                          "brackets",
		"\xff.test":                     "international name",
		"-ü.test":                       "international name",
		strings.Repeat("x", 64):         "64 characters between dots",
		strings.Repeat("ü", 63):         "characters between dots", // longer in ASCII
		strings.Repeat("abcdefg.", 32):  "255 characters",
		strings.Repeat("abcdefg.", 100): "799 characters",
	} {
		e, err := hosts.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || e != (hosts.Entry{}) {
			t.Errorf("Parse(%q) = %v, %v, want an error with %q", text, e, err, want)
		}
	}
	for _, text := range []string{"0.0.0.0/0", "::/0", "2001:db8::/64", "0.0.0.0-255.255.255.255", "::-ffff::", "0.0.0.0/1"} {
		if _, err := hosts.Parse(text); !errors.Is(err, hosts.ErrTooMany) {
			t.Errorf("Parse(%q): %v, want ErrTooMany", text, err)
		}
	}
	if err := hosts.CheckName(strings.Repeat("x", 63) + ".test"); err != nil {
		t.Errorf("a part of 63 characters: %v", err)
	}
	if err := hosts.CheckName(strings.Repeat("abcdefg.", 31) + "abcde"); err != nil {
		t.Errorf("a name of 253 characters: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"198.18.1.0/30", "198.18.1.8-10", "[::1]", "münchen.test", "::1-::9", "a@b", "http://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := hosts.Parse(text)
		if (err == nil) != (e.Len() > 0) {
			t.Fatalf("Parse(%q) = %d hosts, %v", text, e.Len(), err)
		}
		n := 0
		for h := range e.All() {
			if n++; n > 1000 {
				break
			}
			again, err := hosts.Parse(string(h))
			if err != nil || !again.Single() || all(again)[0] != string(h) {
				t.Fatalf("%q of %q is read again as %v, %v", h, text, again, err)
			}
			if a, err := netip.ParseAddr(string(h)); !e.Single() && (err != nil || a.Less(e.First())) {
				t.Fatalf("%q of %q, which begins at %v", h, text, e.First())
			}
		}
		if n != min(e.Len(), 1001) {
			t.Errorf("%d hosts of %q, want %d", n, text, e.Len())
		}
	})
}

// TestListIsLazy: a list returns the hosts of prefixes one by one, and keeps none of them.
func TestListIsLazy(t *testing.T) {
	var l hosts.List
	n := 0
	allocs := testing.AllocsPerRun(1, func() {
		l, n = hosts.List{}, 0
		if err := l.Each([]byte("10.0.0.0/16"), func([]byte) error { n++; return nil }); err != nil {
			t.Error(err)
		}
	})
	if n != 65534 || allocs > 20 {
		t.Errorf("%d hosts with %v allocations", n, allocs)
	}
}

func TestListIsBounded(t *testing.T) {
	var l hosts.List
	var got []string
	each := func(text string) error {
		return l.Each([]byte(text), func(h []byte) error {
			got = append(got, string(h))
			return nil
		})
	}
	for _, text := range []string{"10.0.0.0/17", "10.1.0.0/17", "10.2.0.1-4", "b.test", "http://x"} {
		if err := each(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if len(got) != hosts.MaxExpanded+2 || got[len(got)-1] != "http://x" {
		t.Errorf("%d hosts, the last %q", len(got), got[len(got)-1])
	}
	if err := each("10.2.0.5-6"); !errors.Is(err, hosts.ErrTooMany) || !strings.Contains(err.Error(), "10.2.0.5-6: ") || len(got) != hosts.MaxExpanded+2 {
		t.Errorf("beyond the bound: %v, %d hosts", err, len(got))
	}
	for _, text := range []string{"10.2.0.5", "::1"} {
		if err := each(text); err != nil {
			t.Errorf("%s, which is one host: %v", text, err)
		}
	}
	stop := errors.New("stop")
	if err := new(hosts.List).Each([]byte("10.2.0.5-6"), func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Each = %v, want the error of yield", err)
	}
}

// TestGiven: the arguments and the file share one limit.
func TestGiven(t *testing.T) {
	read := func(g hosts.Given) (list []string, err error) {
		err = g.Each(func(h []byte) error {
			list = append(list, string(h))
			return nil
		})
		return list, err
	}
	got, err := read(hosts.Given{Args: []string{"münchen.test", "198.18.1.8-9"}, File: strings.NewReader("[::1] # one\n198.18.2.0/31\nx:80\n")})
	want := []string{"münchen.test", "198.18.1.8", "198.18.1.9", "::1", "198.18.2.0", "198.18.2.1", "x:80"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, hosts (-want +got)\n%s", err, diff)
	}
	if got, err := read(hosts.Given{Args: []string{"b.test"}}); err != nil || len(got) != 1 {
		t.Errorf("without a file: %v, %v", got, err)
	}
	got, err = read(hosts.Given{Args: []string{"10.0.0.0/17", "10.1.0.0/17"}, File: strings.NewReader("10.2.0.1-4\n10.2.0.5-6\n")})
	if !errors.Is(err, hosts.ErrTooMany) || !strings.Contains(err.Error(), "line 2: 10.2.0.5-6: ") || len(got) != hosts.MaxExpanded {
		t.Errorf("beyond the bound: %v, %d hosts", err, len(got))
	}
	if got, err = read(hosts.Given{Args: []string{"10.0.0.0/8"}, File: strings.NewReader("::1")}); !errors.Is(err, hosts.ErrTooMany) || len(got) > 0 {
		t.Errorf("an argument beyond the bound: %v, %v", err, got)
	}
}

func TestListParse(t *testing.T) {
	l := hosts.List{Max: 4}
	for text, want := range map[string]error{"10.0.0.1-3": nil, "b.test": nil} {
		if _, err := l.Parse(text); !errors.Is(err, want) {
			t.Errorf("Parse(%q) = %v", text, err)
		}
	}
	if e, err := l.Parse("10.0.0.1-2"); !errors.Is(err, hosts.ErrTooMany) || !strings.HasSuffix(err.Error(), "than the limit, 4") || e != (hosts.Entry{}) {
		t.Errorf("beyond the bound: %v, %v", e, err)
	}
	if _, err := l.Parse("10.0.0.9-9"); err != nil {
		t.Errorf("refused hosts count: %v", err)
	}
	if _, err := l.Parse("a b"); err == nil || errors.Is(err, hosts.ErrTooMany) {
		t.Errorf("no host: %v", err)
	}
}
