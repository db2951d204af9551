package poller

import (
	"time"

	"checkout-notifier/secret"
)

// Values of Account.ListParams: where the list filters travel.
const (
	ParamsBody  = "body"
	ParamsQuery = "query"
	ParamsBoth  = "both"
)

// Values of Account.Start besides an RFC 3339 time.
const (
	StartNow = "now"
	StartAll = "all"
)

// Account is one API account to watch. Its name is part of ids, subjects and
// metrics, and is bound in the store to the host and mode of first use.
type Account struct {
	Name       string        `koanf:"name"`
	SecretKey  secret.String `koanf:"secret_key"`
	BaseURL    string        `koanf:"base_url"` // "": by the key's prefix
	Start      string        `koanf:"start"`
	ListParams string        `koanf:"list_params"`
	Filter     Filter        `koanf:"filter"`
	Poll       Poll          `koanf:"poll"` // the global poll section with the account's overrides
}

// Filter restricts an account to some of its sessions; empty members do not filter.
type Filter struct {
	Customer      string `koanf:"customer"`
	CustomerEmail string `koanf:"customer_email"`
	PaymentIntent string `koanf:"payment_intent"`
}

// Poll says how often and how hard an account is polled.
type Poll struct {
	Interval  time.Duration `koanf:"interval"`   // between the starts of two passes
	RateLimit float64       `koanf:"rate_limit"` // requests per second, 0 = unlimited
	Timeout   time.Duration `koanf:"timeout"`    // of one request
	UnpaidFor time.Duration `koanf:"unpaid_for"` // how long a complete but unpaid session is watched
	Tuning    Tuning        `koanf:"tuning"`
}

// Tuning holds the keys that may change between versions.
type Tuning struct {
	Overlap        time.Duration `koanf:"overlap"`
	HotAge         time.Duration `koanf:"hot_age"`
	WarmEvery      time.Duration `koanf:"warm_every"`
	UnpaidEvery    time.Duration `koanf:"unpaid_every"`
	ReconcileEvery time.Duration `koanf:"reconcile_every"`
	ConfirmAfter   time.Duration `koanf:"confirm_after"`
	PageSize       int           `koanf:"page_size"`
	Concurrency    int           `koanf:"concurrency"`
}

// DefaultPoll returns the documented defaults.
func DefaultPoll() Poll {
	return Poll{
		Interval:  10 * time.Second,
		RateLimit: 5,
		Timeout:   30 * time.Second,
		UnpaidFor: 14 * 24 * time.Hour,
		Tuning: Tuning{
			Overlap:        10 * time.Minute,
			HotAge:         30 * time.Minute,
			WarmEvery:      5 * time.Minute,
			UnpaidEvery:    15 * time.Minute,
			ReconcileEvery: time.Hour,
			ConfirmAfter:   10 * time.Minute,
			PageSize:       100,
			Concurrency:    4,
		},
	}
}
