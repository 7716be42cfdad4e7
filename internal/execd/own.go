package execd

import (
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/plugin"
)

// ownMeasurement is the name of the line about the process itself.
const ownMeasurement = "pingtel_internal"

// appendOwn appends the line about the process itself to b: counts since its
// start, except for targets, series_running, queue_bytes, goroutines and
// heap_live_bytes, which are those of now.
func appendOwn(b []byte, now time.Time, own output.Own, q plugin.OutputStats) ([]byte, error) {
	p, m := own.Engine, own.Schedule
	counts := []output.Count{
		{Name: "sent", Value: p.Sent},
		{Name: "received", Value: p.Received},
		{Name: "timeouts", Value: p.Timeouts},
		{Name: "duplicates", Value: p.Duplicates},
		{Name: "late", Value: p.Late},
		{Name: "corrupt", Value: p.Corrupt},
		{Name: "foreign", Value: p.Foreign},
		{Name: "icmp_errors", Value: p.Errors},
		{Name: "send_errors", Value: p.SendErrors},
		{Name: "send_waits", Value: p.SendWaits},
		{Name: "receive_errors", Value: p.ReceiveErrors},
		{Name: "kernel_drops", Value: p.KernelDrops},
		{Name: "clock_steps", Value: p.ClockSteps},
		{Name: "targets", Value: uint64(m.Targets)},
		{Name: "series_running", Value: uint64(m.Running)},
		{Name: "series", Value: m.Series},
		{Name: "series_skipped", Value: m.Skipped},
		{Name: "series_missed", Value: m.Missed},
		{Name: "lookup_failures", Value: m.LookupFailures},
		{Name: "queue_bytes", Value: uint64(q.QueuedBytes)},
		{Name: "lines_written", Value: q.LinesWritten},
		{Name: "lines_dropped", Value: q.LinesDropped},
		{Name: "goroutines", Value: uint64(runtime.NumGoroutine())},
	}
	if live := liveHeap(); live > 0 {
		counts = append(counts, output.Count{Name: "heap_live_bytes", Value: live})
	}
	counts = append(counts, output.Count{Name: "rounds_missed", Value: own.RoundsMissed})
	if f := own.Fleet; f != nil {
		counts = append(counts, output.Count{Name: "fleet_members", Value: uint64(f.Members)},
			output.Count{Name: "fleet_owned", Value: uint64(f.Owned)}, output.Count{Name: "fleet_changes", Value: f.Changes})
		if f.ViewAge >= 0 {
			counts = append(counts, output.Count{Name: "fleet_view_age_ms", Value: uint64(f.ViewAge.Milliseconds())})
		}
	}
	var line lineprotocol.Encoder
	line.SetBuffer(b)
	line.StartLine(ownMeasurement)
	if own.Fleet != nil {
		line.AddTag(config.ProberTag, own.Fleet.Prober)
	}
	for _, c := range append(counts, own.Outputs...) {
		line.AddField(c.Name, lineprotocol.IntValue(int64(c.Value)))
	}
	line.EndLine(now)
	return line.Bytes(), line.Err()
}

// ownSources is the measurement with a line for each source of targets.
const ownSources = "pingtel_source"

// appendSource appends the line of a source of targets to b.
func appendSource(b []byte, now time.Time, s output.Source) ([]byte, error) {
	var line lineprotocol.Encoder
	line.SetBuffer(b)
	line.StartLine(ownSources)
	line.AddTag("source", strings.TrimRight(s.Name, `\`)) // line protocol has no backslash at the end of a tag
	line.AddField("targets", lineprotocol.IntValue(int64(s.Targets)))
	if age, ok := lineprotocol.FloatValue(s.Age.Seconds()); ok {
		line.AddField("age_seconds", age)
	}
	line.AddField("failures", lineprotocol.IntValue(int64(s.Failures)))
	line.AddField("refused", lineprotocol.IntValue(int64(s.Refused)))
	line.EndLine(now)
	return line.Bytes(), line.Err()
}

// liveHeap returns the bytes that the last garbage collection found in use, 0 before
// the first one.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
