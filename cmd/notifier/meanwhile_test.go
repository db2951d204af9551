package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
)

// between lets commands ask the office, and does something once the first POST is
// answered: while a question is open, or while the command is at work.
func (o *office) between(do func()) (ask func(line string) (code int, stdout, stderr string)) {
	o.t.Helper()
	handler := admin.New(o.cfg.Admin, o.daemon, o.metrics.Handler(), o.log).Handler()
	posts := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if r.Method == http.MethodPost {
			if posts++; posts == 1 {
				do()
			}
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	o.t.Cleanup(server.Close)
	file := writeOfficeConfig(o.t, "unused.db", dearWorks, server.Listener.Addr().String())
	return func(line string) (code int, stdout, stderr string) {
		return run(o.t, append(strings.Fields(line), "-c", file)...)
	}
}

// accepted says that the destination took a delivery just now.
func (o *office) accepted(id string) {
	o.t.Helper()
	d, found, err := o.store.Delivery(o.t.Context(), id)
	if err != nil || !found {
		o.t.Fatal(found, err)
	}
	if _, err := o.store.Take(o.t.Context(), event.Step{Resolved: []event.Verdict{{Delivery: d, Accepted: true, At: time.Now().UTC()}}}); err != nil {
		o.t.Fatal(err)
	}
}

// What dies while the question is open was not asked about.
func TestWhatDiesMeanwhileIsLeftAlone(t *testing.T) {
	for command, want := range map[string]string{"purge": "2 dead letters purged", "redrive": "2 of 2 deliveries made due"} {
		t.Run(command, func(t *testing.T) {
			o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
			defer o.stop()
			o.happen(3)
			var late []event.Event
			ask := o.between(func() { late = o.happenAt(time.Now().UTC().Add(-time.Minute), "cs_late", 1) })
			code, stdout, stderr := ask("deadletters " + command + " --destination shop --yes")
			if code != exitOK || !strings.Contains(stdout+stderr, want) {
				t.Errorf("exit code %d, want %q:\n%s%s", code, want, stdout, stderr)
			}
			d, _, err := o.store.Delivery(t.Context(), event.DeliveryID(late[0].ID, "shop", ""))
			if err != nil || d.Status != event.StatusDead {
				t.Errorf("what died while the question was open is %s, %v", d.Status, err)
			}
		})
	}
}

// What happens, or is accepted, while the question is open is sent no second time.
func TestWhatHappensMeanwhileIsNotReplayed(t *testing.T) {
	for _, flags := range []string{"--new-ids", "--until 2999-01-01 --new-ids", ""} {
		t.Run(flags, func(t *testing.T) {
			o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
			defer o.stop()
			events := o.happen(3)
			waiting := event.DeliveryID(events[0].ID, "shop", "")
			if _, err := o.RetryDelivery(t.Context(), waiting, "", "ann"); err != nil {
				t.Fatal(err)
			}
			ask := o.between(func() {
				o.happenAt(time.Now().UTC(), "cs_late", 2)
				o.accepted(waiting)
			})
			code, stdout, stderr := ask("replay --since 2h --to shop --yes " + flags)
			want := 2 // the first one is pending anyway
			if flags != "" {
				want = 3
			}
			if code != exitOK || o.pending()["shop"] != want {
				t.Errorf("exit code %d, %d are pending, want %d:\n%s%s", code, o.pending()["shop"], want, stdout, stderr)
			}
		})
	}
}

// The first retry may close the breaker, and the rest goes out by itself.
func TestWhatIsAcceptedMeanwhileIsNotRetried(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	var ids []string
	for _, e := range o.happen(5) {
		id := event.DeliveryID(e.ID, "shop", "")
		if _, err := o.RetryDelivery(t.Context(), id, "", "ann"); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	ask := o.between(func() {
		for _, id := range ids[1:4] {
			o.accepted(id)
		}
	})
	code, stdout, stderr := ask("deliveries retry " + strings.Join(ids, " "))
	want := ""
	for _, id := range ids[1:4] {
		want += id + " changed meanwhile: it is accepted; left alone\n"
	}
	if code != exitOK || stderr != want || strings.Count(stdout, "\n") != 2 || o.pending()["shop"] != 2 {
		t.Errorf("exit code %d, %d are pending, want 2:\n%s%s", code, o.pending()["shop"], stdout, stderr)
	}
}

// In a pipe nobody can be asked: what was accepted before is left alone, the rest is retried.
func TestAPipeRetriesWhatIsPending(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	var ids []string
	for _, e := range o.happen(3) {
		id := event.DeliveryID(e.ID, "shop", "")
		if _, err := o.RetryDelivery(t.Context(), id, "", "ann"); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	o.accepted(ids[1])
	ask := o.between(func() {})
	code, stdout, stderr := ask("deliveries retry " + strings.Join(ids, " "))
	if code != exitOK || !strings.Contains(stderr, ids[1]+" to shop is accepted\n1 finished delivery left alone") || strings.Contains(stdout, ids[1]) || strings.Count(stdout, "\n") != 2 || o.pending()["shop"] != 2 {
		t.Errorf("exit code %d, %d are pending, want 2:\n%s%s", code, o.pending()["shop"], stdout, stderr)
	}
	code, stdout, stderr = ask("deliveries retry " + ids[1])
	if code != exitUsage || stdout != "" || o.pending()["shop"] != 2 {
		t.Errorf("of accepted ones alone: exit code %d, %d are pending, want 2:\n%s%s", code, o.pending()["shop"], stdout, stderr)
	}
}
