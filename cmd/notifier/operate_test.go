package main

import (
	"path/filepath"
	"testing"
)

// Who resumes the wrong destination must not believe to have mended something.
func TestActsThatChangeNothingSaySo(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	ask := o.open()
	for _, act := range []struct {
		line string
		code int
		says string
	}{
		{"destinations resume shop", exitOK, "shop was not paused\n"},
		{"destinations pause shop", exitOK, "shop is paused\n"},
		{"destinations pause shop", exitOK, "shop was paused already\n"},
		{"destinations resume other", exitOK, "other was not paused\n"},
		{"destinations resume shop", exitOK, "shop goes on\n"},
		{"destinations resume shop", exitOK, "shop was not paused\n"},
		{"destinations resume nobody", exitNotFound, "notifier: the daemon answered 404: there is no destination \"nobody\"\n"},
	} {
		if code, stdout, stderr := ask(act.line); code != act.code || stdout != "" || stderr != act.says {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want %q", act.line, code, stdout, stderr, act.says)
		}
	}
}
