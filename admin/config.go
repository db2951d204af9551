package admin

import "checkout-notifier/secret"

// Config is the operator's `admin` section.
type Config struct {
	Listen        string   `koanf:"listen"`
	Tokens        []Token  `koanf:"tokens"` // needed when not listening on loopback
	Hosts         []string `koanf:"hosts"`  // accepted Host names besides loopback names, the listen host and IP literals
	BasePath      string   `koanf:"base_path"`
	ExternalURL   string   `koanf:"external_url"` // for links in messages
	MetricsPublic bool     `koanf:"metrics_public"`
	PProf         bool     `koanf:"pprof"`
}

// ConsoleURL is the address that links in messages begin with, "" for messages
// without links. No page of the console is served yet, so every link would lead
// to a 404: this is the one place that turns links on.
func (c Config) ConsoleURL() string { return "" }

// Token lets its bearer in.
type Token struct {
	Name  string        `koanf:"name"`
	Token secret.String `koanf:"token"`
	Role  string        `koanf:"role"`
}

// The roles of a token.
const (
	RoleViewer   = "viewer"
	RoleOperator = "operator"
)

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8484", BasePath: "/", MetricsPublic: true}
}
