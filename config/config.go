// Package config turns what the operator wrote into one checked value: a YAML
// file, the rule files it names, the environment and the command line, laid over
// the documented defaults.
//
// It promises that a Config which Load returns is complete and consistent, that
// all mistakes are reported at once with their place in the file, and that the
// origin of every value can be told. It never guesses: an unknown key, a key
// given twice or a variable that is not set is an error. It starts nothing, opens
// no connection and keeps no state; secrets are in its result, but in none of
// its messages.
package config

import (
	"fmt"
	"log/slog"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/broker"
	"checkout-notifier/heartbeat"
	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
	"checkout-notifier/state"
)

// CurrentVersion is the version of the configuration format that Load reads.
const CurrentVersion = 1

// Config is the effective configuration. It is a plain value: whoever shares it
// between goroutines must not change it. Printing it shows only its size;
// Loaded.Show shows its content with the secrets redacted.
type Config struct {
	Version       int                   `koanf:"version"`
	Accounts      []poller.Account      `koanf:"accounts"`
	Poll          poller.Poll           `koanf:"poll"` // each account has its own copy with its overrides
	State         state.Config          `koanf:"state"`
	NATS          NATS                  `koanf:"nats"`
	Destinations  []publish.Destination `koanf:"destinations"`
	Network       publish.Network       `koanf:"network"`
	Rules         []rules.Rule          `koanf:"rules"` // of the file, then of the rule files
	RuleFiles     []string              `koanf:"rule_files"`
	Admin         admin.Config          `koanf:"admin"`
	Heartbeat     heartbeat.Config      `koanf:"heartbeat"`
	Log           Log                   `koanf:"log"`
	ShutdownGrace time.Duration         `koanf:"shutdown_grace"` // for deliveries in flight
}

// NATS is the operator's `nats` section: how destinations reach their server,
// and the server inside this process.
type NATS struct {
	publish.NATS `koanf:",squash"`
	Embedded     broker.Config `koanf:"embedded"`
}

// Log is the operator's `log` section.
type Log struct {
	Level  string `koanf:"level"`
	Format string `koanf:"format"`
}

// Values of Log.Format. LogAuto is text on a terminal and JSON otherwise.
const (
	LogAuto = "auto"
	LogText = "text"
	LogJSON = "json"
)

// SlogLevel returns the level that slog knows; info for one that Load refuses.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}

// Default returns the documented defaults of everything that is not in a list.
func Default() Config {
	return Config{
		Version:       CurrentVersion,
		Poll:          poller.DefaultPoll(),
		State:         state.DefaultConfig(),
		NATS:          NATS{NATS: publish.DefaultNATS().NATS, Embedded: broker.DefaultConfig()},
		Admin:         admin.DefaultConfig(),
		Heartbeat:     heartbeat.Config{Every: time.Minute},
		Log:           Log{Level: "info", Format: LogAuto},
		ShutdownGrace: 20 * time.Second,
	}
}

// defaultAccount returns the documented defaults of an account.
func defaultAccount(poll poller.Poll) poller.Account {
	return poller.Account{Start: poller.StartNow, ListParams: wooshpay.ParamsBody, Poll: poll}
}

// String says how much the configuration names, and nothing of its content.
func (c Config) String() string {
	return fmt.Sprintf("configuration with %d accounts, %d destinations, %d rules",
		len(c.Accounts), len(c.Destinations), len(c.Rules))
}

// GoString keeps %#v from printing what String hides.
func (c Config) GoString() string { return c.String() }

// LogValue keeps logs from printing what String hides.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText keeps JSON and text encoders from printing what String hides.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
