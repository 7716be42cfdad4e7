// Package fleet runs several real probers that share their targets, with real servers of
// NATS, in a simulated network. Probers and servers are killed, stopped and started. The
// package has only tests.
package fleet
