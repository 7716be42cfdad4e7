// Package faults tests faults around a running pingtel. In a simulated network it
// takes interfaces, addresses, routes, the resolver, descriptors, memory and stdout
// away from the real binary. What pingtel reports of that time must be true, and
// pingtel must recover by itself. The package has only tests.
package faults
