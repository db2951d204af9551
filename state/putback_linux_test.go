package state_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"checkout-notifier/state"
)

// stolenOnFullDisk removes a file where there is no room for a second one: a
// removed file takes up its space until the process ends. It runs in a name space
// of its own.
func stolenOnFullDisk(path string) error {
	dir, ctx := filepath.Dir(path), context.Background()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		return err
	}
	s, err := openChild(path)
	if err != nil {
		return err
	}
	pages := 0
	for size := int64(0); size < 2<<20 && err == nil; pages++ {
		err = s.Commit(ctx, crashTx(pages))
		size, _ = s.Size()
	}
	if err := errors.Join(err, os.Remove(path)); err != nil {
		return err
	}
	if moved, err := s.PutBack(ctx, start); !errors.Is(err, state.ErrDiskFull) || moved != "" {
		return fmt.Errorf("without room, PutBack = %q, %w", moved, err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 { // the note of who we are
		return fmt.Errorf("left behind: %v", left)
	}
	if err := s.Commit(ctx, crashTx(pages)); err != nil {
		return fmt.Errorf("it does not go on: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		return err
	}
	if moved, err := s.PutBack(ctx, start); err != nil || moved != path {
		return fmt.Errorf("with room, PutBack = %q, %w", moved, err)
	}
	if err := errors.Join(s.Verify(ctx), s.Close()); err != nil {
		return err
	}
	return checkPages(path, pages+1)
}
