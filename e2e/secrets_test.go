package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"checkout-notifier/simulator"
)

// canaries are the secrets of the world, which nothing that the binary says may hold.
func canaries() map[string]string {
	return map[string]string{
		"API key": "CanaryKey7Qx", "wrong API key": "CanaryWrong2Lp", "signing secret": "Q2FuYXJ5U2lnbmluZ1NlY3JldD", "token in a URL": urlToken,
		"password in NATS URL": natsPassword, "header": "CanaryHeader6Tr", "bearer": "CanaryBearer1Hs", "password": "CanaryBasic5Nf",
		"e-mail address": "canary.buyer@example.com", "pay link": "checkouttest.example/pay", "admin token": "CanaryAdmin4GbLong",
		"token in a dead URL": "CanaryDeadUrl8Kw", "token in a heartbeat": "CanaryHeartbeat3Vd",
	}
}

// clean fails if a text holds a secret.
func clean(t *testing.T, where, text string) {
	t.Helper()
	for what, canary := range canaries() {
		if at := strings.Index(text, canary); at >= 0 {
			t.Errorf("%s holds the %s: …%s…", where, what, text[max(0, at-120):min(len(text), at+40)])
		}
	}
}

// secretWorld has a secret in every place that takes one, and failures of every
// kind, whose messages could quote them.
func secretWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, nil)
	b := newBus(t)
	w.rest["nats"] = object{"url": b.url}
	echo := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/moved") {
			http.Redirect(rw, r, "/elsewhere?token=CanaryDeadUrl8Kw", http.StatusFound)
			return
		}
		http.Error(rw, "you said "+r.Header.Get("Authorization")+" "+r.URL.String(), http.StatusTeapot)
	}))
	t.Cleanup(echo.Close)
	gone := w.hook("gone", "")
	gone["url"], gone["headers"] = "http://127.0.0.1:1/CanaryDeadUrl8Kw?token=CanaryDeadUrl8Kw", object{"X-Secret": "CanaryHeader6Tr"}
	moved := w.hook("moved", "")
	moved["url"], moved["auth"] = echo.URL+"/moved/CanaryDeadUrl8Kw", object{"bearer": "CanaryBearer1Hs"}
	refusing := w.hook("refusing", "")
	refusing["url"], refusing["auth"] = echo.URL+"/CanaryDeadUrl8Kw", object{"basic": object{"username": "shop", "password": "CanaryBasic5Nf"}}
	proxied := w.hook("proxied", "")
	proxied["proxy"] = "http://user:CanaryBasic5Nf@127.0.0.1:1"
	lost := object{"name": "lost", "type": "nats", "subject": "x.{{ .Change }}", "url": "nats://notifier:" + natsPassword + "@127.0.0.1:1"}
	denied := object{"name": "denied", "type": "nats", "subject": "y.{{ .Change }}", "jetstream": false,
		"url": strings.Replace(b.url, "notifier:", "stranger:", 1)}
	broken := w.hook("broken", "")
	broken["format"], broken["template"] = "template", `{{ index .Session "customer_email" | json }}{{ .Session.metadata.nothing }}`
	var names []string
	w.destinations = append(w.destinations, gone, moved, refusing, proxied, lost, denied, broken)
	for _, d := range w.destinations {
		names = append(names, d["name"].(string))
	}
	w.rules = []object{
		{"name": "all", "events": []string{"*"}, "to": names},
		{"name": "failing", "when": `int(session.metadata["email"]) > 1`, "to": []string{"hook"}},
	}
	w.accounts = append(w.accounts, object{"name": "wrong", "secret_key": "sk_test_CanaryWrong2Lp", "base_url": w.apiURL})
	w.rest["heartbeat"] = object{"url": "http://127.0.0.1:1/CanaryHeartbeat3Vd", "every": "1s"}
	w.rules = append(w.rules, object{"name": "owner", "on": "system", "to": names[1 : len(names)-1]})
	w.rest["admin"] = object{"listen": "127.0.0.1:0", "tokens": []object{{"name": "ci", "token": "CanaryAdmin4GbLong", "role": "operator"}}}
	return w
}

