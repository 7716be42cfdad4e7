// Package privilege tests the real binary as those run it who may open a raw
// socket, or a datagram socket, or none, and what rights it is left with.
package privilege
