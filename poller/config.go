package poller

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
)

// Values of Account.Start besides an RFC 3339 time.
const (
	StartNow = "now"
	StartAll = "all"
)

// Account is one API account to watch. Its name is part of ids, subjects and
// metrics, and is bound in the store to the host and mode of first use.
type Account struct {
	Name       string          `koanf:"name"`
	SecretKey  secret.String   `koanf:"secret_key"`
	BaseURL    string          `koanf:"base_url"` // "": by the key's prefix
	Start      string          `koanf:"start"`
	ListParams string          `koanf:"list_params"` // see wooshpay.Options
	Filter     wooshpay.Filter `koanf:"filter"`
	Poll       Poll            `koanf:"poll"` // the global poll section with the account's overrides
}

// Endpoint is the URL at which the account's API is asked.
func (a Account) Endpoint() string {
	switch {
	case a.BaseURL != "":
		return strings.TrimSuffix(a.BaseURL, "/")
	case wooshpay.KeyMode(a.SecretKey.Reveal()) == wooshpay.ModeLive:
		return wooshpay.LiveHost
	}
	return wooshpay.TestHost
}

// Binding is what the store binds the account's name to: the API's host, and live or
// test by the key. A key of neither kind, which only another host than the official
// ones can accept, counts as test.
func (a Account) Binding() (host, mode string) {
	mode = cmp.Or(wooshpay.KeyMode(a.SecretKey.Reveal()), wooshpay.ModeTest)
	if u, err := url.Parse(a.Endpoint()); err == nil {
		host = u.Host
	}
	return host, mode
}

// client returns a client that asks the account's API by its configuration, which has
// been checked.
func (a Account) client(version string, transport http.RoundTripper, now func() time.Time) (*wooshpay.Client, error) {
	c, err := wooshpay.New(wooshpay.Options{
		BaseURL: a.Endpoint(), Key: a.SecretKey, ListParams: a.ListParams, Filter: a.Filter,
		Timeout: a.Poll.Timeout, Connections: a.Poll.Tuning.Concurrency, Version: version, Transport: transport, Now: now,
	})
	if err != nil {
		return nil, fmt.Errorf("account %s: %w", a.Name, err)
	}
	return c, nil
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
