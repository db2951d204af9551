//go:build !linux && !darwin && !freebsd

package state

import "errors"

func space(uintptr) (free int64, err error) { return 0, errors.ErrUnsupported }
