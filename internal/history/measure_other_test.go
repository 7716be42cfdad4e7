//go:build !unix

package history

import (
	"os"
	"time"
)

func cpu() time.Duration { return 0 }

func allocated(info os.FileInfo) int64 { return info.Size() }
