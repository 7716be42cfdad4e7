package plugin

import (
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/monitor"
)

// internalMeasurement is the name of the line in which the plugin tells how it
// is itself.
const internalMeasurement = "pingtel_internal"

// count is a field of that line.
type count struct {
	name  string
	value uint64
}

// recordInternal writes the plugin's own line: counts since its start, but for
// targets, series_running, queue_bytes, goroutines and heap_live_bytes, which
// are those of now.
func (o *Output) recordInternal(now time.Time, p icmpcore.Stats, m monitor.Stats, q queueStats, more []count) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue.put(o.encoder.appendInternal(nil, now, p, m, q, more))
}

func (e *encoder) appendInternal(b []byte, now time.Time, p icmpcore.Stats, m monitor.Stats, q queueStats, more []count) []byte {
	e.lines.SetBuffer(b)
	e.lines.StartLine(internalMeasurement)
	fields := []count{
		{"sent", p.Sent},
		{"received", p.Received},
		{"timeouts", p.Timeouts},
		{"duplicates", p.Duplicates},
		{"late", p.Late},
		{"corrupt", p.Corrupt},
		{"foreign", p.Foreign},
		{"icmp_errors", p.Errors},
		{"send_errors", p.SendErrors},
		{"send_waits", p.SendWaits},
		{"receive_errors", p.ReceiveErrors},
		{"kernel_drops", p.KernelDrops},
		{"clock_steps", p.ClockSteps},
		{"targets", uint64(m.Targets)},
		{"series_running", uint64(m.Running)},
		{"series", m.Series},
		{"series_skipped", m.Skipped},
		{"series_missed", m.Missed},
		{"lookup_failures", m.LookupFailures},
		{"queue_bytes", uint64(q.bytes)},
		{"lines_written", q.written},
		{"lines_dropped", q.dropped},
		{"goroutines", uint64(runtime.NumGoroutine())},
	}
	if live := liveHeap(); live > 0 {
		fields = append(fields, count{"heap_live_bytes", live})
	}
	for _, f := range append(fields, more...) {
		e.int(f.name, int64(f.value))
	}
	e.lines.EndLine(now)
	return e.lines.Bytes()
}

// liveHeap is what the last collection of garbage found in use, 0 where there
// has been none yet.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
