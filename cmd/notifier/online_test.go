package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/simulator"
)

// The last sentence of an online check names what failed, and what to do.
func TestOnlineCheckNamesWhatFailed(t *testing.T) {
	const price = "polling stays complete, at a higher price"
	for _, test := range []struct {
		name, hook, want string
		faults           simulator.Faults
		code             int
	}{
		{name: "nothing", code: exitOK},
		{name: "the clock", faults: simulator.Faults{ClockSkewS: 900}, code: exitFailure,
			want: "account main: clock failed: compare this machine's clock with NTP: nothing is lost, but what depends on time may be late"},
		{name: "the limit", faults: simulator.Faults{IgnoreLimit: simulator.Always()}, code: exitFailure,
			want: "account main: limit in the body failed: try another list_params; " + price},
		{name: "the bounds", faults: simulator.Faults{FilterUnit: simulator.UnitMillis}, code: exitFailure,
			want: "account main: created[lte] in the body, created[gte] in the body failed: try another list_params; " + price},
		{name: "the order", faults: simulator.Faults{Ascending: simulator.Always()}, code: exitFailure, want: "account main: order failed: " + price},
		{name: "both", faults: simulator.Faults{ClockSkewS: -900, IgnoreLimit: simulator.Always()}, code: exitFailure,
			want: "may be late; account main: limit in the body failed: "},
		{name: "a destination", hook: "http://127.0.0.1:1/hook", code: exitUnreachable, want: "not reached: destination hook"},
		{name: "a destination and the clock", hook: "http://127.0.0.1:1/hook", faults: simulator.Faults{ClockSkewS: 900}, code: exitUnreachable,
			want: "not reached: destination hook; account main: clock failed: "},
		{name: "the account", faults: simulator.Faults{Unauthorized: simulator.Always()}, code: exitUnreachable, want: "not reached: account main"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_simulated"})
			for i := range 5 { // so many tell their order
				if _, err := api.Create(simulator.Fields{"created": time.Now().Add(time.Duration(i-10) * time.Minute).UnixMilli()}); err != nil {
					t.Fatal(err)
				}
			}
			if err := api.SetFaults(test.faults); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(api)
			t.Cleanup(server.Close)
			if test.hook == "" {
				test.hook = server.URL
			}
			file := filepath.Join(t.TempDir(), "c.yaml")
			text := "accounts: [{name: main, secret_key: sk_test_simulated, base_url: \"" + server.URL + "\", poll: {rate_limit: 0}}]\n" +
				"destinations: [{name: hook, type: http, url: \"" + test.hook + "\", format: slack}]\nrules: [{name: ship, events: [fulfillable], to: [hook]}]\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := run(t, "check", "--online", "-c", file)
			if code != test.code || !strings.Contains(stderr, test.want) || (test.want == "") != (stderr == "") {
				t.Errorf("exit code %d\n%s%swant %s", code, stdout, stderr, test.want)
			}
			if !strings.Contains(test.want, "list_params") && strings.Contains(stderr, "list_params") && test.name != "both" {
				t.Errorf("it blames list_params: %s", stderr)
			}
		})
	}
}

// An API before which a proxy refuses every body is told from one that refuses the key, also
// where both answer 403; where list_params is what the check says, nothing is wrong.
func TestOnlineCheckOfARefusedBody(t *testing.T) {
	api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_simulated"})
	for range 5 { // so many tell what is honoured
		if _, err := api.Create(nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden} {
		for account, want := range map[string]string{
			"sk_test_simulated":                     "account main: list parameters in the body failed: set list_params: query",
			"sk_test_simulated, list_params: query": "",
			"sk_test_other":                         "not reached: account main",
			"sk_test_other, list_params: query":     "not reached: account main",
		} {
			t.Run(fmt.Sprint(status, " ", account), func(t *testing.T) {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if known, _, _ := req.BasicAuth(); known != "sk_test_simulated" || req.ContentLength > 0 {
						http.Error(w, "<html>Request blocked.</html>", status)
						return
					}
					api.ServeHTTP(w, req)
				}))
				defer server.Close()
				file := filepath.Join(t.TempDir(), "c.yaml")
				text := "accounts: [{name: main, secret_key: " + account + ", base_url: \"" + server.URL + "\", poll: {rate_limit: 0}}]\n" +
					"destinations: [{name: hook, type: http, url: \"" + server.URL + "\", format: slack}]\nrules: [{name: ship, events: [fulfillable], to: [hook]}]\n"
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if code, stdout, stderr := run(t, "check", "--online", "-c", file); !strings.Contains(stderr, want) || (want == "") != (code == exitOK) {
					t.Errorf("exit code %d\n%s%swant %s", code, stdout, stderr, want)
				}
			})
		}
	}
}

