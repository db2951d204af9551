package main

import (
	"path/filepath"
	"strings"
	"testing"

	"checkout-notifier/publish"
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
		{"destinations test nobody", exitNotFound, "notifier: the daemon answered 404: there is no destination \"nobody\"\n"},
	} {
		if code, stdout, stderr := ask(act.line); code != act.code || stdout != "" || stderr != act.says {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want %q", act.line, code, stdout, stderr, act.says)
		}
	}
}

// Who resumes a destination that still fails must not wait for all at once.
func TestResumeSaysThatAProbeComesFirst(t *testing.T) {
	for want, d := range map[string]destinationReport{
		"it is failing: one delivery is sent as a probe first": {State: string(publish.StateFailing)},
		"for each blocked subject one delivery":                {State: string(publish.StateWaiting), BlockedCount: 2},
	} {
		if got := d.probesFirst(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", d.State, got, want)
		}
	}
	if got := (&destinationReport{State: string(publish.StateOK)}).probesFirst(); got != "" {
		t.Errorf("of one that is well: %q", got)
	}
}
