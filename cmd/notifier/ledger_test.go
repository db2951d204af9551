package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
)

// A session that there is not is told as such, however many events are stored; one
// that only the oldest of them is about is known.
func TestUnknownSessionBehindManyEvents(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), "false")
	defer o.stop()
	const events = 5000
	for from := 0; from < events; from += 1000 {
		tx := &event.Tx{Account: "main"}
		for i := from; i < from+1000; i++ {
			e := event.SampleEvent(event.Paid)
			e.Session, e.Time = fmt.Sprintf("cs_%d", i), time.Now().UTC()
			e.ID = event.ID(e.Account, e.Session, e.Type, 1)
			tx.Events = append(tx.Events, e)
		}
		if err := o.store.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	l := storedLedger(o.store.Store, &o.cfg)
	if err := l.checkSession(t.Context(), "cs_0"); err != nil {
		t.Errorf("the session of the oldest event: %v", err)
	}
	var unknown *admin.UnknownError
	if err := l.checkSession(t.Context(), "cs_none"); !errors.As(err, &unknown) || unknown.Kind != "session" {
		t.Errorf("got %v, want that there is no such session", err)
	}
}
