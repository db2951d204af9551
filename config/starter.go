package config

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"text/template"
	"time"
)

//go:embed starter/*.yaml
var starters embed.FS

// StarterKinds lists what Starter can be asked for; "" is one more.
func StarterKinds() []string { return []string{"stripe", "slack", "nats"} }

// Starter returns a short, commented configuration whose accounts start at the
// given day, midnight UTC. Its secrets and addresses come from the environment.
func Starter(kind string, today time.Time) ([]byte, error) {
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
	t, err := template.ParseFS(starters, "starter/"+name+".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the starter configuration: %w", err)
	}
	var b bytes.Buffer
	start := today.UTC().Format(time.DateOnly) + "T00:00:00Z"
	if err := t.Execute(&b, struct{ Start string }{start}); err != nil {
		return nil, fmt.Errorf("writing the starter configuration: %w", err)
	}
	return b.Bytes(), nil
}
