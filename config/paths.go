package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// stateDirectory is what systemd sets for a service with StateDirectory=.
const stateDirectory = "STATE_DIRECTORY"

// written are the paths of what the program itself writes.
var written = []string{"state.path", "state.backup.dir", "nats.embedded.store_dir"}

// relative is a path as the file that names it means it: relative to the file,
// wherever the program was started. What the program writes is left to
// resolvePaths when the service manager made a directory for it.
func (r *reader) relative(path, name string) string {
	if name == "" || filepath.IsAbs(name) || r.file.dir == "." || r.ownDirectory() != "" && slices.Contains(written, path) {
		return name
	}
	return filepath.Join(r.file.dir, name)
}

// ownDirectory is the directory that the service manager made for the program, ""
// if there is none.
func (l *loader) ownDirectory() string {
	// systemd separates several directories by colons.
	directory, _, _ := strings.Cut(l.env[stateDirectory], ":")
	return directory
}

// resolvePaths puts relative paths of what the program writes under the
// directory that the service manager made for it.
func (l *loader) resolvePaths(config *Config) {
	directory := l.ownDirectory()
	if directory == "" {
		return
	}
	for _, name := range []*string{&config.State.Path, &config.State.Backup.Dir, &config.NATS.Embedded.StoreDir} {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(directory, *name)
		}
	}
}
