package state

import (
	"fmt"
	"os"
	"path/filepath"
)

// FreeSpace returns how many bytes are free on the file system of a file or
// directory. The error is errors.ErrUnsupported where the system does not tell.
func FreeSpace(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return space(file)
}

// Space returns how many bytes the store may still grow by on its file system,
// and how many it has. The error is errors.ErrUnsupported where the system
// does not tell.
func (s *Store) Space() (free, size int64, err error) {
	if size, err = s.Size(); err != nil {
		return 0, 0, err
	}
	err = s.db.with(func(o *opened) error {
		free, err = space(o.file)
		return err
	})
	if err != nil {
		return 0, size, fmt.Errorf("reading the free space below %s: %w", filepath.Dir(s.path), err)
	}
	return free, size, nil
}
