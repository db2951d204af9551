package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"checkout-notifier/rules"
)

// Places where Find looks without being told.
const (
	localFile  = "notifier.yaml"
	systemFile = "/etc/notifier/notifier.yaml"
	// FileVariable names the configuration file when no flag does.
	FileVariable = "NOTIFIER_CONFIG"
)

// ErrNoFile is what Find returns when there is no configuration file.
var ErrNoFile = errors.New("no configuration file")

// Find returns the configuration file to read: the flag's, the environment's,
// ./notifier.yaml or /etc/notifier/notifier.yaml. What the flag or the
// environment names is returned as it is, whether it exists or not; Load says.
func Find(flag string, getenv func(string) string) (path string, err error) {
	if flag != "" {
		return flag, nil
	}
	if named := getenv(FileVariable); named != "" {
		return named, nil
	}
	for _, candidate := range []string{localFile, systemFile} {
		if _, err := os.Stat(candidate); err == nil {
			return candidate, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking for a configuration file: %w", err)
		}
	}
	return "", fmt.Errorf("%w: neither -c nor $%s is set, and there is no ./%s and no %s",
		ErrNoFile, FileVariable, localFile, systemFile)
}

// Options says what Load reads. Either Path, or Source with the Name that
// messages give it.
type Options struct {
	Path   string
	Source []byte
	Name   string

	Environ []string          // NAME=value, as os.Environ returns it; nil means none
	Flags   map[string]string // by dotted key, such as poll.interval
	Now     time.Time         // to which times in the configuration are compared; zero: they are not

	// AllowMissingSecrets accepts variables that are not set, and secret and
	// TLS files that are not there: for checks on another machine.
	AllowMissingSecrets bool

	// ReadFile and Glob stand in for the system's when set.
	ReadFile func(name string) ([]byte, error)
	Glob     func(pattern string) ([]string, error)
}

// Loaded is a configuration that passed all checks, with what is known about it.
// It is never changed after Load and safe for concurrent use.
type Loaded struct {
	Config   Config
	Warnings []Problem // sorted by position; a strict check refuses them
	Notes    []Problem // sorted by position: what may be meant
	Rules    *rules.Set
	Files    []string // all that were read as configuration, for watching
	Missing  []string // paths of values that AllowMissingSecrets left out

	loader *loader
}

// loader is the work of one Load.
type loader struct {
	collector
	options Options
	env     map[string]string
	main    *file

	places   map[string]place      // of values, by path
	keys     map[string]*yaml.Node // of the same paths
	failed   map[string]bool       // refused: nothing else is said about them
	missing  map[string]bool       // not there, and allowed not to be
	detached map[string]bool       // keys of a destination that it does not inherit
	used     map[string]bool       // variables that the files ask for by name
	config   Config
	types    [][]string // of events, that each rule can match
	compiled *rules.Set // nil while there are mistakes in them
}

// Load reads, layers and checks a configuration. The error is a *Problems with
// everything that is wrong; no message contains a secret.
func Load(options Options) (*Loaded, error) {
	l := newLoader(options)
	if err := l.load(); err != nil {
		return nil, err
	}
	set := l.check()
	if found := l.of(SeverityError); len(found) > 0 {
		return nil, &Problems{Errors: found, Warnings: l.of(SeverityWarning)}
	}
	return l.loaded(set), nil
}

func newLoader(options Options) *loader {
	if options.ReadFile == nil {
		options.ReadFile = readFile
	}
	if options.Glob == nil {
		options.Glob = filepath.Glob
	}
	return &loader{
		collector: collector{order: make(map[string]int)},
		options:   options,
		env:       environment(options.Environ),
		places:    make(map[string]place),
		keys:      make(map[string]*yaml.Node),
		failed:    make(map[string]bool),
		missing:   make(map[string]bool),
		detached:  make(map[string]bool),
		used:      make(map[string]bool),
	}
}

// largestFile is more than any configuration or secret is; a device or a log
// that was named instead must not fill the memory.
const largestFile = 16 << 20

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err == nil && len(content) > largestFile {
		err = fmt.Errorf("it is larger than %d MiB", largestFile>>20)
	}
	return content, err
}

// load fills in the configuration from its layers. Its error is fatal: nothing
// can be checked.
func (l *loader) load() error {
	name, source := l.options.Name, l.options.Source
	if l.options.Path != "" {
		content, err := l.options.ReadFile(l.options.Path)
		if err != nil {
			cause := withoutPath(err)
			return &Problems{cause: cause, Errors: []Problem{{
				File: l.options.Path, Severity: SeverityError, Code: codeFile,
				Message: fmt.Sprintf("reading the configuration: %v", cause),
			}}}
		}
		name, source = l.options.Path, content
	}
	if name == "" {
		name = "configuration"
	}
	r, root := l.parse(name, source)
	if r == nil {
		return &Problems{Errors: l.of(SeverityError)}
	}
	layer := r.section(root, document, "")
	if l.failed[""] {
		return &Problems{Errors: l.of(SeverityError)} // nothing in it can be checked
	}
	l.includeRuleFiles(r.file, layer)
	config, err := l.effective(layer)
	if err != nil {
		l.fallback(err)
		return &Problems{Errors: l.of(SeverityError), Warnings: l.of(SeverityWarning)}
	}
	l.config = config
	return nil
}

// fallback reports an error that has no place of its own.
func (l *loader) fallback(err error) {
	at := l.near("", false)
	at.Severity, at.Code, at.Message = SeverityError, codeType, err.Error()
	l.add(at)
}

func (l *loader) loaded(set *rules.Set) *Loaded {
	loaded := &Loaded{Config: l.config, Warnings: l.of(SeverityWarning), Notes: l.of(SeverityNote), Rules: set, loader: l}
	loaded.Files = make([]string, len(l.order))
	for name, i := range l.order {
		loaded.Files[i] = name
	}
	for path := range l.missing {
		loaded.Missing = append(loaded.Missing, path)
	}
	slices.Sort(loaded.Missing)
	l.options, l.env = Options{}, nil // what is kept needs neither source nor environment
	return loaded
}

// String says how much was loaded, and nothing of its content.
func (l Loaded) String() string { return l.Config.String() }

// GoString keeps %#v from printing what String hides.
func (l Loaded) GoString() string { return l.String() }

// LogValue keeps logs from printing what String hides.
func (l Loaded) LogValue() slog.Value { return l.Config.LogValue() }

// Origin returns where the value of a key comes from; ok is false when there is
// no such key. The path is dotted, with indices: accounts[0].poll.interval.
func (l *Loaded) Origin(path string) (origin Origin, ok bool) {
	for setting := range l.settings() {
		if setting.Path == path {
			return setting.Origin, true
		}
	}
	return Origin{}, false
}
