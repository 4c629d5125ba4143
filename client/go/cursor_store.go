package hookgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// CursorStore keeps the position of a subscription while it is not running. It holds one cursor. Implement it over what
// the service has already: a row that is written in the transaction that handles the event makes the handling exactly
// once. A subscription calls it from the goroutine that ranges over it, and ends with a *CursorStoreError if it fails.
type CursorStore interface {
	// Load returns the cursor saved last; "" if none ever was.
	Load(ctx context.Context) (string, error)
	// Save returns nil only when cursor survives a crash. Its context is not cancelled when that of the subscription is.
	Save(ctx context.Context, cursor string) error
}

// MemoryCursorStore keeps a cursor as long as the process lives: a second subscription goes on where the first one
// ended. The zero value holds none. Safe for concurrent use.
type MemoryCursorStore struct {
	mu     sync.Mutex
	cursor string
}

// Load returns the cursor saved last.
func (s *MemoryCursorStore) Load(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor, nil
}

// Save keeps cursor.
func (s *MemoryCursorStore) Save(_ context.Context, cursor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = cursor
	return nil
}

// CursorFuncs is a CursorStore of two functions. A nil LoadFunc finds none, a nil SaveFunc saves nothing.
type CursorFuncs struct {
	LoadFunc func(ctx context.Context) (string, error)
	SaveFunc func(ctx context.Context, cursor string) error
}

// Load calls LoadFunc.
func (s CursorFuncs) Load(ctx context.Context) (string, error) {
	if s.LoadFunc == nil {
		return "", nil
	}
	return s.LoadFunc(ctx)
}

// Save calls SaveFunc.
func (s CursorFuncs) Save(ctx context.Context, cursor string) error {
	if s.SaveFunc == nil {
		return nil
	}
	return s.SaveFunc(ctx, cursor)
}

// FileCursorStore is a file that holds the cursor and a line feed, as that of the clients in other languages. It is
// replaced as a whole: a crash leaves the old cursor or the new one. For one writer at a time.
type FileCursorStore struct {
	// Path names the file, or a symbolic link to it, which stays. The file's folder must exist. A neighbour of the file,
	// called as it is with .tmp at the end, is used while saving.
	Path string
}

// No gateway's cursor comes near; a file that is larger holds something else.
const maxCursorSize = 4096

func looksLikeCursor(text string) bool {
	if text == "" || len(text) > maxCursorSize {
		return false
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// Load fails if the file is there and holds no cursor: if it is empty, cut off or not text.
func (s *FileCursorStore) Load(context.Context) (string, error) {
	// A pipe would be waited for.
	file, err := os.OpenFile(s.Path, os.O_RDONLY|nonBlocking, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot open the cursor file: %w", err)
	}
	defer file.Close()
	if found, err := file.Stat(); err == nil && !found.Mode().IsRegular() {
		return "", fmt.Errorf("the cursor file %s is not a plain file, which could be replaced by one with the next cursor", s.Path)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxCursorSize+2))
	if err != nil {
		return "", fmt.Errorf("cannot read the cursor file: %w", err)
	}
	// The line feed is the proof that the file was not cut off.
	if last := len(content) - 1; last >= 0 && content[last] == '\n' && looksLikeCursor(string(content[:last])) {
		return string(content[:last]), nil
	}
	wrong := "is damaged"
	if len(content) == 0 {
		wrong = "is empty"
	}
	return "", fmt.Errorf("the cursor file %s %s: it must hold one cursor and a line feed. Restore it, or move it away to "+
		"start again, at the price of missing or repeating events", s.Path, wrong)
}

// Save replaces the file.
func (s *FileCursorStore) Save(_ context.Context, cursor string) error {
	if !looksLikeCursor(cursor) {
		return fmt.Errorf("not a cursor to save in %s", s.Path)
	}
	// Renaming over a link would leave the file that it leads to, which is the one that is kept, as it was.
	path, err := followLinks(s.Path)
	if err != nil {
		return fmt.Errorf("cannot follow the links of the cursor file: %w", err)
	}
	temporary := path + ".tmp"
	if err := writeSynced(temporary, cursor+"\n"); err != nil {
		return fmt.Errorf("cannot write the cursor: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("cannot replace the cursor file: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// followLinks returns the file that path leads to, over any number of symbolic links, whether it is there yet or not.
func followLinks(path string) (string, error) {
	const mostLinks = 40 // As the kernel.
	for range mostLinks {
		target, err := os.Readlink(path)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist) {
			return path, nil // Not a link, or nothing.
		}
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			// Begins in the folder of its link, which may be a link itself: nothing is to be tidied.
			target = path[:strings.LastIndexByte(path, os.PathSeparator)+1] + target
		}
		path = target
	}
	return "", &fs.PathError{Op: "readlink", Path: path, Err: syscall.ELOOP}
}

func writeSynced(path, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|noFollow, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
