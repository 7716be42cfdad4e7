package discovery

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDNS answers as a resolver does.
type fakeDNS struct {
	mu      sync.Mutex
	records map[string][]string // by network and name
	errs    map[string]error
}

func (f *fakeDNS) set(question string, err error, answers ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[question], f.errs[question] = answers, err
}

func (f *fakeDNS) answer(question, name string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.errs[question]; err != nil {
		return nil, err
	}
	if len(f.records[question]) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return f.records[question], nil
}

func (f *fakeDNS) LookupNetIP(_ context.Context, network, name string) ([]netip.Addr, error) {
	texts, err := f.answer(network+" "+name, name)
	var addrs []netip.Addr
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, err
}

func (f *fakeDNS) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" {
		return "", nil, errors.New("the name is not looked up as it is")
	}
	texts, err := f.answer("srv "+name, name)
	var records []*net.SRV
	for _, text := range texts {
		records = append(records, &net.SRV{Target: text, Port: 9100})
	}
	return "", records, err
}

// TestDNS has names with records of each kind, that change, fail and go.
func TestDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeDNS{records: map[string][]string{
			"ip4 a.example": {"198.18.0.2", "198.18.0.1"}, "ip6 a.example": {"2001:db8::1"}, "ip4 b.example": {"::ffff:198.18.0.9"},
			"srv _node._tcp.example": {"n2.example.", "n1.example."},
		}, errs: map[string]error{}}
		c := parse(t, `[[targets]]
dns = ["a.example", "b.example", "_node._tcp.example"]
tags = { name = "__meta_dns_name", host = "__meta_dns_srv_record_target", port = "__meta_dns_srv_record_port" }
`)
		s, log := start(t, c, Options{system: system{resolver: dns}})
		defer s.Close()
		step := func(want string, errs ...string) {
			t.Helper()
			synctest.Wait()
			time.Sleep(time.Minute) // of virtual time: a refresh
			synctest.Wait()
			if got := inForce(s); got != want {
				t.Errorf("targets %q, want %q; log %s", got, want, log)
			}
			got := s.Status()[0].Errors
			for i, e := range got {
				if i >= len(errs) || !strings.Contains(e, errs[i]) {
					t.Errorf("error %q, want %q", got, errs)
				}
			}
			if len(got) != len(errs) {
				t.Errorf("errors %q, want %q", got, errs)
			}
		}
		step("198.18.0.1 198.18.0.2 2001:db8::1 198.18.0.9 n1.example n2.example")
		if got := lines(s.Targets()); got[0] != "198.18.0.1 name=a.example" || got[4] != "n1.example host=n1.example. name=_node._tcp.example port=9100" {
			t.Errorf("targets %q", got)
		}
		dns.set("ip4 a.example", nil, "198.18.0.1", "198.18.0.2") // in another order
		probe := s.Targets()[0].Probe
		step("198.18.0.1 198.18.0.2 2001:db8::1 198.18.0.9 n1.example n2.example")
		if s.Targets()[0].Probe != probe {
			t.Error("the same answer makes other targets")
		}
		timeout := &net.DNSError{Err: "i/o timeout", Name: "a.example", IsTimeout: true}
		dns.set("ip6 a.example", timeout)
		dns.set("ip4 a.example", nil, "198.18.0.3")
		dns.set("srv _node._tcp.example", nil)
		step("198.18.0.3 2001:db8::1 198.18.0.9 n1.example n2.example", "AAAA a.example: the DNS does not answer: i/o timeout", "SRV _node._tcp.example: there is no such name")
		dns.set("ip6 a.example", nil) // now it says that there are none
		dns.set("srv _node._tcp.example", nil, "n3.example.")
		step("198.18.0.3 198.18.0.9 n3.example")
		dns.set("ip4 a.example", nil)
		step("198.18.0.3 198.18.0.9 n3.example", "A a.example: there is no such name", "AAAA a.example: there is no such name")
		dns.set("ip4 a.example", nil, "198.18.0.4")
		step("198.18.0.4 198.18.0.9 n3.example")
	})
}
