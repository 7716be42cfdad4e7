package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkPing reads b.N loopback hosts, sends one echo to each, and writes a line of
// JSON for each.
func BenchmarkPing(b *testing.B) {
	var hosts bytes.Buffer
	for i := range b.N {
		fmt.Fprintf(&hosts, "127.%d.%d.%d\n", 2+i/62500%250, i/250%250, i%250+1)
	}
	var stderr strings.Builder
	b.ReportAllocs()
	b.ResetTimer()
	if status := run(b.Context(), strings.Fields("ping -c 1 -r 0 -q -j -f -"), &hosts, io.Discard, &stderr); status != 0 {
		b.Errorf("%d hosts: status %d: %s", b.N, status, &stderr)
	}
}
