package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"checkout-notifier/admin"
	"checkout-notifier/broker"
	"checkout-notifier/config"
	"checkout-notifier/poller"
	"checkout-notifier/spelling"
	"checkout-notifier/state"
)

// Exit codes of every command.
const (
	exitOK          = 0
	exitFailure     = 1 // negative result or failure
	exitUsage       = 2
	exitInvalid     = 3 // configuration, rules or store
	exitUnreachable = 4 // API, broker or daemon
	exitNotFound    = 5
)

// exitError is an error that asks for an exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exit(code int, err error) error { return &exitError{code, err} }

// streams are the standard streams of a command.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// execute runs one command line.
func execute(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = a.helpless
	}
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	var problems *config.Problems
	if errors.As(err, &problems) {
		printProblems(s.err, problems.Errors)
		err = invalid(problems)
	}
	fmt.Fprintln(s.err, "notifier:", err)
	return code
}

// exitCode finds the code of an error: the one that it asks for, or the one of
// its cause.
func exitCode(err error) int {
	var coded *exitError
	var problems *config.Problems
	invalid := []error{
		config.ErrNoFile, poller.ErrRebound, state.ErrNewer, state.ErrDamaged, state.ErrHeld, broker.ErrHeld, state.ErrForeign,
		state.ErrReadOnly, state.ErrDiskFull, state.ErrDirectory, broker.ErrListen, broker.ErrNoStoreDir,
	}
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &problems):
		return exitInvalid
	case slices.ContainsFunc(invalid, func(target error) bool { return errors.Is(err, target) }):
		return exitInvalid
	case errors.Is(err, poller.ErrUnreachable), errors.Is(err, poller.ErrForeign):
		return exitUnreachable
	case errors.Is(err, admin.ErrNotFound):
		return exitNotFound
	}
	return exitFailure
}

// app is what the commands share.
type app struct {
	streams
	configPath string
	daemonAt   string // of the daemon to ask, else the configured one
	tokenFile  string
	completing bool  // the shell asks for words: see lookup
	helpless   error // help was asked for about a command that there is not
}

