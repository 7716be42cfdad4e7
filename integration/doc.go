// Package integration tests pingtel against real peers: the kernel and its
// sockets in front of a simulated network, and in its folders Telegraf, a
// collector and databases. It holds tests only.
package integration
