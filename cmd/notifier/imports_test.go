package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "checkout-notifier/"

// allowed is the house: what each package may import of ours.
var allowed = map[string][]string{
	"secret":            {},
	"loglimit":          {},
	"filelock":          {},
	"checkout":          {},
	"simulator":         {}, // shares no code with the client, so that it can disagree with it
	"event":             {"checkout"},
	"poller":            {"checkout", "event", "loglimit", "secret"},
	"diff":              {"checkout", "event"},
	"rules":             {"checkout", "event", "rules/logic"},
	"rules/logic":       {"checkout", "event"},
	"state":             {"event", "filelock"},
	"publish":           {"checkout", "event", "loglimit", "secret"},
	"admin":             {"event", "secret"},
	"broker":            {"filelock", "loglimit"},
	"backup":            {}, // has its copies made by an interface
	"jobs":              {}, // rows are its own, the store keeps them unread
	"broker/brokertest": {"broker"},
	"pipeline":          {"checkout", "diff", "event", "loglimit", "poller", "rules"},
	"docs/generate":     {"config", "rules"}, // writes parts of the documentation
	"config":            {"admin", "broker", "checkout", "event", "poller", "publish", "rules", "secret", "state"},
}

// owners are the only packages that may import a library.
var owners = map[string][]string{
	"go.etcd.io/bbolt":               {"state"},
	"github.com/nats-io/nats.go":     {"publish"},
	"github.com/nats-io/nats-server": {"broker", "broker/brokertest"},
	"github.com/expr-lang/expr":      {"rules", "rules/logic"},
	"github.com/knadh/koanf":         {"config"},
	"go.yaml.in/yaml":                {"config"},
	"github.com/spf13/cobra":         {"cmd/notifier"},
	"github.com/prometheus/client":   {"admin"},
	"golang.org/x/time/rate":         {"poller", "publish"},
	"github.com/cespare/xxhash":      {"checkout"},
}

// pure packages do no I/O and read no clock.
var pure = []string{"checkout", "event", "diff", "rules", "rules/logic"}

var impure = []string{"net", "net/http", "os", "io/ioutil", "database/sql", "syscall"}

type goPackage struct {
	ImportPath string
	Imports    []string
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

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...").Output()
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
