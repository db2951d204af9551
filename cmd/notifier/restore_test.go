package main

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/admin"
	"checkout-notifier/backup"
	"checkout-notifier/event"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/state"
)

// stored is a closed state file with some accounts, and a copy of it.
func stored(t *testing.T, accounts ...event.Account) (path, backup string) {
	t.Helper()
	path, backup = filepath.Join(t.TempDir(), "n.db"), filepath.Join(t.TempDir(), "copy.db")
	store, err := state.Open(t.Context(), state.Config{Path: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if err := store.SaveAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	_, failed := store.ID(t.Context()) // a daemon names it
	_, err = store.Backup(t.Context(), backup)
	if err := errors.Join(failed, err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return path, backup
}

// Whoever restores the copy of another notifier is warned.
func TestRestoreWarnsOfAnotherNotifiersCopy(t *testing.T) {
	ours := event.Account{Name: "main", Host: "127.0.0.1:1", Mode: wooshpay.ModeTest}
	for name, tc := range map[string]struct {
		accounts []event.Account // of the other copy; nil: it is our own
		fresh    bool            // there is no state file
		want     []string
	}{
		"our own":                   {},
		"ours, on a new machine":    {accounts: []event.Account{ours}, fresh: true},
		"ours, after it was lost":   {accounts: []event.Account{ours}, want: []string{"was begun anew since"}},
		"of another API":            {accounts: []event.Account{{Name: "main", Host: "api.wooshpay.com", Mode: wooshpay.ModeLive}}, fresh: true, want: []string{"belongs to api.wooshpay.com (live), that of the configuration to 127.0.0.1:1 (test)"}},
		"of other accounts":         {accounts: []event.Account{{Name: "other", Host: "api", Mode: wooshpay.ModeTest}}, fresh: true, want: []string{"does not name account other (api, test)"}},
		"without an account of now": {accounts: []event.Account{}, want: []string{"account main (127.0.0.1:1, test) of the state file", "was begun anew since"}},
	} {
		t.Run(name, func(t *testing.T) {
			path, from := stored(t, ours)
			if tc.accounts != nil {
				_, from = stored(t, tc.accounts...)
			}
			if tc.fresh {
				path = filepath.Join(t.TempDir(), "new.db")
			}
			file := writeOfficeConfig(t, path, dearWorks, "127.0.0.1:1")
			code, _, stderr := run(t, "state", "restore", from, "-c", file)
			warned := strings.Contains(stderr, "WARNING: this may be the copy of another notifier")
			missing := slices.ContainsFunc(tc.want, func(text string) bool { return !strings.Contains(stderr, text) })
			if code != exitUsage || warned != (len(tc.want) > 0) || missing {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			if code, _, stderr := run(t, "state", "restore", from, "--yes", "-c", file); code != exitOK {
				t.Errorf("with --yes: exit code %d: %s", code, stderr)
			}
		})
	}
}

// A file that a daemon has and that cannot be copied for lack of room is not held by a
// stranger who is to be stopped.
func TestVerifyAndBackupSayWhatKeepsTheDaemonFromACopy(t *testing.T) {
	path, _ := stored(t)
	store, err := state.Open(t.Context(), state.Config{Path: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"detail":"it could not be done: too little space for a copy"}`))
	}))
	defer server.Close()
	file := writeOfficeConfig(t, path, dearWorks, server.Listener.Addr().String())
	for line, want := range map[string]string{
		"state verify": "a daemon has the file open, and no copy of it can be made to check: the daemon answered 500: it could not be done: too little space",
		"state backup": "the daemon answered 500: it could not be done: too little space",
	} {
		code, _, stderr := run(t, append(strings.Fields(line), "-c", file)...)
		if code != exitFailure || !strings.Contains(stderr, want) || strings.Contains(stderr, "another notifier") {
			t.Errorf("%s: exit code %d: %s", line, code, stderr)
		}
	}
	file = writeOfficeConfig(t, path, dearWorks, "127.0.0.1:1")
	if code, _, stderr := run(t, "state", "verify", "-c", file); code != exitFailure || !strings.Contains(stderr, "holds") || !strings.Contains(stderr, "no daemon answers") {
		t.Errorf("without a daemon: exit code %d: %s", code, stderr)
	}
}

// A service has its state file where a shell does not look for it: a copy must not go
// beside it unnoticed.
func TestRestoreAndVerifyFindTheFileOfTheDaemon(t *testing.T) {
	_, from := stored(t)
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	if _, err := o.store.ID(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := o.open() // with another state.path
	code, stdout, stderr := ask("state restore " + from + " --yes")
	if code != exitInvalid || stdout != "" || !strings.Contains(stderr, "has its state file at "+o.store.Path()) || !strings.Contains(stderr, "STATE_DIRECTORY") {
		t.Errorf("restore: exit code %d: %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = ask("state verify")
	if code != exitOK || !strings.Contains(stdout, o.store.Path()+" is sound") {
		t.Errorf("verify: exit code %d: %s%s", code, stdout, stderr)
	}
}

// A service has its copies where a shell does not look for them: a copy that is to count
// goes there, and customers' data nowhere else.
func TestBackupGoesToTheDirectoryOfTheDaemon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copies")
	withCopies := func(file, dir string) {
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, regexp.MustCompile(`(?m)^state: \{`).ReplaceAll(text, []byte("state: {backup: {dir: "+dir+"}, ")), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	file := writeOfficeConfig(t, filepath.Join(t.TempDir(), "n.db"), dearWorks, "127.0.0.1:1")
	withCopies(file, dir)
	o := openOffice(t, file)
	defer o.stop()
	file = o.serve()
	elsewhere := filepath.Join(filepath.Dir(file), "bk")
	for _, own := range []string{"", "bk"} {
		if own != "" {
			withCopies(file, own)
		}
		if code, stdout, stderr := run(t, "state", "backup", "-c", file); code != exitFailure || !strings.Contains(stderr, dir) || !strings.Contains(stderr, "name a FILE") {
			t.Errorf("with no such directory here: exit code %d: %s%s", code, stdout, stderr)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := run(t, "state", "backup", "-c", file); code != exitOK || !strings.HasPrefix(stdout, dir) {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	if copies, err := backup.List(dir, o.id); err != nil || len(copies) != 1 {
		t.Errorf("copies %v, %v", copies, err)
	}
	if _, err := os.Stat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", elsewhere, err)
	}
}

// Who upgraded goes back with the older binary and the file that the newer one kept: here
// the file in place is of a notifier to come.
func TestGoingBackAfterAnUpgrade(t *testing.T) {
	path, kept := stored(t)
	db, err := bolt.Open(path, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 99))
		}), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	file := writeOfficeConfig(t, path, dearWorks, "127.0.0.1:1")
	if code, _, stderr := run(t, "state", "verify", "-c", file); code != exitInvalid || !strings.Contains(stderr, "a newer notifier (schema 99") {
		t.Errorf("before: exit code %d: %s", code, stderr)
	}
	if code, stdout, stderr := run(t, "state", "restore", kept, "--yes", "-c", file); code != exitOK || strings.Contains(stderr, "WARNING") {
		t.Errorf("restore: exit code %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := run(t, "state", "verify", "-c", file); code != exitOK {
		t.Errorf("after: exit code %d: %s", code, stderr)
	}
}

func TestAFileOfAnotherKindIsNamedInPlainWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("notes of mine\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := run(t, "state", "verify", path); code != exitInvalid || !strings.Contains(stderr, "it is no state file of notifier, or its beginning is spoiled") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// A container may have no directory for temporary files, and a root that is read-only:
// a copy that is made meanwhile has its place beside the state file then.
func TestVerifyAndBackupWithoutTemporaryFiles(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	path, _ := stored(t)
	file := writeOfficeConfig(t, path, dearWorks, "127.0.0.1:1")
	if code, stdout, stderr := run(t, "state", "backup", "-", "-c", file); code != exitOK || len(stdout) == 0 {
		t.Errorf("backup: exit code %d: %s", code, stderr)
	}
	o := newOffice(t, path, dearWorks)
	defer o.stop()
	if _, err := o.store.ID(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := o.serve()
	if code, stdout, stderr := run(t, "state", "verify", "-c", asked); code != exitOK || !strings.Contains(stdout, path+" is sound") {
		t.Errorf("verify: exit code %d: %s%s", code, stdout, stderr)
	}
	for _, beside := range []string{path, asked} {
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(beside), "notifier-*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// Where no daemon tells, a path without a file is doubted.
func TestRestoreWarnsWhereNoFileIs(t *testing.T) {
	path, from := stored(t)
	for name, there := range map[string]bool{path: true, filepath.Join(t.TempDir(), "data", "n.db"): false} {
		file := writeOfficeConfig(t, name, dearWorks, "127.0.0.1:1")
		warning := "there is no state file at " + name + ": is this the path that the daemon uses?"
		for _, yes := range []string{"--yes=false", "--yes"} {
			_, stdout, stderr := run(t, "state", "restore", from, yes, "-c", file)
			if strings.Contains(stderr, warning) == there || yes == "--yes" && strings.Contains(stdout, "no file was there before") == there {
				t.Errorf("%s, with a file: %t: %s%s", yes, there, stdout, stderr)
			}
		}
	}
}

// What is wrong with the disk is told to whoever asked, and nothing else is.
func TestTheCauseOfAFailureIsToldIfItIsNoSecret(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	_, err := o.store.Backup(t.Context(), filepath.Join(o.store.Path(), "no", "copy.db"))
	if got := o.Cause(err); !strings.Contains(got, "copy.db cannot be written") {
		t.Errorf("of %v it says %q", err, got)
	}
	for _, err := range []error{errors.New("a secret"), admin.ErrUpstream} {
		if got := o.Cause(err); got != "" {
			t.Errorf("of %v it says %q", err, got)
		}
	}
}

// A file that lost its content is told of, for nothing of it is kept.
func TestRestoreOverAnEmptyFile(t *testing.T) {
	_, from := stored(t)
	path := filepath.Join(t.TempDir(), "n.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, "state", "restore", from, "--yes", "-c", writeOfficeConfig(t, path, dearWorks, "127.0.0.1:1"))
	if code != exitOK || !strings.Contains(stdout, "the file that was there was empty, and is not kept") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}
