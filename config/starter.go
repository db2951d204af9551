package config

import (
	"cmp"
	"embed"
	"fmt"
)

//go:embed starter/*.yaml
var starters embed.FS

// StarterKinds lists what Starter can be asked for; "" is one more.
func StarterKinds() []string { return []string{"stripe", "slack", "nats"} }

// Starter returns a short, commented configuration whose account starts with its
// first successful answer. Its secrets and addresses come from the environment.
func Starter(kind string) ([]byte, error) {
	text, err := starters.ReadFile("starter/" + cmp.Or(kind, "default") + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no starter configuration for %q: use %s", kind, alternatives(StarterKinds()))
	}
	return text, nil
}
