package main

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// Whoever names an account no more should know that nobody polls it.
func TestRenamedAccountIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	o := newOffice(t, path, "true")
	if err := o.store.SaveAccount(t.Context(), event.Account{Name: "before", Host: "api.wooshpay.com", Mode: "live"}); err != nil {
		t.Fatal(err)
	}
	o.stop()
	file := writeOfficeConfig(t, path, "true", "127.0.0.1:1")
	const says = "account before is stored, and the configuration does not name it"
	if _, stdout, stderr := run(t, "status", "-c", file); !strings.Contains(stdout, says) {
		t.Errorf("without a daemon the status says:\n%s%s", stdout, stderr)
	}
	loaded, err := config.Load(config.Options{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	again, err := newDaemon(t.Context(), loaded, daemonOptions{}, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if n := strings.Count(said.String(), "account=before"); n != 1 || !strings.Contains(said.String(), "one that was renamed goes on under its new name") {
		t.Errorf("it is said %d times:\n%s", n, said.String())
	}
	r, err := again.report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	(&app{streams: streams{out: &out}}).printReport(r)
	if !strings.Contains(out.String(), says) || len(r.Accounts) != 1 {
		t.Errorf("the status of %d accounts says:\n%s", len(r.Accounts), out.String())
	}
}

// With its configured start a renamed account would announce each order again, under
// other ids. It goes on where it stopped, before its first answer. One with another key is
// another account.
func TestRenamedAccountGoesOn(t *testing.T) {
	for key, want := range map[string]bool{"sk_test_1": true, "sk_test_2": false} {
		path := filepath.Join(t.TempDir(), "n.db")
		o := newOffice(t, path, "true")
		before := event.Account{Name: "before", Host: "127.0.0.1:1", Mode: "test", KeyHash: event.KeyHash("127.0.0.1:1", "sk_test_1"), StartFixed: true, Low: time.Now().UTC()}
		if err := o.store.SaveAccount(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		o.stop()
		loaded, err := config.Load(config.Options{Path: writeOfficeConfig(t, path, "true", "127.0.0.1:1")})
		if err != nil {
			t.Fatal(err)
		}
		loaded.Config.Accounts[0].SecretKey = secret.String(key)
		again, err := newDaemon(t.Context(), loaded, daemonOptions{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got, known, err := again.store.Account(t.Context(), "main"); err != nil || known != want || known && !got.Low.Equal(before.Low) {
			t.Errorf("with the key %s it is known %t, read until %s, %v", key, known, got.Low, err)
		}
		again.close()
	}
}

// A destination that was renamed while deliveries waited for it is said once, at
// the start, and stands in the status.
func TestRenamedDestinationIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	o := newOffice(t, path, "true")
	e := event.SampleEvent(event.Paid)
	e.ID = event.ID(e.Account, e.Session, e.Type, 1)
	d := blank(&e, "shop-before", "", []string{"ship"}, nil)
	d.Created, d.Due, d.Status = time.Now(), time.Now(), event.StatusPending
	if err := o.store.Commit(t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
		t.Fatal(err)
	}
	o.stop()

	loaded, err := config.Load(config.Options{Path: writeOfficeConfig(t, path, "true", "127.0.0.1:1")})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	again, err := newDaemon(t.Context(), loaded, daemonOptions{}, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if n := strings.Count(said.String(), "destination=shop-before pending=1 dead_letters=0"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, said.String())
	}
	r, err := again.report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	(&app{streams: streams{out: &out}}).printReport(r)
	const help = "; renamed or retired: docs/deadletters.md"
	if !strings.Contains(out.String(), "shop-before  orphaned") || !strings.Contains(out.String(), help) || !strings.Contains(said.String(), help) {
		t.Errorf("the status says:\n%s", out.String())
	}
	if _, err := again.RetryDelivery(t.Context(), d.ID, "", "ann"); !errors.Is(err, admin.ErrConflict) || !strings.Contains(err.Error(), `does not name the destination "shop-before"; name it again`) {
		t.Errorf("a retry says %v", err)
	}
}

func TestRetryUnderATroubleOfTheDestinationSaysWhatHappens(t *testing.T) {
	for state, want := range map[publish.State]string{
		publish.StatePaused:  "; resume it first (notifier destinations resume shop)",
		publish.StateFailing: "; this one is tried once at once (notifier deliveries get dlv_1 shows the answer)",
		publish.StateOK:      "",
	} {
		d := deliveryView{Delivery: event.Delivery{ID: "dlv_1", Destination: "shop", Status: event.StatusPending}, DestinationState: string(state)}
		if got := retryNote(&d); got != want {
			t.Errorf("%s: it says %q, want %q", state, got, want)
		}
	}
}
