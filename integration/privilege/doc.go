// Package privilege runs the real binary as users who may open a raw socket, a datagram
// socket, or none, and tests which rights it keeps.
package privilege
