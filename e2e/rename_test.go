package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"checkout-notifier/simulator"
)

var bought4 = []string{"created", "completed", "paid", "fulfillable"}

// onceAs makes one complete pass with the account under a name.
func (w *world) onceAs(name string) {
	w.t.Helper()
	w.accounts[0]["name"] = name
	if code, p := w.once(); code != 0 {
		w.t.Fatalf("as %s: exit code %d: %s", name, code, p.stderr)
	}
}

// A renamed account goes on where it stopped: what was announced is not announced again,
// and what happened between the last pass under one name and the first under the other
// is. Nothing that fails meanwhile changes that.
func TestRenamedAccount(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(w *world){
		"plain": func(*world) {},
		"no answer to one pass": func(w *world) {
			if code, p := w.once(); code != 4 {
				w.t.Errorf("exit code %d, want 4: %s", code, p.stderr)
			}
		},
		"killed before the first answer": func(w *world) {
			w.configure()
			d := w.launch()
			if err := d.listening(); err != nil {
				w.t.Fatal(err)
			}
			d.ready()
			d.kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.accounts[0]["start"] = ago(24 * time.Hour)
			before := w.create(simulator.Fields{"created": ago(time.Hour), "status": "complete", "payment_status": "paid"})
			open := w.create(nil)
			w.onceAs("main")
			w.update(open, paid())
			gap := w.create(paid())

			w.accounts[0]["name"] = "renamed"
			w.faults(simulator.Faults{ServerError: simulator.Share(1)})
			disturb(w)
			w.faults(simulator.Faults{})
			w.onceAs("renamed")
			after := w.create(paid())
			w.onceAs("renamed")
			for _, id := range []string{before, open, gap, after} {
				w.awaitTold(hookPath, id, bought4...)
			}
			for kind, account := range map[string]string{"created": "main", "paid": "renamed"} {
				if e := w.event(hookPath, open, kind); e.Account != account {
					t.Errorf("%s was announced by %s, want %s", kind, e.Account, account)
				}
			}
		})
	}
}

// A rename that is undone, again and again, announces everything once.
func TestRenameIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.onceAs("main")
	var ids []string
	open := w.create(nil)
	for _, name := range []string{"main", "eu", "main", "asia", "eu", "main"} {
		ids = append(ids, w.create(paid()))
		w.onceAs(name)
		ids = append(ids, w.create(paid()))
		w.onceAs(name)
	}
	w.update(open, paid())
	w.onceAs("eu")
	w.onceAs("main")
	for _, id := range append(ids, open) {
		w.awaitTold(hookPath, id, bought4...)
	}
}

const otherKey = "sk_test_CanaryOther3Zw"

// serveBoth serves w.api and, at the same address for another key, another shop.
func (w *world) serveBoth() (other *simulator.API, url string) {
	w.t.Helper()
	other = simulator.NewAPI(simulator.Config{SecretKey: otherKey, Seed: w.seed + 1})
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if key, _, _ := r.BasicAuth(); key == otherKey {
			other.ServeHTTP(rw, r)
			return
		}
		w.api.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(front.Close)
	return other, front.URL
}

// The former name of a key may be that of another key at once.
func TestNamesShift(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	other, url := w.serveBoth()
	w.accounts[0]["base_url"], w.accounts[0]["start"] = url, ago(24*time.Hour)
	var ids, foreign []string
	for range 5 {
		fields := func() simulator.Fields {
			return simulator.Fields{"created": ago(time.Hour), "status": "complete", "payment_status": "paid"}
		}
		ids, foreign = append(ids, w.create(fields())), append(foreign, create(t, other, fields()))
	}
	w.onceAs("main")
	first := w.accounts[0]
	first["name"] = "eu"
	w.accounts = append(w.accounts, object{"name": "main", "secret_key": otherKey, "base_url": url, "start": first["start"]})
	for range 2 {
		code, p := w.once()
		wantExit(t, p, code, 4, "accounts accept main")
	}
	ids = append(ids, w.create(paid()))
	w.once()
	for _, id := range ids {
		w.awaitTold(hookPath, id, bought4...)
	}
	for _, id := range foreign {
		if got := w.told(hookPath)[id]; got != nil {
			t.Errorf("an order of the other shop was announced before anybody accepted it: %v", got)
		}
	}
	w.accounts = w.accounts[:1] // undone
	w.onceAs("main")
	for _, id := range ids {
		w.awaitTold(hookPath, id, bought4...)
	}
}

// Two names that change places stop and ask. Once they are accepted each goes on where
// the other one stopped, and so they do when that is undone.
func TestNamesChangePlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	other, url := w.serveBoth()
	w.accounts[0]["base_url"] = url
	w.accounts = append(w.accounts, object{"name": "eu", "secret_key": otherKey, "base_url": url})
	if code, p := w.once(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
	var ids []string
	sell := func() {
		for range 4 {
			ids = append(ids, w.create(paid()), create(t, other, paid()))
		}
	}
	sell()
	if code, p := w.once(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
	for range 2 {
		sell()
		w.accounts[0]["name"], w.accounts[1]["name"] = w.accounts[1]["name"], w.accounts[0]["name"]
		d := w.daemon()
		for _, name := range []string{"main", "eu"} {
			eventually(t, patience, func() error {
				if code, p := run(t, w.dir, nil, "accounts", "accept", name, "--yes", "-c", w.configPath(), "--url", d.admin); code != 0 {
					return fmt.Errorf("accepting %s: exit code %d: %s", name, code, p.stderr)
				}
				return nil
			})
		}
		sell()
		for _, id := range ids {
			w.awaitTold(hookPath, id, bought4...)
		}
		s, err := d.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Accounts {
			for _, o := range a.Oddities {
				if o.Code == "shared_sessions" {
					t.Errorf("an account is said to show what another one shows: %+v", o)
				}
			}
		}
		d.stop()
	}
}
