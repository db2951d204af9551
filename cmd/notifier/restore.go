package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/state"
)

func (a *app) stateRestoreCommand() *cobra.Command {
	var yes bool
	var output string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a copy in the place of the state file",
		Long: `Put a copy, made by state backup or by the schedule, in the place of the state
file of the configuration. It is refused while a daemon has that open. The copy is
verified first, and its accounts are compared with those of the configuration and
of the file that is there: what looks like another notifier's copy is warned of.
The file that is there now, sound or not, stays beside it under a name that ends in
.replaced- and the time. If it is interrupted, the old file or the new one is in
place. Root gives the file to whom the old one, or the directory, belongs to. What a
daemon saved beside its file (.saved-) is called .restored- from then on.

A service of systemd has a relative state.path under its $STATE_DIRECTORY, which a
shell does not know: give it, as in the second example. Where there is no file at
the path, that is warned of; a daemon that answers and has another file is named,
and nothing is done.

` + restoreMeans + `

It is asked about first; where there is no terminal to ask on, it wants --yes.

Exit codes: 0 it is restored, 1 it failed or was not wanted, 2 usage, 3 the
configuration or the copy is not sound, or a daemon has the state file, or runs on
another one, 5 there is no such file.
Ctrl-C at the question exits with 130, and nothing is changed.`,
		Example: "  notifier state restore /backup/notifier/notifier-5d0c3f7a-20261122T031500Z.db\n" +
			"  sudo env STATE_DIRECTORY=/var/lib/notifier \\\n" +
			"    notifier state restore /backup/copy.db -c /etc/notifier/notifier.yaml",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: a.completeCopies,
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := a.load(config.Options{AllowMissingSecrets: true})
			if err != nil {
				return err
			}
			path := loaded.Config.State.Path
			if served := a.servedElsewhere(cmd.Context(), path); served != "" {
				return exit(exitInvalid, fmt.Errorf("the daemon that answers at admin.listen has its state file at %s, and the copy would go to %s: "+
					"stop it, and name its file (%s); nothing was changed", served, path, whichFile))
			}
			_, err = os.Stat(path)
			missing := errors.Is(err, fs.ErrNotExist)
			// What cannot be read tells nothing; that it is held the restore says.
			present, _ := state.Identify(cmd.Context(), path)
			done, err := state.Restore(cmd.Context(), loaded.Config.State, args[0], time.Now(), func(c state.Contents) error {
				a.describeCopy(args[0], &c, loaded)
				question := fmt.Sprintf("Put it in the place of %s?", path)
				if missing {
					fmt.Fprintf(a.err, "WARNING: there is no state file at %s: is this the path that the daemon uses? (%s)\n", path, whichFile)
					question = fmt.Sprintf("Put it at %s, where no file is?", path)
				}
				if doubts := doubtsOfCopy(&c, &present, loaded.Config.Accounts); len(doubts) > 0 {
					fmt.Fprintf(a.err, "WARNING: this may be the copy of another notifier.\n  - %s\nIf it is, what waits in it (%s) goes to the destinations of this configuration.\n",
						strings.Join(doubts, "\n  - "), count(c.Pending, "delivery"))
					question = fmt.Sprintf("Put it in the place of %s all the same?", path)
				}
				return a.confirm(cmd.Context(), yes, question)
			})
			switch {
			case errors.Is(err, state.ErrMissing):
				return exit(exitNotFound, err)
			case errors.Is(err, state.ErrInvalid):
				return exit(exitUsage, err)
			case err != nil:
				return interrupted(err, "nothing was changed")
			}
			return a.show(output, done, func() {
				fmt.Fprintf(a.out, "restored %s\n", done.Path)
				switch {
				case done.Kept != "":
					fmt.Fprintf(a.out, "what was there is in %s\n", done.Kept)
				case missing:
					fmt.Fprintln(a.out, "no file was there before")
				default:
					fmt.Fprintln(a.out, "the file that was there was empty, and is not kept")
				}
				if done.Renamed != "" {
					fmt.Fprintf(a.out, "the copy is in %s now\n", done.Renamed)
				}
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

// whichFile says how the file of a daemon may be another one than a shell's.
const whichFile = "a relative state.path is under $STATE_DIRECTORY where that is set, as under systemd: sudo env STATE_DIRECTORY=/var/lib/notifier notifier …"

// served is what the daemon at the configured address says of itself; empty if none does.
func (a *app) served(ctx context.Context) (r report) {
	if c, _, err := a.client(); err == nil {
		_ = c.call(ctx, http.MethodGet, "/api/v1/status", &r)
	}
	return r
}

// servedElsewhere is the state file of the daemon that answers at the configured
// address, if that is not the one at path.
func (a *app) servedElsewhere(ctx context.Context, path string) string {
	r := a.served(ctx)
	if r.Store.Path == "" {
		return ""
	}
	if absolute, err := filepath.Abs(path); err == nil && absolute == r.Store.Path {
		return ""
	}
	served, failed := os.Stat(r.Store.Path)
	here, err := os.Stat(path)
	if failed == nil && err == nil && os.SameFile(served, here) {
		return ""
	}
	return r.Store.Path
}

const restoreMeans = `What happened to sessions since the copy was made is found again by polling.
Everything that was delivered since is delivered again, with the ids that it had: a
receiver that does not remember ids acts on it twice. What people did since
(retries, purges, pauses, accepted accounts) is undone. No end is told of an alert
that was told since: what it opened, an incident perhaps, is closed by hand.`

// describeCopy says what is about to be restored.
func (a *app) describeCopy(from string, c *state.Contents, loaded *config.Loaded) {
	fmt.Fprintf(a.err, "%s is sound\n  %s\n", from, contentsText(c))
	for _, account := range loaded.Config.Accounts {
		i := slices.IndexFunc(c.Accounts, func(x event.Account) bool { return x.Name == account.Name })
		switch {
		case c.Older:
		case i < 0 || !c.Accounts[i].StartFixed:
			fmt.Fprintf(a.err, "  account %s: not polled yet; the next run begins at its `start`, as the first one does\n", account.Name)
		case !c.Accounts[i].Low.IsZero():
			fmt.Fprintf(a.err, "  account %s: sessions read up to %s\n", account.Name, c.Accounts[i].Low.UTC().Format(time.RFC3339))
		}
	}
	fmt.Fprintln(a.err, restoreMeans)
}

// doubtsOfCopy says why a copy may be that of another notifier than the one that the
// configuration describes, and whose state file, if any, is there at present. Of that
// file's own copies accounts come and go with the configuration.
func doubtsOfCopy(c *state.Contents, present *state.Identity, accounts []poller.Account) (doubts []string) {
	named := func(name string) func(event.Account) bool {
		return func(x event.Account) bool { return x.Name == name }
	}
	for _, account := range accounts {
		i := slices.IndexFunc(c.Accounts, named(account.Name))
		host, mode := account.Binding()
		if i < 0 || account.SecretKey == "" || c.Accounts[i].Host == host && c.Accounts[i].Mode == mode {
			continue
		}
		doubts = append(doubts, fmt.Sprintf("account %s of the copy belongs to %s (%s), that of the configuration to %s (%s): notifier will not start with both",
			account.Name, c.Accounts[i].Host, c.Accounts[i].Mode, host, mode))
	}
	if c.ID != "" && c.ID == present.ID {
		return doubts
	}
	for _, stored := range c.Accounts {
		if !slices.ContainsFunc(accounts, func(x poller.Account) bool { return x.Name == stored.Name }) {
			doubts = append(doubts, fmt.Sprintf("the configuration does not name account %s (%s, %s) of the copy", stored.Name, stored.Host, stored.Mode))
		}
	}
	for _, stored := range present.Accounts {
		if !c.Older && !slices.ContainsFunc(c.Accounts, named(stored.Name)) {
			doubts = append(doubts, fmt.Sprintf("account %s (%s, %s) of the state file that is there now is not in the copy", stored.Name, stored.Host, stored.Mode))
		}
	}
	if c.ID != "" && present.ID != "" {
		doubts = append(doubts, fmt.Sprintf("the copy (of store %s) was not made of the state file that is there now (store %s): that one was begun anew since, or the copy is of another one",
			c.ID, present.ID))
	}
	return doubts
}
