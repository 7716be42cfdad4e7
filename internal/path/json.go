package path

import (
	"encoding/json"
	"net/netip"
	"time"
)

// jsonTrace is the JSON form of a trace and its verdict. What is not known is null.
type jsonTrace struct {
	Host        string    `json:"host"`
	Address     *string   `json:"address"`
	Reached     bool      `json:"reached"`
	Length      *int      `json:"length"`
	Hops        []jsonHop `json:"hops"`
	Cause       *Cause    `json:"cause"`
	LastHop     *int      `json:"last_hop"`
	LastAddress *string   `json:"last_address"`
	MTU         *int      `json:"mtu"`
	Verdict     *string   `json:"verdict"`
	Error       *string   `json:"error,omitempty"`
}

type jsonHop struct {
	Hop       int         `json:"hop"`
	Addresses []string    `json:"addresses"`
	Names     []*string   `json:"names,omitempty"`
	Sent      int         `json:"sent"`
	Answers   int         `json:"answers"`
	Min       *float64    `json:"min"`
	Median    *float64    `json:"median"`
	Max       *float64    `json:"max"`
	DSCP      *int        `json:"dscp"`
	MPLS      []jsonLabel `json:"mpls"`
	Limited   bool        `json:"limited"`
}

type jsonLabel struct {
	Label  uint32 `json:"label"`
	TC     uint8  `json:"tc"`
	Bottom bool   `json:"bottom"`
	TTL    uint8  `json:"ttl"`
}

// AppendJSON appends a trace and its verdict as one object on one line, without a line
// feed. A host that could not be traced at all has the key error with the reason. If names
// is not nil, hops have the key names too, with a name or null for each address.
func AppendJSON(b []byte, t *Trace, v Verdict, names *Names) []byte {
	o := jsonTrace{Host: t.Host, Reached: t.Reached, Hops: []jsonHop{}, LastAddress: textOf(v.LastAddress), Address: textOf(t.Addr)}
	o.Length, o.LastHop = unlessZero(t.Length()), unlessZero(v.LastHop)
	if v.Text != "" {
		o.Cause, o.Verdict = &v.Cause, &v.Text
	}
	o.MTU = unlessZero(t.MTU.Known())
	if t.Err != nil && t.Sent == 0 {
		text := t.Err.Error()
		o.Error, o.Cause, o.Verdict = &text, nil, nil
	}
	for i := range t.Hops {
		o.Hops = append(o.Hops, t.Hops[i].json(names))
	}
	out, err := json.Marshal(o)
	if err != nil {
		panic("path: internal error: " + err.Error()) // the types above can all be written
	}
	return append(b, out...)
}

func (h *Hop) json(names *Names) jsonHop {
	o := jsonHop{Hop: h.TTL, Addresses: []string{}, Sent: h.Sent, Answers: h.Answers, Limited: h.Limited}
	for _, a := range h.From {
		o.Addresses = append(o.Addresses, a.Addr.String())
		if names == nil {
			continue
		}
		var name *string
		if text := names.Of(a.Addr); text != "" {
			name = &text
		}
		o.Names = append(o.Names, name)
	}
	if len(h.RTTs) > 0 {
		o.Min, o.Median, o.Max = seconds(h.Min()), seconds(h.Median()), seconds(h.Max())
	}
	if h.DSCP >= 0 {
		o.DSCP = &h.DSCP
	}
	for _, l := range h.MPLS {
		o.MPLS = append(o.MPLS, jsonLabel{l.Label, l.TC, l.Bottom, l.TTL})
	}
	return o
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

func unlessZero(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

func textOf(a netip.Addr) *string {
	if !a.IsValid() {
		return nil
	}
	s := a.String()
	return &s
}
