package main

import (
	"bytes"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"checkout-notifier/event"
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
		{"destinations resume nobody", exitNotFound, "notifier: there is no destination \"nobody\"\n"},
		{"destinations pause shp", exitNotFound, "notifier: there is no destination \"shp\", did you mean \"shop\"?\n"},
		{"accounts accept man", exitNotFound, "notifier: there is no account \"man\", did you mean \"main\"?\n"},
		{"destinations test nobody", exitNotFound, "notifier: there is no destination \"nobody\"\n"},
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

// What is said of an accepted attempt is no error.
func TestNotesAreNoErrors(t *testing.T) {
	var out bytes.Buffer
	d := &deliveryView{Attempts: []attemptView{{N: 1, Outcome: event.OutcomeAccepted, Note: "duplicate"}}}
	(&app{streams: streams{out: &out}}).printAttempts(d)
	if text := out.String(); !regexp.MustCompile(`accepted \(duplicate\) *\n$`).MatchString(text) {
		t.Error(text)
	}
}

// What a daemon says is told as an operator can act on it.
func TestAnswersAreToldInTheWordsOfTheCommand(t *testing.T) {
	for _, tc := range []struct {
		status, code int
		body, want   string
	}{
		{http.StatusBadRequest, exitNotFound, `{"detail":"there is no session \"cs_1\"","unknown":"session"}`, `there is no session "cs_1"`},
		{http.StatusUnauthorized, exitFailure, `{"detail":"a token of admin.tokens is needed: Authorization: Bearer …"}`,
			"the daemon answered 401: it wants another token, one of its admin.tokens: name a file that holds it by --token-file"},
	} {
		err := (&client{}).answerError(tc.status, []byte(tc.body))
		if err == nil || err.Error() != tc.want || exitCode(err) != tc.code {
			t.Errorf("%d: %v, exit code %d, want %q, %d", tc.status, err, exitCode(err), tc.want, tc.code)
		}
	}
}
