package path

import (
	"context"
	"net/netip"
	"strings"
	"sync"
)

// maxNameLookups is how many addresses are looked up at once. Others find no name then.
const maxNameLookups = 64

// Names looks up the names of hops. Nothing waits for them: a name that does not come
// before its trace ends is not known. Make it with [NewNames].
type Names struct {
	lookup func(context.Context, string) ([]string, error)
	ctx    context.Context
	slots  chan struct{}

	mu    sync.Mutex // guards what follows
	names map[netip.Addr]*name
}

// name is the name of an address; empty if it has none.
type name struct {
	text  string
	known chan struct{} // closed when text is set for good
}

// NewNames returns names that lookup finds, like [net.Resolver.LookupAddr]. Look-ups end
// with ctx.
func NewNames(ctx context.Context, lookup func(context.Context, string) ([]string, error)) *Names {
	return &Names{lookup: lookup, ctx: ctx, slots: make(chan struct{}, maxNameLookups), names: make(map[netip.Addr]*name)}
}

// Want begins to look an address up, and does not block.
func (n *Names) Want(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names[a] != nil {
		return
	}
	select {
	case n.slots <- struct{}{}:
	default:
		return // asked again when it answers again
	}
	found := &name{known: make(chan struct{})}
	n.names[a] = found
	go func() { // ends with the look-up, which ends with n.ctx at the latest
		defer func() { <-n.slots }()
		if texts, err := n.lookup(n.ctx, a.String()); err == nil && len(texts) > 0 { // no name is no fault of the trace
			found.text = strings.TrimSuffix(texts[0], ".")
		}
		close(found.known)
	}()
}

// Of returns the name of an address, "" if none is known yet.
func (n *Names) Of(a netip.Addr) string {
	text, _ := n.find(a)
	return text
}

// Missing returns how many addresses of a trace have neither a name yet, nor an answer
// that there is none.
func (n *Names) Missing(t *Trace) (missing int) {
	if n == nil {
		return 0
	}
	for i := range t.Hops {
		for _, from := range t.Hops[i].From {
			if _, known := n.find(from.Addr); !known {
				missing++
			}
		}
	}
	return missing
}

// find returns the name of an address, and whether its look-up has ended.
func (n *Names) find(a netip.Addr) (text string, known bool) {
	if n == nil {
		return "", false
	}
	n.mu.Lock()
	found := n.names[a]
	n.mu.Unlock()
	if found == nil {
		return "", false
	}
	select {
	case <-found.known:
		return found.text, true
	default:
		return "", false
	}
}
