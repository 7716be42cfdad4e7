// Package golden holds what a test got against a file that was looked at once.
package golden

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update is set in the environment to write the files anew. It is no flag, since
// tests in the simulated network run in a process of their own.
const update = "UPDATE_GOLDEN"

// Compare holds got against a file.
func Compare(t testing.TB, file, got string) {
	t.Helper()
	if os.Getenv(update) != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; if got is right, run with %s=1)\n%s", file, update, diff)
	}
}
