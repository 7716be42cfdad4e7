// Package faults makes what can go wrong around a running pingtel go wrong: it
// takes interfaces, addresses, routes, the resolver, descriptors, memory and
// stdout away from the real binary in a simulated network. What is reported of
// that time must be true, and the work go on by itself. It holds tests only.
package faults
