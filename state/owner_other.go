//go:build !unix

package state

import "os"

func giveOwner(string, *os.File, string) error { return nil }
