package publish

import (
	"time"

	"checkout-notifier/secret"
)

// Values of Destination.Type.
const (
	TypeHTTP = "http"
	TypeNATS = "nats"
)

// Values of Destination.Format, and of a rule's format.
const (
	FormatCloudEvents = "cloudevents"
	FormatStripe      = "stripe"
	FormatSlack       = "slack"
	FormatPagerDuty   = "pagerduty"
	FormatTemplate    = "template"
)

// Values of Destination.Mode.
const (
	ModeBinary     = "binary"
	ModeStructured = "structured"
)

// Values of Retry.OnGone.
const (
	OnGoneRetry = "retry"
	OnGonePause = "pause"
)

// Destination is where deliveries go: an HTTP callback or a NATS subject.
type Destination struct {
	Name string `koanf:"name"`
	Type string `koanf:"type"`

	// Keys of both types.
	Format      string        `koanf:"format"`
	Template    string        `koanf:"template"`
	ContentType string        `koanf:"content_type"`
	Omit        []string      `koanf:"omit"`
	Concurrency int           `koanf:"concurrency"`
	RateLimit   float64       `koanf:"rate_limit"` // requests per second, 0 = unlimited
	Ordered     bool          `koanf:"ordered"`
	OrderHold   time.Duration `koanf:"order_hold"`
	Retry       Retry         `koanf:"retry"`

	// Keys of type http; URL is also the server of a NATS destination.
	URL           secret.String            `koanf:"url"`
	Secrets       []secret.String          `koanf:"secrets"`
	Headers       map[string]secret.String `koanf:"headers"`
	Auth          Auth                     `koanf:"auth"`
	TLS           TLS                      `koanf:"tls"`
	Proxy         secret.String            `koanf:"proxy"`
	Timeout       time.Duration            `koanf:"timeout"`
	APIVersion    string                   `koanf:"api_version"`
	RoutingKey    secret.String            `koanf:"routing_key"`
	AllowNetworks []string                 `koanf:"allow_networks"` // CIDRs

	// Keys of type nats.
	Subject   string `koanf:"subject"`
	JetStream bool   `koanf:"jetstream"`
	Stream    Stream `koanf:"stream"`
	Mode      string `koanf:"mode"`
	NATS      NATS   `koanf:",squash"` // the global nats section with the destination's overrides
}

// Retry is the schedule of a destination.
type Retry struct {
	// Schedule holds the pauses after the first, second … refused attempt. After
	// the last slot an HTTP delivery is a dead letter; for NATS it repeats for ever.
	Schedule      []time.Duration `koanf:"schedule"`
	Jitter        float64         `koanf:"jitter"` // 0.2: each pause is longer or shorter by up to a fifth
	FinalStatuses []int           `koanf:"final_statuses"`
	OnGone        string          `koanf:"on_gone"`
}

// Auth is how an HTTP destination is told who is calling; at most one is set.
type Auth struct {
	Bearer secret.String `koanf:"bearer"`
	Basic  BasicAuth     `koanf:"basic"`
}

// BasicAuth is HTTP Basic authentication.
type BasicAuth struct {
	Username string        `koanf:"username"`
	Password secret.String `koanf:"password"`
}

// TLS names PEM files: a CA besides the system's, and a client certificate.
type TLS struct {
	CA   string `koanf:"ca"`
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
}

// Stream is the JetStream stream that a NATS destination expects.
type Stream struct {
	Name            string        `koanf:"name"`
	Ensure          bool          `koanf:"ensure"` // create or update it
	Subjects        []string      `koanf:"subjects"`
	MaxAge          time.Duration `koanf:"max_age"`
	Replicas        int           `koanf:"replicas"`
	DuplicateWindow time.Duration `koanf:"duplicate_window"`
}

// NATS says how to reach a NATS server, in the words of the nats CLI's contexts.
// Keys that are set win over those of Context.
type NATS struct {
	Server          secret.String `koanf:"server"` // the key `url` of the nats section: one or several, comma separated
	Context         string        `koanf:"context"`
	Creds           string        `koanf:"creds"`
	NKey            string        `koanf:"nkey"`
	User            string        `koanf:"user"`
	Password        secret.String `koanf:"password"`
	Token           secret.String `koanf:"token"`
	CA              string        `koanf:"ca"`
	Cert            string        `koanf:"cert"`
	Key             string        `koanf:"key"`
	TLSFirst        bool          `koanf:"tls_first"`
	InboxPrefix     string        `koanf:"inbox_prefix"`
	JetStreamDomain string        `koanf:"jetstream_domain"`
}

// Rendering is how a rule renders its own deliveries; empty members leave it
// to the destination.
type Rendering struct {
	Format, Template, ContentType, Subject string
}

// Network restricts which addresses HTTP destinations may reach.
type Network struct {
	RefusePrivate bool `koanf:"refuse_private"`
}

// DefaultHTTP returns the documented defaults of an HTTP destination.
func DefaultHTTP() Destination {
	d := defaults()
	d.Type = TypeHTTP
	d.Timeout = 15 * time.Second
	d.Retry.Schedule = []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	return d
}

// DefaultNATS returns the documented defaults of a NATS destination.
func DefaultNATS() Destination {
	d := defaults()
	d.Type = TypeNATS
	d.JetStream = true
	d.Mode = ModeBinary
	d.Stream = Stream{Replicas: 1, DuplicateWindow: time.Hour}
	d.NATS.Server = "nats://127.0.0.1:4222"
	d.Retry.Schedule = []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, time.Minute}
	return d
}

func defaults() Destination {
	return Destination{
		Format:      FormatCloudEvents,
		Concurrency: 16,
		Ordered:     true,
		OrderHold:   2 * time.Minute,
		Retry:       Retry{Jitter: 0.2, OnGone: OnGoneRetry},
	}
}
