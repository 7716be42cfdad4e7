// Package otel turns the results of package icmpcore into OpenTelemetry metrics,
// on OpenTelemetry's own Go packages.
//
// There are two ways. A [Recorder] records with the instruments of a Meter:
//
//	rec, err := otel.NewRecorder(provider.Meter("example"))
//	rec.Record(ctx, &res, attribute.String("site", "lab"))
//
// A [Store] keeps the sums of any number of targets itself. It is a Producer for
// any reader of the SDK, such as that of Prometheus' exporter, and a [Pusher]
// sends what it holds into any exporter, in messages that a collector takes:
//
//	st, err := otel.NewStore(otel.StoreOptions{})
//	target := st.Add(otel.TargetOptions{Host: "192.0.2.1"})
//	st.Record(target, &res)
//	reader := metric.NewManualReader(metric.WithProducer(st))
//	err = otel.NewPusher(st, exporter, resource).Run(ctx)
//
// # Which of them
//
// Use a Recorder in a program that has a MeterProvider and pings up to about
// three hundred targets, and a Store above that, or where targets come and go.
// What the SDK (1.47) does with the instruments of a Recorder:
//
//   - An instrument keeps 2,000 sets of attributes by default. It adds all others
//     to one series, otel.metric.overflow, and reports no error. ping.errors has
//     two sets for each address and more with rarer errors, so at most 1,000
//     addresses fill it. sdk/metric.WithCardinalityLimit(0) lifts the limit.
//   - Nothing is forgotten: a target that is not pinged any more is exported for
//     ever, with cumulative temporality also its gauges. A gauge whose value does
//     not exist any more, such as ping.ttl of a target that is down, keeps its
//     last value.
//   - ping.rtt begins with the first reply. A Store has an empty histogram for a
//     target that has not answered yet, so that a database sees its first value
//     as an increase.
//   - It keeps exemplars for each series: 50,000 targets took 2.2 GB, and 0.4 GB
//     with sdk/metric.WithExemplarFilter(exemplar.AlwaysOffFilter).
//   - Recording takes 600 to 2,100 ns a value, and a push of 50,000 targets 4.3 s
//     of CPU and 900 MB in one message, which no collector takes.
//
// A Store records a value in about 30 ns without an allocation, forgets removed
// targets and has true start times. A Pusher sends messages of at most 512 KiB.
//
// # In callbacks
//
// [Recorder.Record] and [Store.Record] never wait for an exporter or a reader, so a
// callback of [icmpcore.Pinger.Go] may call them. They do not keep the result. A
// callback must not call [Store.Produce], [Pusher.Run] or [Pusher.Close], because
// these take long and delay all further callbacks.
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
// Of a target of a Store whose path was traced ([Store.RecordPath]) also:
//
//	ping.path.hops     gauge    {hop}     in the latest trace that reached the target
//	ping.path.changes  counter  {change}  traces that took another path than the one before
//
// error.type is timeout, late, send, resolve, destination_unreachable,
// time_exceeded, packet_too_big or parameter_problem. A series whose name did
// not resolve counts as one resolve, and a series for which nothing could be sent
// counts as one send. All other errors are requests. So, except for these two,
// ping.requests is the sum of ping.replies and ping.errors.
//
// Most outages consist of timeout and destination_unreachable. These two have a
// point, also with the value zero, from the first push of an address on: if a
// counter began with its first error, a database would see no increase at that
// error. The others have a point once their count is above zero. A gauge whose
// value does not exist has no point: ping.jitter and ping.ipdv need two replies.
//
// All points of a push have the time of that push.
//
// Attributes: server.address (the host as the user wrote it),
// network.peer.address (what it resolved to), network.type (ipv4, ipv6),
// ping.dscp (of a Store's target, where one is set), error.type, and those given
// for the target. When the name of a target resolves to another address, a new
// series begins. In a Store the old one ends after ten further results, unless the
// address comes back.
//
// A Store also reports on the program itself, without attributes of targets:
// ping.target.count, ping.rounds.skipped, ping.foreign, ping.kernel.drops and
// ping.export.failed. If it has sources of targets it also has ping.source.age and
// ping.source.failures, and if several programs share their targets
// ping.fleet.members, ping.fleet.owned, ping.fleet.changes and ping.fleet.view.age. A
// Recorder has none of these.
//
// Where paths are traced, ping.path.breaks counts targets that began to lose, by
// ping.path.last_address, the last address on their path that answers: 1,000 addresses
// at most, all others are "other", and "none" is where no hop answers.
//
// # The histogram
//
// [DefaultBounds] has 51 bounds. From 0.1 ms to 1 s each is at most 1.25 times the
// one before. So a percentile that a database reads from the buckets by linear
// interpolation, as PromQL's histogram_quantile does, is off by 25 % at most. The
// RTTs of one path lie close together, often in a single bucket, and then the
// percentile is off by nearly the whole width of that bucket: with bounds at 10 and
// 20 ms, a path of 10 to 13 ms shows a p95 of 19.5 ms.
//
// Exponential histograms are finer and smaller. They are not the default because
// not every receiver takes them: Telegraf's inputs.opentelemetry drops the whole
// request, and Prometheus needs native histograms. Set [StoreOptions].Exponential
// if all your receivers take them. Each explicit bound is a series in Prometheus;
// set [StoreOptions].Bounds to fewer bounds if that costs too much.
//
// # For Prometheus
//
// [Store.WriteText] and [Store.WriteProtobuf] answer a scrape. Only the protobuf
// format has native histograms, which Prometheus asks for with the setting
// scrape_native_histograms. A store made with [StoreOptions].Native has both kinds
// of histogram in it.
package otel