// An account whose API fails over one session is polled, and reached: it is a warning.
func TestOnlineCheckOfASessionThatIsNotShown(t *testing.T) {
	api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_simulated"})
	broken := ""
	for i := range 5 {
		s, err := api.Create(simulator.Fields{"created": time.Now().Add(time.Duration(-i) * time.Minute).UnixMilli()})
		if err != nil {
			t.Fatal(err)
		}
		broken = s.ID // the oldest
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		rec := httptest.NewRecorder()
		if api.ServeHTTP(rec, req); strings.Contains(rec.Body.String(), broken) {
			http.Error(w, "a temporary problem", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := "accounts: [{name: main, secret_key: sk_test_simulated, base_url: \"" + server.URL + "\", poll: {rate_limit: 0}}]\n" +
		"destinations: [{name: hook, type: http, url: \"" + server.URL + "\", format: slack}]\nrules: [{name: ship, events: [fulfillable], to: [hook]}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]int{"--online": exitOK, "--strict": exitFailure} {
		code, stdout, stderr := run(t, "check", "--online", flag, "-c", file)
		if code != want || !strings.Contains(stdout, "warn account main: page of 100: not answered, and one of 3 is. ") || strings.Contains(stderr, "page of 100 failed: ask the API's operator") != (want != exitOK) {
			t.Errorf("%s: exit code %d\n%s%s", flag, code, stdout, stderr)
		}
	}
}

// Keys that differ and belong to one account of the API are found out by what they show.
func TestOnlineCheckOfTwoKeysOfOneAccount(t *testing.T) {
	newAPI := func(seed int64) *simulator.API {
		api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_simulated", Seed: uint64(seed)})
		for range 5 {
			if _, err := api.Create(simulator.Fields{"customer": "cus_1"}); err != nil {
				t.Fatal(err)
			}
		}
		return api
	}
	apis := map[string]http.Handler{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		key, _, _ := req.BasicAuth()
		req.SetBasicAuth("sk_test_simulated", "")
		apis[key].ServeHTTP(w, req)
	}))
	defer server.Close()
	apis["sk_test_1"] = newAPI(1)
	for _, test := range []struct {
		name, filters string
		second        http.Handler
		want          int
	}{
		{"two accounts", "", newAPI(2), exitOK},
		{"one account", "", apis["sk_test_1"], exitFailure},
		{"one account, a filter", ", filter: {customer: cus_1}", apis["sk_test_1"], exitFailure},
	} {
		t.Run(test.name, func(t *testing.T) {
			apis["sk_test_2"] = test.second
			file := filepath.Join(t.TempDir(), "c.yaml")
			account := "{name: %s, secret_key: %s, base_url: \"" + server.URL + "\", poll: {rate_limit: 0}%s}"
			text := "accounts: [" + fmt.Sprintf(account, "main", "sk_test_1", "") + ", " + fmt.Sprintf(account, "next", "sk_test_2", test.filters) + "]\n" +
				"destinations: [{name: hook, type: http, url: \"" + server.URL + "\", format: slack}]\nrules: [{name: ship, events: [fulfillable], to: [hook]}]\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			const found = "account next: sessions of its own failed: keep one of "
			code, stdout, stderr := run(t, "check", "--online", "-c", file)
			if code != test.want || strings.Contains(stderr, found) != (test.want != exitOK) {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

func TestOnlineCheckOfTheBackups(t *testing.T) {
	api := httptest.NewServer(simulator.NewAPI(simulator.Config{SecretKey: "sk_test_simulated"}))
	defer api.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	for backups, want := range map[string]int{filepath.Join(dir, "backups"): exitOK, file: exitFailure} {
		text := "accounts: [{name: main, secret_key: sk_test_simulated, base_url: \"" + api.URL + "\", poll: {rate_limit: 0}}]\n" +
			"state: {backup: {dir: \"" + backups + "\"}}\n" +
			"destinations: [{name: hook, type: http, url: \"" + api.URL + "\", format: slack}]\nrules: [{name: ship, events: [fulfillable], to: [hook]}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := run(t, "check", "--online", "-c", file)
		if code != want || !strings.Contains(stdout, "state.backup.dir: ") || strings.Contains(stderr, "state.backup.dir cannot be written to") != (want != exitOK) {
			t.Errorf("%s: exit code %d\n%s%s", backups, code, stdout, stderr)
		}
	}
}
