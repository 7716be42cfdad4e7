package icmpcore_test

import (
	"errors"
	"os"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
)

func TestOpened(t *testing.T) {
	refused := errors.New("refused")
	for _, want := range []error{nil, refused} {
		calls := 0
		p, err := icmpcore.Open(icmpcore.Config{Opened: func() error { calls++; return want }})
		if errors.Is(err, os.ErrPermission) {
			t.Skip(err)
		}
		if !errors.Is(err, want) || (p == nil) != (want != nil) || calls != 1 {
			t.Errorf("Open with Opened = %v: %v, %v, %d calls; want 1 call and its error", want, p, err, calls)
		}
		if p != nil {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
