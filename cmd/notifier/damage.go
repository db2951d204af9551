package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"checkout-notifier/backup"
	"checkout-notifier/config"
	"checkout-notifier/state"
)

// withCopy adds to the error of a damaged state file which copy can take its place,
// and by which command.
func withCopy(ctx context.Context, err error, loaded *config.Loaded) error {
	cfg := loaded.Config.State
	if !errors.Is(err, state.ErrDamaged) || cfg.Backup.Dir == "" {
		return err
	}
	present, _ := state.Identify(ctx, cfg.Path) // its id may be readable all the same
	last, found, failed := backup.Latest(cfg.Backup.Dir, present.ID, time.Now())
	if failed != nil {
		return fmt.Errorf("%w\nthe copies in %s cannot be listed: %w", err, cfg.Backup.Dir, failed)
	}
	if !found {
		return fmt.Errorf("%w\nin %s there is no copy, or there are those of several notifiers", err, cfg.Backup.Dir)
	}
	command := "notifier state restore " + last.Path
	if len(loaded.Files) > 0 {
		command += " -c " + loaded.Files[0]
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		command = "sudo env STATE_DIRECTORY=" + dir + " " + command
	}
	return fmt.Errorf("%w\nthe newest copy in %s was made %s: %s", err, cfg.Backup.Dir, ago(last.Made), command)
}
