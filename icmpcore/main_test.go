package icmpcore_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestMain skips the examples if no ICMP socket is allowed. Unlike tests they
// cannot skip themselves.
func TestMain(m *testing.M) {
	flag.Parse()
	p, err := icmpcore.Open(icmpcore.Config{})
	var refused *icmpcore.PermissionError
	switch {
	case err == nil:
		err = p.Close()
	case errors.As(err, &refused):
		fmt.Println("the examples are skipped:", err)
		err = flag.Set("test.skip", "^Example")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
