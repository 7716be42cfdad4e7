// Package plugin makes a program a plugin of Telegraf. It writes the results of
// package icmpcore in line protocol, and it speaks with Telegraf's inputs.execd
// over stdin, stdout, stderr and signals. It does not import Telegraf.
//
// What you need depends on how Telegraf gets the results:
//
//   - A program that inputs.execd runs uses an [Output] for stdout, a
//     [Conversation] for stdin and signals, and [NewLogHandler] on a [LogWriter]
//     for stderr. The example below is a whole program.
//   - A plugin that is compiled into Telegraf, or that runs by Telegraf's own shim,
//     gives [Fields] and [Tags] to its accumulator.
//   - A program that writes lines to anywhere else uses an [Encoder].
//
// # Lines
//
// A line is one series of one target. Its fields have the names, types and cases
// of Telegraf's own inputs.ping: a target that answered has all of them, one that
// did not answer has the counts, the loss and result_code, and one that could not
// be pinged has only result_code. pingtel's own fields come beside them. A value
// that does not exist is left out.
//
// Line protocol allows no control characters in names and tags, and Telegraf
// cannot read them in string fields. They are written as in a Go string: a newline
// becomes \n. Names and tags cannot end with a backslash, so it is left out there,
// as Telegraf does.
//
// # In callbacks
//
// [Output.Write] and [LogWriter.Write] never wait for their writer, so a callback
// of [icmpcore.Pinger.Go] may call them. [Encoder.Append], [Fields] and [Tags] only
// compute. An Encoder that callbacks of one Pinger share needs no lock, because the
// Pinger makes one call at a time.
package plugin
