package otel

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
)

// labels are the labels of one series, by their names in Prometheus.
type labels struct {
	names map[attribute.Key]string // by the key of an attribute; "" where it can be no label
	list  []label
}

// label has two values: with the address and without it.
type label struct{ name, value, own string }

// labelNamer names labels as Prometheus' OTLP receiver does by default.
var labelNamer = otlptranslator.LabelNamer{
	//lint:ignore SA1019 it is Prometheus' default, and there is no other way to it
	UnderscoreLabelSanitization: true,
	PreserveMultipleUnderscores: true,
}

// of makes the labels of an address of a target. Attributes whose labels are the
// same share one, with a semicolon between the values in the order of their keys,
// as in Prometheus.
func (l *labels) of(o *TargetOptions, addr netip.Addr, addrText string) {
	l.list = l.list[:0]
	rest := o.Attributes // by key
	add := func(key attribute.Key, value, own string) {
		for len(rest) > 0 && rest[0].Key <= key {
			rest = l.addFirst(rest)
		}
		l.add(key, value, own)
	}
	if addr.IsValid() {
		add(addressKey, addrText, "")
	}
	if family := networkType(o.Family, addr); family != "" {
		add(typeKey, family, family)
	}
	if o.DSCP > 0 {
		dscp := strconv.Itoa(o.DSCP)
		add(dscpKey, dscp, dscp)
	}
	add(hostKey, o.Host, o.Host)
	for len(rest) > 0 {
		rest = l.addFirst(rest)
	}
	slices.SortStableFunc(l.list, func(a, b label) int { return strings.Compare(a.name, b.name) })
}

// addFirst adds the first of some attributes and returns the others. Of equal keys
// the last one counts, and keys of ours are ours alone.
func (l *labels) addFirst(rest []attribute.KeyValue) []attribute.KeyValue {
	kv, rest := rest[0], rest[1:]
	switch {
	case len(rest) > 0 && rest[0].Key == kv.Key:
	case kv.Key == addressKey || kv.Key == typeKey || kv.Key == dscpKey || kv.Key == hostKey:
	default:
		value := kv.Value.String()
		l.add(kv.Key, value, value)
	}
	return rest
}

// add adds an attribute. own is its value where the address is not wanted.
func (l *labels) add(key attribute.Key, value, own string) {
	name, ok := l.names[key]
	if !ok {
		name = labelName(string(key))
		l.names[key] = name
	}
	if name == "" || value == "" {
		return
	}
	for i := range l.list {
		if e := &l.list[i]; e.name == name {
			e.value, e.own = joined(e.value, value), joined(e.own, own)
			return
		}
	}
	l.list = append(l.list, label{name, value, own})
}

// joined joins two values of one label.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ";" + b
}

// labelName returns the label that an attribute becomes, or "" where it cannot
// be one: Prometheus keeps some names for itself.
func labelName(key string) string {
	name, err := labelNamer.Build(strings.ToValidUTF8(key, "_"))
	if err != nil || strings.HasPrefix(name, "__") {
		return ""
	}
	switch name {
	case "le", "quantile", "error_type":
		return ""
	}
	return name
}

// append appends the labels with x, and returns from where to where that with the
// address is. It is in two of them if joined is true.
func (l *labels) append(b []byte, x exposition) (all []byte, from, to int, joined bool) {
	for _, e := range l.list {
		before := len(b)
		if e.value != "" {
			b = x.label(b, e.name, e.value)
		}
		if e.own == "" {
			from, to = before, len(b)
		}
		joined = joined || e.own != "" && e.own != e.value
	}
	return b, from, to, joined
}

// appendOwn appends the labels without the address.
func (l *labels) appendOwn(b []byte, x exposition) []byte {
	for _, e := range l.list {
		if e.own != "" {
			b = x.label(b, e.name, e.own)
		}
	}
	return b
}
