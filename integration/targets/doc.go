// Package targets runs pingtel with targets from real sources: files, an HTTP server, a
// DNS server, and an API that behaves as that of Kubernetes does. The sources change, fail
// and lie, and are killed. The package has only tests, and the files that the
// documentation tells to copy.
package targets
