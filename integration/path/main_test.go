//go:build unix

package path

import (
	"os"
	"testing"

	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }
