package config

import (
	"embed"
	"fmt"
	"slices"
)

//go:embed starter/*.yaml
var starters embed.FS

// StarterKinds lists what Starter can be asked for; "" is one more.
func StarterKinds() []string { return []string{"stripe", "slack", "nats"} }

// Starter returns a short, commented configuration whose account starts with its
// first successful answer. Its secrets and addresses come from the environment.
func Starter(kind string) ([]byte, error) {
	name := kind
	switch {
	case kind == "":
		name = "default"
	case !slices.Contains(StarterKinds(), kind):
		message := fmt.Sprintf("there is no starter configuration for %q: use %s", kind, alternatives(StarterKinds()))
		if near := suggest(kind, StarterKinds()); near != "" {
			message += fmt.Sprintf(", did you mean %q?", near)
		}
		return nil, fmt.Errorf("%s", message)
	}
	text, err := starters.ReadFile("starter/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the starter configuration: %w", err)
	}
	return text, nil
}
