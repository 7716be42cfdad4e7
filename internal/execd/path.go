package execd

import (
	"maps"
	"slices"
	"strings"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/plugin"
)

// pathSuffix is what the name of the paths' measurement has more than that of the results.
const pathSuffix = "_path"

// RecordPath writes what is known of the path to a target.
func (o *Output) RecordPath(t *monitor.Target, p *output.Path) {
	o.mu.Lock()
	measurement := o.format.Measurement
	o.mu.Unlock()
	line, err := appendPath(nil, measurement+pathSuffix, t, p)
	if err != nil {
		o.env.Log.Error("a line about a path cannot be written", "host", t.Host, "error", err)
		return
	}
	o.out.WriteLine(line)
}

// appendPath appends the line of a path to b. It has the tags of the target's results. A
// value that is not known has no field.
func appendPath(b []byte, measurement string, t *monitor.Target, p *output.Path) ([]byte, error) {
	result := icmpcore.PingResult{Host: t.Host}
	if p.Trace != nil {
		result.Addr = p.Trace.Addr
	} else if p.Route.Reached {
		result.Addr = p.Route.Hops[len(p.Route.Hops)-1]
	}
	tags := make([]plugin.Tag, 0, len(t.Tags))
	for _, tag := range t.Tags {
		tags = append(tags, plugin.Tag(tag))
	}
	var line lineprotocol.Encoder
	line.SetBuffer(b)
	line.StartLine(strings.TrimRight(measurement, `\`))
	all := plugin.Tags(t.Host, tags, &result)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		line.AddTag(key, all[key])
	}
	for _, f := range pathFields(p) {
		line.AddField(f.name, f.value)
	}
	line.EndLine(p.At)
	return line.Bytes(), line.Err()
}

// field is a field of a line.
type field struct {
	name  string
	value lineprotocol.Value
}

// pathFields returns the fields of a path. What another target's trace has shown says
// nothing of this target's own hops.
func pathFields(p *output.Path) (fields []field) {
	number := func(name string, n int) {
		if n > 0 {
			fields = append(fields, field{name, lineprotocol.IntValue(int64(n))})
		}
	}
	text := func(name, s string) {
		if v, ok := lineprotocol.StringValue(strings.ToValidUTF8(s, "?")); ok && s != "" {
			fields = append(fields, field{name, v})
		}
	}
	if t := p.Trace; t != nil {
		number("hops", t.Length())
		text("path", p.Route.String())
		if t.Reached {
			text("path_id", p.Route.ID())
		}
		number("mtu", t.MTU.Known())
	}
	if p.Before != nil {
		text("previous_path_id", p.Before.ID())
	}
	number("last_hop", p.Verdict.LastHop)
	if p.Verdict.LastAddress.IsValid() {
		text("last_address", p.Verdict.LastAddress.String())
	}
	text("verdict", p.Verdict.Text)
	return fields
}
