package main_test

import (
	"encoding/json"
	"errors"
	"go/scanner"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "checkout-notifier/"

// allowed is the house: what each package may import of ours.
var allowed = map[string][]string{
	"secret":                      {},
	"loglimit":                    {},
	"personal":                    {"event"},
	"filelock":                    {},
	"checkout":                    {},
	"simulator":                   {}, // shares no code with the client, so that it can disagree with it
	"event":                       {"checkout"},
	"poller":                      {"checkout", "event", "loglimit", "poller/internal/holes", "poller/internal/index", "poller/internal/latency", "poller/internal/oddity", "poller/internal/probe", "poller/internal/serverclock", "poller/pacer", "poller/wooshpay", "secret"},
	"poller/hashtable":            {},
	"poller/internal/holes":       {"event"},
	"poller/internal/index":       {"checkout", "event", "poller/hashtable"},
	"poller/internal/latency":     {},
	"poller/internal/oddity":      {},
	"poller/internal/probe":       {"poller/internal/serverclock", "poller/wooshpay"},
	"poller/internal/serverclock": {"poller/wooshpay"},
	"poller/pacer":                {},
	"poller/wooshpay":             {"checkout", "secret"},
	"diff":                        {"checkout", "event"},
	"rules":                       {"checkout", "event", "rules/check", "rules/logic", "rules/schema", "spelling"},
	"rules/check":                 {"checkout", "event", "rules/logic", "rules/schema", "spelling"},
	"rules/logic":                 {"checkout", "event", "rules/schema"},
	"rules/schema":                {"spelling"},
	"spelling":                    {},
	"state":                       {"event", "filelock"},
	"publish":                     {"checkout", "event", "loglimit", "publish/internal/null", "publish/internal/sign", "publish/internal/slips", "publish/internal/stripe", "secret"},
	"publish/internal/null":       {},
	"publish/internal/sign":       {"secret"},
	"publish/internal/slips":      {},
	"publish/internal/stripe":     {"checkout", "event"},
	"admin":                       {"event", "secret", "spelling"},
	"broker":                      {"filelock", "loglimit"},
	"backup":                      {}, // has its copies made by an interface
	"jobs":                        {}, // rows are its own, the store keeps them unread
	"heartbeat":                   {"loglimit", "secret"},
	"broker/brokertest":           {"broker"},
	"pipeline":                    {"checkout", "diff", "event", "loglimit", "poller", "rules"},
	"docs/generate":               {"config", "rules", "rules/schema"}, // writes parts of the documentation
	"config":                      {"admin", "broker", "checkout", "event", "heartbeat", "poller", "poller/wooshpay", "publish", "rules", "secret", "spelling", "state"},
}

// owners are the only packages that may import a library.
var owners = map[string][]string{
	"go.etcd.io/bbolt":               {"state"},
	"github.com/nats-io/nats.go":     {"publish"},
	"github.com/nats-io/nats-server": {"broker", "broker/brokertest"},
	"github.com/expr-lang/expr":      {"rules", "rules/check", "rules/logic"},
	"github.com/knadh/koanf":         {"config"},
	"go.yaml.in/yaml":                {"config"},
	"github.com/spf13/cobra":         {"cmd/notifier"},
	"github.com/prometheus/client":   {"admin"},
	"golang.org/x/time/rate":         {"poller/pacer", "publish"},
	"github.com/cespare/xxhash":      {"checkout"},
}

// pure packages do no I/O and read no clock.
var pure = []string{"checkout", "event", "diff", "rules", "rules/check", "rules/logic", "rules/schema", "spelling", "publish/internal/null", "publish/internal/stripe", "poller/hashtable", "poller/internal/holes", "poller/internal/index"}

var impure = []string{"net", "net/http", "os", "io/ioutil", "database/sql", "syscall"}

// maxLines is how many lines of code a package may have, without tests, blank
// lines and comments.
const maxLines = 4000

// oversized are the packages that are still to be split, and what each may have
// until then. A number only ever becomes smaller.
var oversized = map[string]int{
	"cmd/notifier": 8420, "poller": 5560, "publish": 8150, "state": 5550,
}

type goPackage struct {
	ImportPath, Dir string
	Imports         []string
	GoFiles         []string
	IgnoredGoFiles  []string // of other systems
}

func TestWhoImportsWhom(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		may, listed := allowed[name]
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module); ok {
				if listed && !slices.Contains(may, ours) {
					t.Errorf("%s imports %s, which is not drawn", name, ours)
				}
				if !listed && name != "cmd/notifier" && name != "e2e" {
					t.Errorf("%s has no place in the house: add it to the picture and to this test", name)
				}
			}
			for library, by := range owners {
				if strings.HasPrefix(imported, library) && !slices.Contains(by, name) {
					t.Errorf("%s imports %s, which belongs to %v", name, imported, by)
				}
			}
			if slices.Contains(pure, name) && slices.Contains(impure, imported) {
				t.Errorf("%s is pure and imports %s", name, imported)
			}
		}
	}
}

func TestNoPackageIsTooLarge(t *testing.T) {
	for _, p := range packages(t) {
		name, lines := strings.TrimPrefix(p.ImportPath, module), 0
		for _, file := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			if !strings.HasSuffix(file, "_test.go") {
				lines += codeLines(t, filepath.Join(p.Dir, file))
			}
		}
		most, listed := oversized[name]
		switch {
		case !listed && lines > maxLines:
			t.Errorf("%s has %d lines of code, %d is the most: split it", name, lines, maxLines)
		case listed && lines > most:
			t.Errorf("%s has %d lines of code, and may have %d until it is split", name, lines, most)
		case listed && lines <= maxLines:
			t.Errorf("%s has %d lines of code: take it out of the list", name, lines)
		}
	}
}

// codeLines counts the lines of a file on which there is code.
func codeLines(t *testing.T, file string) (lines int) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s scanner.Scanner
	files := token.NewFileSet()
	f := files.AddFile(file, -1, len(source))
	s.Init(f, source, nil, 0)
	for last := 0; ; {
		at, tok, text := s.Scan()
		if tok == token.EOF {
			return lines
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue // which the scanner puts in
		}
		first := f.Line(at)
		end := first + strings.Count(text, "\n") // of a raw string
		lines += end - max(first, last+1) + 1
		last = end
	}
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,GoFiles,IgnoredGoFiles", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < len(allowed) {
		t.Fatalf("go list found %d packages, the house has %d", len(list), len(allowed))
	}
	return list
}
