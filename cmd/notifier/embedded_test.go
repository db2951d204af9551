package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/config"
)

// Nobody but the daemon knows that what it had acknowledged is gone.
func TestTheStatusTellsOfAStoreDirThatWasRemoved(t *testing.T) {
	dir := t.TempDir()
	store, file := filepath.Join(dir, "nats"), filepath.Join(dir, "c.yaml")
	text := fmt.Sprintf(officeConfig, filepath.Join(dir, "n.db"), "127.0.0.1:1", dearWorks) +
		fmt.Sprintf("nats: {embedded: {enabled: true, listen: \"127.0.0.1:0\", store_dir: %q}}\n", store)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(t.Context(), loaded, daemonOptions{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	if why, _ := d.ill(); why != "" {
		t.Fatalf("before: %s", why)
	}
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if s := d.broker.Status(); s.Why == "" && !s.Lost.IsZero() {
			break
		}
	}
	why, _ := d.ill()
	if !strings.Contains(why, "lost what its streams held") || !strings.Contains(why, "notifier replay --since") {
		t.Errorf("the heartbeat is sent: %q", why)
	}
	r, err := d.report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	(&app{streams: streams{out: &out}}).printReport(r)
	if !strings.Contains(out.String(), why) {
		t.Errorf("status says %s", out.String())
	}
}
