package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/config"
	"checkout-notifier/state"
)

func (a *app) stateCommand() *cobra.Command {
	parent := parentCommand("state", "Back up, verify, compact and restore the state file",
		a.stateBackupCommand(), a.stateVerifyCommand(), a.stateCompactCommand(), a.stateRestoreCommand())
	parent.GroupID = "run"
	return parent
}

// toStdout is the name that stands for the standard output.
const toStdout = "-"

func (a *app) stateBackupCommand() *cobra.Command {
	var yes bool
	var output string
	cmd := &cobra.Command{
		Use:   "backup [FILE|DIRECTORY|-]",
		Short: "Make a verified copy of the state file",
		Long: `Make a copy of the state file as it is at this moment, through the daemon if one
runs (it goes on meanwhile), else from the file. The copy is verified before it
gets its name; it is there whole or not at all. With - it goes to the standard
output. Without a FILE it goes to state.backup.dir, the daemon's if one runs, where
it counts as one of the scheduled copies, or to the present directory. It holds what
the API says of your customers.

A FILE that exists is asked about first; where there is no terminal to ask on, it
wants --yes.

Exit codes: 0 the copy is made, 1 it failed or was not wanted, 2 usage, 3 the
configuration or what is to be copied is not sound, 4 the daemon went away, or
there is neither a daemon nor a state file.
Ctrl-C at the question exits with 130, and nothing is changed.`,
		Example: "  notifier state backup /backup/before-upgrade.db\n  notifier state backup - | ssh backup@host 'cat > notifier.db'",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := a.copySource(cmd.Context())
			if err != nil {
				return err
			}
			defer source.close()
			if len(args) == 1 && args[0] == toStdout {
				return a.backupToStdout(cmd.Context(), source)
			}
			path, err := a.backupPath(cmd.Context(), source, args, yes)
			if err != nil {
				return err
			}
			c, err := source.copyTo(cmd.Context(), path)
			if err != nil {
				return interrupted(copyFailed(err), "no copy was made")
			}
			return a.show(output, c, func() { fmt.Fprintf(a.out, "%s\n  %s\n", c.Path, contentsText(&c)) })
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "write over a FILE that exists, do not ask")
	a.daemonFlags(cmd)
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

// copyFailed is the error of a copy that could not be written, which says nothing
// against the store.
func copyFailed(err error) error {
	for _, target := range []error{state.ErrDiskFull, state.ErrReadOnly, state.ErrDirectory, state.ErrHeld} {
		if errors.Is(err, target) {
			return exit(exitFailure, err)
		}
	}
	return err
}

// backupPath says where a copy is to go, and asks if something is there.
func (a *app) backupPath(ctx context.Context, source *copySource, args []string, yes bool) (string, error) {
	if len(args) == 0 {
		dir, err := a.copiesDir(ctx, source.loaded)
		if err != nil {
			return "", err
		}
		args = []string{dir}
	}
	directory := strings.HasSuffix(args[0], string(filepath.Separator))
	path, err := filepath.Abs(args[0]) // whoever reads it later may be in another directory
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, source.name)
		info, err = os.Stat(path)
	} else if directory {
		return "", exit(exitUsage, fmt.Errorf("there is no directory %s", path))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", fmt.Errorf("looking for %s: %w", path, err)
	case source.loaded != nil && isStateFile(info, source.loaded):
		return "", exit(exitUsage, fmt.Errorf("%s is the state file itself", path))
	case !info.Mode().IsRegular():
		return "", exit(exitUsage, fmt.Errorf("%s is no file that could be written over (- is the standard output)", path))
	}
	return path, a.confirm(ctx, yes, fmt.Sprintf("Write over %s?", path))
}

// copiesDir is where the scheduled copies are, or the present directory. A daemon knows it:
// under systemd it has a $STATE_DIRECTORY, and a shell has none.
func (a *app) copiesDir(ctx context.Context, loaded *config.Loaded) (string, error) {
	if loaded == nil {
		return ".", nil
	}
	dir := loaded.Config.State.Backup.Dir
	if b := a.served(ctx).Backup; b != nil && filepath.IsAbs(b.Dir) && b.Dir != dir {
		if _, err := os.Stat(b.Dir); err != nil {
			return "", exit(exitFailure, fmt.Errorf("the daemon keeps its copies where none can be put from here (%w): name a FILE, or ask as a user and on a machine who can", err))
		}
		return b.Dir, nil
	}
	if dir == "" {
		return ".", nil
	}
	return dir, os.MkdirAll(dir, 0o700)
}

func isStateFile(info fs.FileInfo, loaded *config.Loaded) bool {
	present, err := os.Stat(loaded.Config.State.Path)
	return err == nil && os.SameFile(info, present)
}

func (a *app) backupToStdout(ctx context.Context, source *copySource) error {
	if isTerminal(a.out) {
		return exit(exitUsage, errors.New("a copy is no text: send it to a file or a program, not to the terminal"))
	}
	n, err := source.pipe(ctx, a.out)
	if err != nil {
		return interrupted(fmt.Errorf("the copy is not whole: %w", err), "the copy is not whole")
	}
	fmt.Fprintf(a.err, "%s, %s\n", source.name, sizeText(n))
	return nil
}

