// Package path tests what a path to a target shows, in a simulated network: that
// the echoes of a flow take one path, what routers report, and what is made of it.
// The package has only tests.
package path
