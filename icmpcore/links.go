package icmpcore

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// errNoLink means that no link has the name.
var errNoLink = errors.New("no such network interface")

// linkError says why the link in an option or a zone cannot be used.
func linkError(field, name string, err error) error {
	if errors.Is(err, errNoLink) {
		return &OptionError{Field: field, Value: name, Want: "the name of a network interface"}
	}
	return fmt.Errorf("%s %s: %w", field, quoteEmpty(name), err)
}

// linkBound reports whether an address is valid only on its link, so that the
// link must be known (RFC 4007): link-local unicast, and multicast with the
// scope of an interface or a link.
func linkBound(addr netip.Addr) bool {
	return addr.Is6() && (addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.IsInterfaceLocalMulticast())
}

// links holds what a Pinger needs to know about the system's addresses. It
// reads them again only from time to time, because that takes long if there are
// many. Any goroutine may use it.
type links struct {
	opened     time.Time
	broadcasts atomic.Pointer[map[netip.Addr]struct{}]
	next       atomic.Int64 // since opened: when broadcasts are read again
	reading    atomic.Bool

	mu  sync.Mutex // guards own
	own ownAddrs
}

// linksAge is how old the addresses may be. If it takes longer than a hundredth
// of that to read them, they may be older.
const linksAge = time.Second

// start reads the broadcast addresses for the first time.
func (l *links) start() {
	l.opened = time.Now()
	l.read()
}

func (l *links) read() {
	start := time.Since(l.opened)
	set := map[netip.Addr]struct{}{netip.AddrFrom4([4]byte{255, 255, 255, 255}): {}}
	addBroadcasts(set)
	l.broadcasts.Store(&set)
	end := time.Since(l.opened)
	l.next.Store(int64(end + max(linksAge, 100*(end-start))))
}

// broadcast reports whether addr is the broadcast address of a link.
func (l *links) broadcast(addr netip.Addr) bool {
	if !addr.Is4() || addr.As4()[3]&3 != 3 { // its last two bits are always set: prefixes longer than 30 have no broadcast address
		return false
	}
	if int64(time.Since(l.opened)) > l.next.Load() && l.reading.CompareAndSwap(false, true) {
		l.read()
		l.reading.Store(false)
	}
	_, ok := (*l.broadcasts.Load())[addr]
	return ok
}

// addBroadcasts adds the broadcast addresses of the links.
func addBroadcasts(set map[netip.Addr]struct{}) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		addBroadcastsAnyway(set)
		return
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, mask := n.IP.To4(), n.Mask
		if ones, bits := mask.Size(); ip == nil || bits != 32 || ones > 30 {
			continue
		}
		for i := range ip {
			ip[i] |= ^mask[i]
		}
		set[netip.AddrFrom4([4]byte(ip))] = struct{}{}
	}
}

// ownAddr is an IPv6 address of this system.
type ownAddr struct {
	addr      netip.Addr // without a zone
	index     uint32     // of its link
	link      string
	tentative bool // not usable before duplicate address detection has ended
	failed    bool // another system has it
}

// ownAddrs is the list of them. It is read again when it is old.
type ownAddrs struct {
	read time.Time
	list []ownAddr
	err  error
}

func (o *ownAddrs) get() ([]ownAddr, error) {
	if o.read.IsZero() || time.Since(o.read) > linksAge {
		o.list, o.err = readOwnAddrs()
		o.read = time.Now()
	}
	return o.list, o.err
}

// only returns the link of an address that needs a link but has no zone, and
// the address with that zone: the link that has this address itself, or the
// only link with a link-local address.
func (l *links) only(addr netip.Addr) (netip.Addr, uint32, error) {
	l.mu.Lock()
	list, err := l.own.get()
	l.mu.Unlock()
	refuse := func(link string) (netip.Addr, uint32, error) {
		return addr, 0, &OptionError{Field: "address", Value: addr.String(),
			Want: fmt.Sprintf("a zone, such as %s%%%s, or an interface: the address is valid on one link only", addr, link)}
	}
	if err != nil || len(list) == 0 {
		return refuse("eth0")
	}
	for _, which := range []func(ownAddr) bool{
		func(o ownAddr) bool { return o.addr == addr },
		func(o ownAddr) bool { return o.addr.IsLinkLocalUnicast() },
	} {
		var found ownAddr
		for _, o := range list {
			switch {
			case !which(o), o.index == found.index:
			case found.index == 0:
				found = o
			default:
				return refuse(found.link)
			}
		}
		if found.index != 0 {
			return addr.WithZone(found.link), found.index, nil
		}
	}
	return refuse("eth0")
}
