// Package integration tests pingtel with real peers: the kernel and its sockets in
// front of a simulated network, and in its folders Telegraf, a collector and
// databases. It has only tests.
package integration
