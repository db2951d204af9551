package main

import (
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/backup"
)

// What is small is not shown as nothing.
func TestSizes(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0.0 kB", 65_536: "65.5 kB", 99_949: "99.9 kB", 100_000: "0.1 MB", 12_345_678: "12.3 MB"} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d bytes are %q, want %q", bytes, got, want)
		}
	}
	r := backupReport{Status: backup.Status{Dir: "copies", Last: time.Now(), Bytes: 40_960, Copies: 1}}
	if text := r.String(); !strings.Contains(text, "41.0 kB") {
		t.Errorf("a small backup is said to be so: %s", text)
	}
}

// The help of a list names every status that it takes.
func TestHelpNamesEveryStatus(t *testing.T) {
	_, help, _ := run(t, "deliveries", "list", "--help")
	for _, status := range admin.DeliveryStatuses() {
		if !strings.Contains(help, ": "+status) && !strings.Contains(help, ", "+status) {
			t.Errorf("the help does not name %s:\n%s", status, help)
		}
	}
}
