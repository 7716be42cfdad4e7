// Package plugin makes a program a plugin of Telegraf: it writes results of
// package icmpcore in line protocol, and holds the conversation that inputs.execd
// expects, over stdin, stdout, stderr and signals. It needs nothing of Telegraf.
//
// A program that inputs.execd runs uses an [Output] for stdout, [NewLogHandler]
// for stderr, and a [Conversation] for stdin and signals; the example of
// [Conversation] is a whole one. A plugin compiled into Telegraf uses [Fields]
// and [Tags]. An [Encoder] alone writes lines to wherever they are wanted.
//
// # Lines
//
// A line is one series of one target. Its fields have the names, types and cases
// of Telegraf's own inputs.ping: a target that answered has all of them, one that
// did not answer has the counts, the loss and result_code, and one that could not
// be pinged has result_code alone. pingtel's own fields come beside them. A value
// that does not exist is left out.
//
// Line protocol has no control characters in names and tags, and Telegraf reads
// none in texts. They are written as Go quotes them, a newline as \n. Names and
// tags cannot end with a backslash, so it is left out there, as Telegraf does.
package plugin
