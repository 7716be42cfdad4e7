// Package watch is the live view of many targets in a terminal: a table with
// the worst first, a history of each target in which lost echoes stand where
// they occurred, a map with a cell for each target, and one target in detail.
//
// The state is kept apart from the terminal: a [Store] takes what happens to the
// echoes of any number of targets, a screen makes the text of a frame of it, and
// a small program on bubbletea passes keys to the screen and frames to the
// terminal. Nothing is sent to the terminal for an echo; frames are drawn at
// their own pace, and only what is visible is worked out for them.
package watch
