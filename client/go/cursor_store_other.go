//go:build !unix

package hookgate

const (
	noFollow    = 0
	nonBlocking = 0
)

// Where folders cannot be synced, renaming a file is as much as can be done.
func syncFolder(string) error { return nil }
