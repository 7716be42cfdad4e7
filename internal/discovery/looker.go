package discovery

import (
	"context"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// lookTime is how long a look over the network may take.
const lookTime = 30 * time.Second

// resolver is the part of a [net.Resolver] that the sources need.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// system is what sources need of the system.
type system struct {
	resolver resolver
	getenv   func(string) string
	account  string        // folder of the ServiceAccount
	lookTime time.Duration // for a look over the network
	limit    int           // of an answer over HTTP, in bytes
	restless time.Duration // of a file
}

// newLooker returns what reads a source.
func newLooker(s *source, o Options) looker {
	sys := o.system
	if sys.resolver == nil {
		sys.resolver = net.DefaultResolver
	}
	if sys.getenv == nil {
		sys.getenv = os.Getenv
	}
	if sys.account == "" {
		sys.account = config.ServiceAccount
	}
	if sys.lookTime == 0 {
		sys.lookTime = lookTime
	}
	if sys.limit == 0 {
		sys.limit = maxAnswer
	}
	if sys.restless == 0 {
		sys.restless = restless
	}
	agent := "pingtel/" + o.Version
	switch s.Kind {
	case config.SourceHTTP:
		return &httpLooker{client: newClient(agent, s.BearerFile, s.CAFile), url: s.Places[0], refresh: s.Refresh, time: sys.lookTime, limit: sys.limit}
	case config.SourceDNS:
		return &dnsLooker{resolver: sys.resolver, names: s.Places, time: sys.lookTime}
	case config.SourceKubernetes:
		return &nodesLooker{
			client: newClient(agent, sys.account+"/token", sys.account+"/ca.crt"), selector: s.LabelSelector, getenv: sys.getenv, account: sys.account,
			time: sys.lookTime,
		}
	}
	return &fileLooker{patterns: s.Places, changed: make(map[string]sighting), restless: sys.restless}
}
