// Package confine takes from a process, for good, the files that it does not need. It
// is apart from package privilege because a library that it uses is built with cgo
// where there is a C compiler, and privileges cannot be given up in such a binary.
package confine
