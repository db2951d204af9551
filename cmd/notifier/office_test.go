package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/jobs"
)

// office is a daemon that neither polls nor delivers: its jobs run, and what they
// make due can be looked at.
type office struct {
	*daemon
	t    *testing.T
	stop func()
}

const officeConfig = `version: 1
accounts: [{name: main, secret_key: sk_test_x, base_url: "http://127.0.0.1:1"}]
state: {path: %q}
admin: {listen: %q}
destinations:
  - {name: shop, type: http, url: "http://127.0.0.1:1/"}
  - {name: other, type: http, url: "http://127.0.0.1:1/"}
rules:
  - {name: ship, events: [paid], to: [shop]}
  - {name: dear, when: %q, to: [other]}
`

func writeOfficeConfig(t *testing.T, path, dear, listen string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, officeConfig, path, listen, dear), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func newOffice(t *testing.T, path, dear string) *office {
	t.Helper()
	return openOffice(t, writeOfficeConfig(t, path, dear, "127.0.0.1:1"))
}

func openOffice(t *testing.T, file string) *office {
	t.Helper()
	loaded, err := config.Load(config.Options{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(t.Context(), loaded, daemonOptions{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.jobs.Run(ctx) }()
	return &office{daemon: d, t: t, stop: func() {
		t.Helper()
		cancel()
		err := errors.Join(<-ended, d.store.Verify(t.Context()), d.close())
		if err != nil {
			t.Error(err)
		}
	}}
}

// happen stores n paid events with a delivery to shop; the rule dear failed on
// each. What has an even number is dead, the rest accepted.
func (o *office) happen(n int) (events []event.Event) {
	o.t.Helper()
	return o.happenAt(time.Now().UTC().Add(-time.Hour), "cs_", n)
}

// happenAt does so from a time on; each ends a minute later.
func (o *office) happenAt(at time.Time, session string, n int) (events []event.Event) {
	o.t.Helper()
	tx := &event.Tx{Account: "main"}
	for i := range n {
		e := event.SampleEvent(event.Paid)
		e.Session, e.Time = fmt.Sprintf("%s%d", session, i), at.Add(time.Duration(i)*time.Second)
		e.ID = event.ID(e.Account, e.Session, e.Type, 1)
		e.RuleErrors = []event.RuleError{{Rule: "dear", Error: "no"}}
		d := blank(&e, "shop", "", []string{"ship"}, map[string]string{"severity": "page"})
		d.Ordered, d.Created, d.Due, d.Status = true, e.Time, e.Time, event.StatusPending
		tx.Events, tx.Deliveries = append(tx.Events, e), append(tx.Deliveries, d)
	}
	if err := o.store.Commit(o.t.Context(), tx); err != nil {
		o.t.Fatal(err)
	}
	for i, d := range tx.Deliveries {
		v := event.Verdict{Delivery: d, At: d.Created.Add(time.Minute), Accepted: i%2 == 1}
		a := event.Attempt{DeliveryID: d.ID, N: 1, Started: d.Created, Outcome: event.OutcomeRefused, StatusCode: 400, Answer: []byte("no b@example.com"), Headers: map[string]string{"x-request-id": "req_7"}}
		if v.Attempt = &a; i%2 == 0 {
			v.Dead = "status 400 Bad Request"
		}
		if _, err := o.store.Take(o.t.Context(), event.Step{Resolved: []event.Verdict{v}}); err != nil {
			o.t.Fatal(err)
		}
	}
	return tx.Events
}

func (o *office) await(id string) redeliveryReport {
	o.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		job, err := o.jobs.Get(o.t.Context(), id)
		if err != nil {
			o.t.Fatal(err)
		}
		if job.Status == jobs.Running {
			continue
		}
		var r redeliveryReport
		if err := json.Unmarshal(job.Result, &r); err != nil || job.Status != jobs.Done {
			o.t.Fatalf("job %+v: %v", job, err)
		}
		return r
	}
	o.t.Fatalf("job %s does not end", id)
	return redeliveryReport{}
}

// pending counts what is pending for each destination.
func (o *office) pending() map[string]int {
	o.t.Helper()
	states, err := o.store.Destinations(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	n := make(map[string]int)
	for _, s := range states {
		n[s.Name] = s.Pending
	}
	return n
}

func (o *office) audits() (lines []string) {
	o.t.Helper()
	items, _, err := o.List(o.t.Context(), admin.Audit, admin.Query{Limit: 100})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, e := range items.([]event.AuditEntry) {
		lines = append(lines, e.Actor+" "+e.Action)
	}
	return lines
}

// open lets commands ask the office, as run does, and returns how.
func (o *office) open() (ask func(line string) (code int, stdout, stderr string)) {
	o.t.Helper()
	file := o.serve()
	return func(line string) (code int, stdout, stderr string) {
		return run(o.t, append(strings.Fields(line), "-c", file)...)
	}
}

// serve lets the office answer, and returns the configuration that says where.
func (o *office) serve() (file string) {
	o.t.Helper()
	server := httptest.NewServer(admin.New(o.cfg.Admin, o.daemon, o.metrics.Handler(), o.log).Handler())
	o.t.Cleanup(server.Close)
	return writeOfficeConfig(o.t, "unused.db", dearWorks, server.Listener.Addr().String())
}
