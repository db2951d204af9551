package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two notifiers that page into one PagerDuty service have accounts and destinations of
// the same names, as init writes them: the one must not close what the other opened.
func TestInstallationsHaveIncidentsOfTheirOwn(t *testing.T) {
	var keys []string
	pager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Key string `json:"dedup_key"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		keys = append(keys, body.Key)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer pager.Close()
	dir := t.TempDir()
	for _, file := range []string{"live.db", "staging.db", "live.db"} { // the last is the first one, started again
		config := writeOfficeConfig(t, filepath.Join(dir, file), dearWorks, "127.0.0.1:1")
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		two := "destinations:\n"
		for _, name := range []string{"pager", "boss"} {
			two += "  - {name: " + name + ", type: http, url: \"" + pager.URL + "\", format: pagerduty, routing_key: R0UT1NG}\n"
		}
		if err := os.WriteFile(config, []byte(strings.Replace(string(text), "destinations:\n", two, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		o := openOffice(t, config)
		for _, name := range []string{"pager", "boss"} {
			if _, err := o.TestDestination(t.Context(), name, "notifier.account.failing", "ann"); err != nil {
				t.Fatal(err)
			}
		}
		o.stop()
	}
	if len(keys) != 6 || keys[0] == keys[2] || keys[0] != keys[1] || keys[0] != keys[4] || !strings.HasSuffix(keys[0], "/account/test") {
		t.Errorf("incidents %q", keys)
	}
}
