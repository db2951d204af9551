//go:build !unix || solaris || aix

package state

import "syscall"

const errReadOnlySystem = syscall.EROFS

func syncDirectory(string) error { return nil }
