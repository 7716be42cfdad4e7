package web

import (
	"runtime"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// families are figures of the process itself.
type families []*dto.MetricFamily

func (f *families) add(name, help string, kind dto.MetricType, m *dto.Metric) {
	name = "pingtel_" + name
	*f = append(*f, &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{m}})
}

func (f *families) count(name, help string, n uint64) {
	v := float64(n)
	f.add(name+"_total", help, dto.MetricType_COUNTER, &dto.Metric{Counter: &dto.Counter{Value: &v}})
}

func (f *families) gauge(name, help string, n int, labels ...*dto.LabelPair) {
	v := float64(n)
	f.add(name, help, dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: &v}, Label: labels})
}

// ownFamilies returns what the process knows of itself.
func (o *Output) ownFamilies() families {
	var f families
	count, gauge := f.count, f.gauge
	own, version := o.env.Own(), o.env.Version
	label := func(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
	gauge("build_info", "1, with the version of pingtel and of Go.", 1, label("version", version), label("goversion", runtime.Version()))
	e, s := own.Engine, own.Schedule
	count("echo_requests", "Echo requests sent.", e.Sent)
	count("echo_replies", "Replies in time.", e.Received)
	count("echo_timeouts", "Echo requests without a reply in time.", e.Timeouts)
	count("duplicate_replies", "Further replies to one request.", e.Duplicates)
	count("late_replies", "Replies after the timeout.", e.Late)
	count("corrupt_replies", "Replies with a wrong checksum, payload or length.", e.Corrupt)
	count("icmp_errors", "ICMP errors about our requests.", e.Errors)
	count("send_errors", "Echo requests that the system refused to send.", e.SendErrors)
	count("send_waits", "Times that the send queue of the system was full.", e.SendWaits)
	count("receive_errors", "Errors of reading from a socket.", e.ReceiveErrors)
	count("clock_steps", "Steps of the wall clock.", e.ClockSteps)
	count("series", "Series begun.", s.Series)
	count("lookup_failures", "Look-ups of names that gave no address.", s.LookupFailures)
	count("rounds_missed", "Rounds on demand that were left out.", own.RoundsMissed)
	gauge("series_running", "Series under way.", s.Running)
	gauge("goroutines", "Goroutines of the process.", runtime.NumGoroutine())
	for _, c := range own.Outputs {
		count(c.Name, "Count of an output: "+strings.ReplaceAll(c.Name, "_", " ")+".", c.Value)
	}
	return f
}