func newRoot(s streams) *cobra.Command { return (&app{streams: s}).root() }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "notifier",
		Version: version(),
		Short:   "Tells shops, people on call and event buses what happens to checkout sessions",
		Long: `notifier watches the checkout sessions of WooshPay accounts, turns every change
into an event exactly once, and delivers it to HTTP callbacks and NATS subjects
until it is accepted.

Try it without an account:  notifier demo
Start with a handler:       notifier forward --to http://localhost:3000/webhooks
Start for good:             notifier init > notifier.yaml && notifier check && notifier run

Exit codes: 0 ok, 1 failure or negative result, 2 usage, 3 invalid configuration,
rules or store, 4 API, broker or daemon unreachable, 5 not found.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetVersionTemplate(versionText())
	a.setHelp(root)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages |", ".FlagUsagesWrapped 100 |"))
	root.PersistentFlags().StringVarP(&a.configPath, "config", "c", "", "configuration file [$NOTIFIER_CONFIG, ./notifier.yaml, /etc/notifier/notifier.yaml]")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit(exitUsage, fmt.Errorf("%w%s (see %s --help)", err, flagMeant(cmd, err), cmd.CommandPath()))
	})
	root.AddGroup(
		&cobra.Group{ID: "start", Title: "First steps:"},
		&cobra.Group{ID: "run", Title: "Running:"},
		&cobra.Group{ID: "look", Title: "Looking:"},
		&cobra.Group{ID: "tools", Title: "Tools:"},
	)
	root.AddCommand(
		a.demoCommand(), a.forwardCommand(), a.initCommand(),
		a.runCommand(), a.checkCommand(), a.configCommand(), a.stateCommand(),
		a.statusCommand(), a.healthCommand(), a.pollCommand(), a.jobsCommand(), a.accountsCommand(), a.destinationsCommand(),
		a.eventsCommand(), a.deliveriesCommand(), a.deadLettersCommand(), a.replayCommand(), a.auditCommand(),
		a.simCommand(), a.receiveCommand(), a.versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if slices.Contains(askDaemon, c.Name()) {
			a.daemonFlags(c)
		}
		if c.GroupID == "" {
			c.GroupID = "tools"
		}
		strict(c)
	}
	return root
}

// askDaemon are the commands that reach a daemon, with those below them.
var askDaemon = []string{
	"status", "health", "poll", "jobs", "accounts", "destinations", "events", "deliveries", "deadletters", "replay", "audit",
}

// unconfigured are the commands that read no configuration.
var unconfigured = []string{"demo", "forward", "init", "sim", "receive", "version", "completion", "help"}

// setHelp makes help refuse a word that is no command, as without --help, and leave
// out --config where it does nothing.
func (a *app) setHelp(root *cobra.Command) {
	usual := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, words []string) {
		if cmd.HasSubCommands() {
			if a.helpless = cmd.Args(cmd, cmd.Flags().Args()); a.helpless != nil {
				return
			}
		}
		top := cmd
		for top.HasParent() && top.Parent() != root {
			top = top.Parent()
		}
		root.PersistentFlags().Lookup("config").Hidden = slices.Contains(unconfigured, top.Name())
		usual(cmd, words)
	})
}

// strict makes the commands that cobra brings along refuse what they do not
// know, as ours do.
func strict(c *cobra.Command) {
	switch c.Name() {
	case "completion":
		c.Args = usage(cobra.NoArgs)
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range c.Commands() {
			shell.Args = usage(cobra.NoArgs)
		}
	case "help":
		c.Args = func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				found, rest = cmd.Root(), args
			}
			if len(rest) > 0 {
				return exit(exitUsage, fmt.Errorf("unknown help topic %q%s (see %s --help)", strings.Join(args, " "), commandMeant(found, rest), found.CommandPath()))
			}
			return nil
		}
	}
}

// usage makes a mistake in the arguments exit with the code for usage.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			if len(args) > 0 && !cmd.HasSubCommands() && strings.HasPrefix(err.Error(), "unknown command") { // cobra's words
				err = fmt.Errorf("%s takes no arguments, not %q", cmd.CommandPath(), args[0])
			}
			if needs := strings.TrimSpace(strings.TrimPrefix(cmd.Use, cmd.Name())); needs != "" && strings.Contains(err.Error(), "arg(s)") {
				err = fmt.Errorf("%s needs %s, and got %s", cmd.CommandPath(), needs, count(len(args), "argument"))
			}
			return exit(exitUsage, fmt.Errorf("%w%s (see %s --help)", err, commandMeant(cmd, args), cmd.CommandPath()))
		}
		return nil
	}
}

// commandMeant says which command below this one the first word was probably
// meant to be.
func commandMeant(cmd *cobra.Command, args []string) string {
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	if len(known) == 0 || len(args) == 0 {
		return ""
	}
	return didYouMean(args[0], known)
}

// flagMeant says which flag of a command an unknown one was probably meant to be.
func flagMeant(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	var known []string
	add := func(f *pflag.Flag) { known = append(known, f.Name) }
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	name := unknown.GetSpecifiedName()
	if f := cmd.Flags().Lookup("output"); f != nil && slices.Contains([]string{asJSON, asLines}, name) {
		return fmt.Sprintf(", did you mean -o %s?", name)
	}
	if near := spelling.Suggest(name, known); near != "" {
		return fmt.Sprintf(", did you mean --%s?", near)
	}
	return ""
}

func didYouMean(word string, known []string) string {
	if near := spelling.Suggest(word, known); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// load finds, reads and checks the configuration. Warnings are the caller's.
func (a *app) load(o config.Options) (*config.Loaded, error) {
	path, err := config.Find(a.configPath, os.Getenv)
	if err != nil {
		return nil, err
	}
	o.Path, o.Environ, o.Now = path, os.Environ(), time.Now()
	loaded, err := config.Load(o)
	if err != nil {
		return nil, err
	}
	// Messages name the state file and its copies to people who are in another directory.
	for _, at := range []*string{&loaded.Config.State.Path, &loaded.Config.State.Backup.Dir} {
		if *at == "" {
			continue
		}
		if *at, err = filepath.Abs(*at); err != nil {
			return nil, fmt.Errorf("state: %w", err)
		}
	}
	return loaded, nil
}

// isTerminal says whether a stream is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colours says whether a stream takes colours.
func colours(w any) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
