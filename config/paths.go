package config

import (
	"path/filepath"
	"strings"
)

// stateDirectory is what systemd sets for a service with StateDirectory=.
const stateDirectory = "STATE_DIRECTORY"

// resolvePaths puts relative paths of what the program writes under the
// directory that the service manager made for it.
func (l *loader) resolvePaths(config *Config) {
	// systemd separates several directories by colons.
	directory, _, _ := strings.Cut(l.env[stateDirectory], ":")
	if directory == "" {
		return
	}
	for _, name := range []*string{&config.State.Path, &config.NATS.Embedded.StoreDir} {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(directory, *name)
		}
	}
}
