package broker

// Config is the operator's `nats.embedded` section.
type Config struct {
	Enabled  bool   `koanf:"enabled"`
	Listen   string `koanf:"listen"`
	StoreDir string `koanf:"store_dir"`
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:4222", StoreDir: "./data/nats"}
}
