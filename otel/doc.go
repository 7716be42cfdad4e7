// Package otel hands results to an OpenTelemetry collector: it keeps counters,
// a histogram and the latest figures of each target, and pushes them over OTLP,
// by gRPC or HTTP.
//
// A [Pusher] is the sink of a monitor. Nothing that the collector does, or does
// not do, delays the measuring:
//
//	push, err := otel.New(otel.Config{Settings: settings, Log: log, ...})
//	m := monitor.New(pinger, cfg, log, push)
//	err = otel.Serve(ctx, otel.Session{Monitor: m, Pusher: push, ...})
//
// # Instruments
//
// One series for each target, address and instrument. There is no semantic
// convention for ping yet; names of attributes are those of the conventions.
//
//	ping.rtt         histogram  s            every round-trip time of a reply in time
//	ping.requests    counter    {request}    echo requests attempted
//	ping.replies     counter    {reply}      replies in time, as many as ping.rtt has values
//	ping.errors      counter    {error}      requests without a reply in time, by error.type
//	ping.duplicates  counter    {reply}      further replies to one request
//	ping.reordered   counter    {reply}      replies overtaken by a later one (RFC 4737)
//	ping.corrupt     counter    {reply}      replies with a wrong checksum, payload or length
//	ping.loss        gauge      1            of the latest series, 0 to 1
//	ping.jitter      gauge      s            sample standard deviation of its RTTs
//	ping.ipdv        gauge      s            mean difference of its successive RTTs (RFC 3393)
//	ping.ttl         gauge      {hop}        TTL or hop limit of its first reply
//	ping.hops        gauge      {hop}        estimated from it
//	ping.up          gauge      {target}     1 if the latest series had a reply, else 0
//
// error.type is timeout, late, send, resolve, destination_unreachable,
// time_exceeded, packet_too_big or parameter_problem. A series whose name did
// not resolve counts one resolve, one that nothing could be sent for counts one
// send; all others are requests, so that but for these two ping.requests is the
// sum of ping.replies and ping.errors. An error.type has a point once its count
// is above zero: with cumulative temporality from its first error on, with delta
// in pushes that carry one. A gauge whose value does not exist has no point.
//
// Attributes: server.address (the host as the file has it),
// network.peer.address (what it resolved to), network.type (ipv4, ipv6),
// ping.dscp where one is set, error.type, and the target's tags. A target whose
// name changes its address begins a new series; the old one ends ten intervals
// later, unless the address comes back.
//
// On pingtel itself, without attributes of targets: ping.target.count,
// ping.rounds.skipped, ping.foreign, ping.kernel.drops, ping.export.failed.
//
// # Why not the SDK's instruments
//
// Measured for 50,000 targets, they take three to five times the memory and
// many times the time to record, keep a target that has been removed for ever,
// fold all beyond 2,000 series into one, and do not tell of what a collector
// rejects. So the figures are kept here, and built into OTLP messages of a
// bounded size with the generated types of go.opentelemetry.io/proto/otlp.
package otel
