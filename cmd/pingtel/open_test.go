package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/privilege"
)

func TestOpenPinger(t *testing.T) {
	refused := errors.New("operation not permitted")
	tests := []struct {
		name   string
		marks  bool
		result error // of dropping
		keep   privilege.Keep
		warns  bool
		fails  bool
	}{
		{name: "nothing kept", keep: privilege.Nothing},
		{name: "marks", marks: true, keep: privilege.Marks},
		{name: "binary with cgo", result: privilege.ErrCgo, warns: true},
		{name: "refused", result: refused, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var kept []privilege.Keep
			ctx := withDrop(t.Context(), func(k privilege.Keep) error { kept = append(kept, k); return tt.result })
			var stderr strings.Builder
			p, err := openPinger(ctx, icmpcore.Config{}, tt.marks, warnOn(&stderr))
			if errors.Is(err, os.ErrPermission) {
				t.Skip(err)
			}
			if p != nil {
				defer p.Close()
			}
			if len(kept) != 1 || kept[0] != tt.keep {
				t.Errorf("dropped %v, want once, keeping %v", kept, tt.keep)
			}
			if (err != nil) != tt.fails || tt.fails && !errors.Is(err, tt.result) {
				t.Errorf("error %v, want one: %t", err, tt.fails)
			}
			if got := stderr.String(); (got != "") != tt.warns || strings.Count(got, "\n") > 1 {
				t.Errorf("stderr %q, want a line of warning: %t", got, tt.warns)
			}
		})
	}
}

func TestOpenPingerKeepsTestsPrivileges(t *testing.T) {
	p, err := openPinger(context.Background(), icmpcore.Config{}, false, func(err error) { t.Error("warning:", err) })
	if errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}
