package rules

// Values of Rule.On.
const (
	OnEvent  = "event"  // what happened to a session
	OnSystem = "system" // the program's own events
)

// Rule is one rule as the operator wrote it.
type Rule struct {
	Name     string            `koanf:"name"`
	On       string            `koanf:"on"`       // what it looks at; empty: OnEvent
	Accounts []string          `koanf:"accounts"` // empty: all
	Events   []string          `koanf:"events"`   // types, short or whole, with globs; empty: all
	When     string            `koanf:"when"`     // an expr-lang expression; empty: true
	To       []string          `koanf:"to"`       // names of destinations
	Labels   map[string]string `koanf:"labels"`
	Enabled  bool              `koanf:"enabled"`

	// A rule with its own rendering adds a delivery of its own.
	Format      string `koanf:"format"`
	Template    string `koanf:"template"`
	ContentType string `koanf:"content_type"`
	Subject     string `koanf:"subject"`
}

// OwnRendering says whether the rule renders its deliveries in its own way.
func (r Rule) OwnRendering() bool { return r.Format != "" || r.Template != "" || r.Subject != "" }
