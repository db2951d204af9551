package config_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"checkout-notifier/config"
)

// Whatever a file holds, Load answers: with a configuration that can be shown,
// or with problems that all have a place.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", example} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			source, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(source))
		}
	}
	f.Add("a: &a [*a]\n")
	f.Add("accounts: &a\n- poll: *a\n")
	f.Add("poll: &p\n  <<: [*p, *p]\n")
	f.Add("rules: [{when: >\n  a\n\n  b\n}]")
	f.Fuzz(func(t *testing.T, source string) {
		loaded, err := config.Load(config.Options{
			Source: []byte(source), Name: "fuzz.yaml", Environ: environ(), AllowMissingSecrets: true,
			ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
			Glob:     func(string) ([]string, error) { return nil, nil },
		})
		if err == nil {
			for _, format := range []string{config.ShowYAML, config.ShowTable, config.ShowJSON} {
				if err := loaded.Show(io.Discard, format); err != nil {
					t.Error(err)
				}
			}
			return
		}
		var problems *config.Problems
		if !errors.As(err, &problems) || len(problems.Errors) == 0 {
			t.Fatalf("not a list of problems: %v", err)
		}
		for _, p := range problems.Errors {
			if p.Line < 1 || p.Column < 1 || p.File != "fuzz.yaml" || p.Message == "" || p.Code == "" {
				t.Errorf("incomplete problem %+v", p)
			}
		}
	})
}