func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	w := secretWorld(t)
	d := w.daemon()
	order := paid()
	order["customer_email"] = "canary.buyer@example.com"
	order["metadata"] = object{"email": "canary.buyer@example.com"}
	id := w.create(order)
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	w.faults(simulator.Faults{ServerError: simulator.Share(0.3), TruncatedJSON: simulator.Share(0.3), InvalidJSON: simulator.Share(0.3)})
	eventually(t, patience, func() error {
		for _, destination := range []string{"gone", "moved", "refusing", "proxied", "broken"} {
			if !strings.Contains(d.stderr.String(), fmt.Sprintf(`"destination":%q`, destination)) {
				return fmt.Errorf("nothing was tried at %s", destination)
			}
		}
		return nil
	})
	clean(t, "the metrics", w.ask(d, "/metrics"))
	clean(t, "the status", w.ask(d, "/api/v1/status"))
	w.rest["admin"].(object)["listen"] = strings.TrimPrefix(d.admin, "http://") // where the commands find the daemon
	w.configure()
	for _, args := range [][]string{
		{"status"}, {"status", "-o", "json"}, {"accounts", "list"}, {"check"}, {"check", "--online"}, {"config", "show"}, {"config", "show", "-o", "json"}, {"config", "show", "-o", "yaml"},
	} {

		_, p := run(t, w.dir, nil, append(args, "-c", w.configPath())...)
		if p.stdout.String() == "" {
			t.Errorf("%v printed nothing: %s", args, p.stderr)
		}
		clean(t, fmt.Sprintf("%v", args), p.stdout.String()+p.stderr.String())
	}
	d.stop()
	clean(t, "the log", d.stderr.String())
	clean(t, "the output", d.stdout.String())
	p := start(t, w.dir, nil, "run", "--once", "-c", w.configPath())
	if _, err := p.awaitLine("the destination takes nothing at present: what is for it waits, nothing is lost, and it is tried again and again"); err != nil {
		t.Error(err)
	}
	p.signal(syscall.SIGTERM) // it would wait a minute for what is lost
	wantExit(t, p, p.wait(), 1)
	clean(t, "the log of run --once", p.stderr.String())
}

// ask reads a page with the operator's token.
func (w *world) ask(d *daemon, path string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, d.admin+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer CanaryAdmin4GbLong")
	status, body, err := d.do(req)
	if err != nil || status != http.StatusOK {
		w.t.Fatalf("%s answers %d, %v", path, status, err)
	}
	return body
}

// TestSecretsInMistakes writes every secret into a configuration with mistakes
// at the same places.
func TestSecretsInMistakes(t *testing.T) {
	t.Parallel()
	w := secretWorld(t)
	for _, d := range w.destinations {
		if d["type"] == "http" {
			d["url"] = "ftp://shop:CanaryBasic5Nf@host/" + urlToken + "?%zz"
			d["secrets"] = []string{"Q2FuYXJ5U2lnbmluZ1NlY3JldD"}
			d["headers"] = object{"Bad Name": "CanaryHeader6Tr", "X-Break": "CanaryHeader6Tr\nX: y"}
		} else {
			d["url"] = "nats://notifier:" + natsPassword + "@%%%"
		}
	}
	w.accounts[0]["secret_key"], w.accounts[1]["secret_key"] = "pk_test_CanaryKey7Qx", "CanaryWrong2Lp sk_live_"
	w.configure()
	for _, command := range []string{"run", "check"} {
		code, p := run(t, w.dir, nil, command, "-c", w.configPath())
		wantExit(t, p, code, 3)
		text := p.stdout.String() + p.stderr.String()
		if !strings.Contains(text, "destinations[7].url") {
			t.Errorf("%s does not reach the last mistake: %s", command, text)
		}
		clean(t, command, text)
	}
}
