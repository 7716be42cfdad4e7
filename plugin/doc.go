// Package plugin makes pingtel a plugin of Telegraf: it writes results in line
// protocol and holds the conversation that inputs.execd expects, over stdin,
// stdout, stderr and signals.
//
// An [Output] is the sink of a monitor. It encodes results and hands them to
// stdout through a bounded queue, so that a reader that stops reading blocks
// nothing; [Serve] holds the conversation. The example shows both at work.
//
// # Lines
//
// A line is one series of one target. Names and types of what Telegraf's own
// inputs.ping writes are the same here, and there in the same cases: for a
// target that answered all its fields, for one that did not answer the counts,
// the loss and result_code, for one that could not be pinged result_code alone.
// Fields of pingtel's own stand beside them. A value that does not exist is
// left out.
//
// Line protocol cannot express control characters in names, tags and, as
// Telegraf reads it, in texts: they are written the way that Go quotes them, a
// newline as \n. Neither can it express a backslash at the end of a name or
// tag, which is left out, as Telegraf itself does.
package plugin