func (a *app) stateVerifyCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check that a state file, or a copy of one, is sound",
		Long: `Read a whole state file and check that every page, row, index and counter is what
it should be. Without a FILE it is the one of the configuration; if a daemon has
that open, a copy is taken from it and checked. Nothing is changed.

Exit codes: 0 it is sound, 1 it could not be read, also because a daemon holds it,
2 usage, 3 it is damaged, made by another program or by a newer notifier, 5 there is
no such file.`,
		Example:           "  notifier state verify\n  notifier state verify /backup/notifier/notifier-5d0c3f7a-20261122T031500Z.db",
		Args:              usage(cobra.MaximumNArgs(1)),
		ValidArgsFunction: a.completeCopies,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.verifyFile(cmd.Context(), args)
			switch {
			case errors.Is(err, state.ErrMissing):
				err = exit(exitNotFound, err)
			case errors.Is(err, state.ErrHeld): // it may be sound
				err = exit(exitFailure, err)
			}
			if err != nil {
				return interrupted(err, "it was not checked to its end")
			}
			return a.show(output, c, func() { fmt.Fprintf(a.out, "%s is sound\n  %s\n", c.Path, contentsText(&c)) })
		},
	}
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) verifyFile(ctx context.Context, args []string) (state.Contents, error) {
	if len(args) == 1 {
		return state.Check(ctx, args[0])
	}
	loaded, err := a.load(config.Options{AllowMissingSecrets: true})
	if err != nil {
		return state.Contents{}, err
	}
	path := loaded.Config.State.Path
	err = state.ErrHeld
	var c state.Contents
	if served := a.servedElsewhere(ctx, path); served != "" { // whoever asks means that file
		path = served
	} else if c, err = state.Check(ctx, path); !errors.Is(err, state.ErrHeld) {
		return c, err
	}
	if c, err = a.verifyServed(ctx, err); ctx.Err() == nil && err != nil && !errors.Is(err, state.ErrDamaged) {
		err = exit(exitFailure, err) // it may be sound
	}
	c.Path = path
	return c, err
}

// verifyServed checks a copy that the daemon makes of its state file, which another
// process holds, as held says.
func (a *app) verifyServed(ctx context.Context, held error) (c state.Contents, err error) {
	source, err := a.copySource(ctx)
	switch {
	case errors.Is(err, errNoDaemon):
		return c, fmt.Errorf("%w; and to be asked for a copy to check, %w", held, err)
	case err != nil:
		return c, fmt.Errorf("a daemon has the file open, and no copy of it can be made to check: %w", err)
	}
	defer source.close()
	dir, err := placeForCopy(source.loaded, "notifier-verify-")
	if err != nil {
		return c, err
	}
	fmt.Fprintln(a.err, "a daemon has the file open: a copy is taken from it and checked")
	c, err = source.copyTo(ctx, filepath.Join(dir, "notifier.db"))
	return c, errors.Join(err, os.RemoveAll(dir))
}

// compactResult is what a compaction came to, in bytes.
type compactResult struct {
	Path   string `json:"path"`
	Before int64  `json:"bytes_before"`
	After  int64  `json:"bytes_after"`
}

func (a *app) stateCompactCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "compact",
		Short: "Give the space that is free inside the state file back to the disk",
		Long: `Write the state file anew without the space that is free inside it. That space is
used again by itself, so this helps only after a flood. It is refused while a daemon
has the file open, and needs room for a second one meanwhile. The new file is
verified before it takes the place of the old one; if it is interrupted, one of the
two is in place.

Exit codes: 0 it is done, 1 it failed, 2 usage, 3 the configuration or the file is
not sound, or a daemon has it open, 5 there is no state file yet.`,
		Example: "  notifier state compact",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := a.load(config.Options{AllowMissingSecrets: true})
			if err != nil {
				return err
			}
			r := compactResult{Path: loaded.Config.State.Path}
			r.Before, r.After, err = state.Compact(cmd.Context(), loaded.Config.State, time.Now())
			if errors.Is(err, state.ErrMissing) {
				err = exit(exitNotFound, err)
			}
			if err != nil {
				return interrupted(err, "nothing was changed")
			}
			return a.show(output, r, func() {
				fmt.Fprintf(a.out, "%s: %s before, %s now\n", r.Path, sizeText(r.Before), sizeText(r.After))
			})
		},
	}
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func contentsText(c *state.Contents) string {
	size := sizeText(c.Bytes)
	if c.Older {
		return fmt.Sprintf("%s, written by an older notifier (schema %d): its structure is sound; the next run brings it up to date", size, c.Schema)
	}
	last := "no event yet"
	if !c.LastEvent.IsZero() {
		last = "last event " + ago(c.LastEvent)
	}
	return fmt.Sprintf("%s, %s, %s, %s (%d pending, %s), %s", size, count(c.Sessions, "session"), count(c.Events, "event"),
		count(c.Deliveries, "delivery"), c.Pending, count(c.DeadLetters, "dead letter"), last)
}

// completeCopies lets the shell complete the scheduled copies, newest first, and
// any other file.
func (a *app) completeCopies(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	loaded, err := a.load(config.Options{AllowMissingSecrets: true})
	if err != nil || loaded.Config.State.Backup.Dir == "" {
		return nil, cobra.ShellCompDirectiveDefault
	}
	found, _ := filepath.Glob(filepath.Join(loaded.Config.State.Backup.Dir, "notifier-*.db"))
	slices.Reverse(found)
	return found, cobra.ShellCompDirectiveDefault
}
