package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"checkout-notifier/config"
	"checkout-notifier/rules"
)

// release is set by the linker; a build without it goes by its revision.
var release string

// version names the build: the release, or the revision it was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}

// versionText is what notifier version and notifier --version print.
func versionText() string {
	return fmt.Sprintf("notifier %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func (a *app) versionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  notifier version\n  notifier version -o json",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return a.show(output, map[string]string{
				"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
			}, func() {
				fmt.Fprint(a.out, versionText())
			})
		},
	}
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) initCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:     "init",
		GroupID: "start",
		Short:   "Print a commented starter configuration",
		Long: `Print a short commented configuration to start from. What was created before
the API answers for the first time is recorded without a word (start: now).`,
		Example: "  notifier init > notifier.yaml\n  notifier init --for stripe > notifier.yaml",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			text, err := config.Starter(kind)
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
		},
	}
	cmd.Flags().Var(choice{&kind, config.StarterKinds()}, "for", "what it sends to: "+strings.Join(config.StarterKinds(), ", "))
	completeFlag(cmd, "for", config.StarterKinds)
	return cmd
}

func (a *app) configCommand() *cobra.Command {
	parent := &cobra.Command{
		Use:   "config",
		Short: "Show the effective configuration",
		Args:  usage(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var output string
	show := &cobra.Command{
		Use:     "show",
		Short:   "Print every value with its origin, secrets redacted",
		Example: "  notifier config show\n  notifier config show -o yaml",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			loaded, err := a.load(config.Options{AllowMissingSecrets: true})
			if err != nil {
				return err
			}
			return loaded.Show(a.out, output)
		},
	}
	outputFlag(show, &output, config.ShowTable, config.ShowJSON, config.ShowLines, config.ShowYAML)
	parent.AddCommand(show)
	return parent
}

func (a *app) checkCommand() *cobra.Command {
	var online, strict, missing bool
	cmd := &cobra.Command{
		Use:     "check",
		GroupID: "start",
		Short:   "Check the configuration, rules and templates",
		Long: `Check the configuration, every rule expression, template and subject, and say all
mistakes at once with their place. Nothing is sent and no store is opened.

With --online the API, the NATS servers and the destinations are reached as well,
and it is said which list parameters the API honours, and if two accounts show the
same sessions.`,
		Example: "  notifier check --strict\n  notifier check --online",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := a.load(config.Options{AllowMissingSecrets: missing})
			var problems *config.Problems
			if errors.As(err, &problems) {
				printProblems(a.out, problems.Errors)
				printProblems(a.out, problems.Warnings)
				return exit(exitInvalid, invalid(problems))
			}
			if err != nil {
				return err
			}
			printProblems(a.out, loaded.Warnings)
			if strict && len(loaded.Warnings) > 0 {
				return exit(exitInvalid, fmt.Errorf("%s, and --strict is set", count(len(loaded.Warnings), "warning")))
			}
			if online {
				if err := a.checkOnline(cmd.Context(), loaded, strict); err != nil {
					return err
				}
			}
			fmt.Fprintf(a.out, "ok: %s, %s, %s\n", count(len(loaded.Config.Accounts), "account"),
				count(len(loaded.Config.Destinations), "destination"), count(len(loaded.Config.Rules), "rule"))
			printProblems(a.out, loaded.Notes)
			if !tellsOwner(loaded.Config.Rules) {
				fmt.Fprintln(a.out, "note: no rule has on: system, so that nobody is told of dead letters, failing destinations and accounts (docs/alerts.md)")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&online, "online", false, "also reach the API, NATS and the destinations")
	cmd.Flags().BoolVar(&strict, "strict", false, "fail on warnings")
	cmd.Flags().BoolVar(&missing, "allow-missing-secrets", false, "accept variables and secret files that are not set here")
	return cmd
}

// tellsOwner says whether a rule sends the program's own events anywhere. That none
// does is no mistake: status and metrics tell, too.
func tellsOwner(list []rules.Rule) bool {
	return slices.ContainsFunc(list, func(r rules.Rule) bool { return r.Enabled && r.On == rules.OnSystem && len(r.To) > 0 })
}

// invalid sums up mistakes that are printed already.
func invalid(problems *config.Problems) error {
	return fmt.Errorf("the configuration is invalid: %s", count(len(problems.Errors), "mistake"))
}

// printProblems prints findings with their place, and the expression with a
// caret where there is one.
func printProblems(w io.Writer, list []config.Problem) {
	for _, p := range list {
		text := p.String()
		if p.Severity != config.SeverityError {
			text = strings.Replace(text, ": ", ": "+string(p.Severity)+": ", 1)
		}
		fmt.Fprintln(w, text)
		for line := range strings.Lines(p.Snippet) {
			fmt.Fprintln(w, "    "+strings.TrimRight(line, "\n"))
		}
	}
}

// count says how many there are of a thing.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
