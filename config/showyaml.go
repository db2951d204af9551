package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// showYAML writes the settings as the file that would set them, each with its
// origin as a comment. Keys of maps never stand in paths, so that dots in
// header names do no harm.
func (l *Loaded) showYAML(w io.Writer) error {
	b := bufio.NewWriter(w)
	var open []string
	for s := range l.settings() {
		if s.Value == "" && strings.HasSuffix(s.Path, "."+whenKey) {
			continue // an empty condition is a mistake in a file
		}
		at := steps(s.Path)
		same := 0
		for same < len(open) && same < len(at)-1 && open[same] == at[same] {
			same++
		}
		bullet := false
		for depth := same; depth < len(at); depth++ {
			if strings.HasPrefix(at[depth], "[") {
				bullet = true
				continue
			}
			fmt.Fprint(b, indent(depth, bullet))
			bullet = false
			if depth == len(at)-1 {
				fmt.Fprintf(b, "%s: %s  # %s\n", at[depth], inline(s.Value), s.Origin)
			} else {
				fmt.Fprintf(b, "%s:\n", at[depth])
			}
		}
		open = at
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("showing the configuration: %w", err)
	}
	return nil
}

// indent is the space in front of a key: two columns for each step around it,
// the last two a bullet where an element begins.
func indent(depth int, bullet bool) string {
	if bullet {
		return strings.Repeat("  ", depth-1) + "- "
	}
	return strings.Repeat("  ", depth)
}
