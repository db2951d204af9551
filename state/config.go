package state

import "time"

// Config is the operator's `state` section.
type Config struct {
	Path      string        `koanf:"path"`
	Retention time.Duration `koanf:"retention"` // of accepted deliveries, their events, and settled sessions outside every window
	Backup    Backup        `koanf:"backup"`
	Driver    string        `koanf:"driver"`
}

// Backup says where hot copies go; none are made while Dir is empty.
type Backup struct {
	Dir   string        `koanf:"dir"`
	Every time.Duration `koanf:"every"`
	Keep  int           `koanf:"keep"`
}

// The drivers. DriverJetStream is refused until it exists.
const (
	DriverBolt      = "bbolt"
	DriverJetStream = "jetstream"
)

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Path:      "./data/notifier.db",
		Retention: 30 * 24 * time.Hour,
		Backup:    Backup{Every: 24 * time.Hour, Keep: 7},
		Driver:    DriverBolt,
	}
}
