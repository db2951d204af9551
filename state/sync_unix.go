//go:build unix && !solaris && !aix

package state

import (
	"errors"
	"os"
	"syscall"
)

const errReadOnlySystem = syscall.EROFS

// syncDirectory makes a renaming in it durable.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // a file system that knows no such thing
		err = nil
	}
	return errors.Join(err, d.Close())
}
