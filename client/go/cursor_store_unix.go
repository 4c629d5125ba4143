//go:build unix

package hookgate

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

const (
	noFollow    = syscall.O_NOFOLLOW
	nonBlocking = syscall.O_NONBLOCK
)

// A renamed file is sure to be found after a crash only when its folder has been synced.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot open the folder of the cursor file: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("cannot sync the folder of the cursor file: %w", err)
	}
	return nil
}
