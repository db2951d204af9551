//go:build !linux && !darwin && !freebsd

package state

import (
	"errors"
	"os"
)

func space(*os.File) (free int64, err error) { return 0, errors.ErrUnsupported }
