package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"checkout-notifier/admin"
	"checkout-notifier/checkout"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/simulator"
)

//go:embed demo.yaml.tmpl
var demoConfig string

const (
	demoKey    = "sk_test_demo"
	demoSecret = "whsec_bm90aWZpZXIgZGVtbyBzaWduaW5nIHNlY3JldCBrZXk="
	// demoSettle is how long the demo goes on after its traffic, so that what
	// happened last is found and delivered too.
	demoSettle = 12 * time.Second
)

func (a *app) demoCommand() *cobra.Command {
	var seed uint64
	var duration time.Duration
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: "start",
		Short:   "See everything at work in one process: no account, no configuration",
		Long: `Run a simulated API with traffic and faults, an embedded NATS server with a
JetStream stream, a receiver that verifies signatures, and the real daemon
between them, all on loopback. It prints what happens until Ctrl-C or --duration,
and then what came of it. Nothing is left behind.`,
		Example: "  notifier demo --duration 30s",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if duration < 0 {
				return exit(exitUsage, fmt.Errorf("--duration must not be negative, but is %s", duration))
			}
			return a.demo(cmd.Context(), seed, duration)
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of traffic and faults")
	cmd.Flags().DurationVar(&duration, "duration", 0, "how long carts are made; 0 is until Ctrl-C")
	return cmd
}

// demoWorld is everything around the daemon.
type demoWorld struct {
	api      *simulator.API
	receiver *simulator.Receiver
	narrator *narrator

	API, Receiver, NATS, Admin string // addresses
	Dir, Key, Secret           string
}

func (a *app) demo(ctx context.Context, seed uint64, duration time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "notifier-demo-")
	if err != nil {
		return fmt.Errorf("making a place for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w := &demoWorld{
		narrator: newNarrator(a.out), Dir: dir, Key: demoKey, Secret: demoSecret,
		api: simulator.NewAPI(simulator.Config{SecretKey: demoKey, Seed: seed}),
	}
	if err := w.api.SetFaults(demoFaults()); err != nil {
		return err
	}
	if w.receiver, err = simulator.NewReceiver(simulator.ReceiverConfig{Secrets: []string{demoSecret}, Respond: stumble}); err != nil {
		return err
	}
	// The world outlives the daemon: what is on its way at the end is answered.
	outer, stopWorld := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorld()
	world, worldCtx := errgroup.WithContext(outer)
	if err := w.serve(worldCtx, world); err != nil {
		return err
	}
	err = a.demoDaemon(ctx, w, seed, duration)
	stopWorld()
	return errors.Join(err, world.Wait())
}

// serve starts the API and the receiver and finds room for the others.
func (w *demoWorld) serve(ctx context.Context, g *errgroup.Group) error {
	listeners := make([]net.Listener, 4)
	for i := range listeners {
		l, err := loopback(ctx)
		if err != nil {
			return err
		}
		listeners[i] = l
	}
	w.API, w.Receiver = listeners[0].Addr().String(), listeners[1].Addr().String()
	w.NATS, w.Admin = listeners[2].Addr().String(), listeners[3].Addr().String()
	if err := errors.Join(listeners[2].Close(), listeners[3].Close()); err != nil {
		return fmt.Errorf("giving back a port: %w", err)
	}
	g.Go(func() error { return w.api.Run(ctx) })
	g.Go(func() error { return serve(ctx, listeners[0], w.api) })
	g.Go(func() error { return serve(ctx, listeners[1], w.receiver) })
	return nil
}

func (a *app) demoDaemon(ctx context.Context, w *demoWorld, seed uint64, duration time.Duration) (err error) {
	source, err := w.config()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "This is the configuration, as `notifier run` would read it from a file:\n\n%s\n", w.narrator.indent(source))
	loaded, err := config.Load(config.Options{Source: source, Name: "demo.yaml"})
	if err != nil {
		return err
	}
	log := newLogger(config.Log{Level: "error", Format: config.LogText}, a.err)
	d, err := newDaemon(ctx, loaded, daemonOptions{witness: w.narrator}, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	listener, err := admin.Listen(ctx, d.cfg.Admin)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Status: http://%s/api/v1/status   Metrics: http://%s/metrics   Stop: Ctrl-C\n\n", w.Admin, w.Admin)

	daemonCtx, stopDaemon := context.WithCancel(ctx)
	defer stopDaemon()
	g, ctx := errgroup.WithContext(daemonCtx)
	g.Go(func() error { return d.run(ctx, listener) })
	g.Go(func() error {
		defer stopDaemon()
		if !awaitReady(ctx, d) {
			return nil
		}
		traffic := simulator.Traffic{Seed: seed, Rate: 1, Scale: 2, Duration: duration}
		if err := w.api.RunTraffic(ctx, traffic); err != nil || ctx.Err() != nil {
			return err
		}
		settle := time.NewTimer(demoSettle)
		defer settle.Stop()
		select {
		case <-settle.C:
		case <-ctx.Done():
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return w.summary(a.out, d)
}

// awaitReady waits for the first pass, so that every cart is made under the
// daemon's eyes. false: the context ended before.
func awaitReady(ctx context.Context, d *daemon) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for d.Ready() != "" {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

// config writes the demo's configuration.
func (w *demoWorld) config() ([]byte, error) {
	t, err := template.New("demo.yaml").Option("missingkey=error").Parse(demoConfig)
	if err != nil {
		return nil, fmt.Errorf("reading the demo's configuration: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]string{
		"API": w.API, "Receiver": w.Receiver, "NATS": w.NATS, "Admin": w.Admin, "Key": w.Key, "Secret": w.Secret,
		"State": filepath.ToSlash(filepath.Join(w.Dir, "notifier.db")), "Streams": filepath.ToSlash(filepath.Join(w.Dir, "nats")),
	}); err != nil {
		return nil, fmt.Errorf("writing the demo's configuration: %w", err)
	}
	return b.Bytes(), nil
}

func (n *narrator) indent(text []byte) string {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		b.WriteString("    " + n.paint(dim, string(bytes.TrimRight(line, "\n"))) + "\n")
	}
	return b.String()
}

// demoFaults is a bad day of the API.
func demoFaults() simulator.Faults {
	return simulator.Faults{
		ServerError: simulator.Share(0.05), RateLimited: simulator.Share(0.03), RetryAfterS: 1,
		CutBody: simulator.Share(0.03), RotateURL: simulator.Always(), NullFlip: simulator.Always(),
		StringNumbers: simulator.Share(0.1), Late: 0.1, LateMS: 3000,
	}
}

// stumble makes the receiver refuse some deliveries at their first attempt.
func stumble(r simulator.Received) simulator.Response {
	if r.Attempt == 1 && len(r.ID) > 0 && r.ID[len(r.ID)-1] < 'c' {
		return simulator.Response{Status: 503}
	}
	return simulator.Response{}
}

// demoLedger holds what was shipped against what should have been.
type demoLedger struct {
	verified, unverified           int // requests, by their signature
	orders, missed, doubled, young int
}

// audit compares the truth of the simulated API with what the receiver accepted.
func (w *demoWorld) audit(sessions []simulator.Session) demoLedger {
	var l demoLedger
	shipped := make(map[string]int)
	counted := make(map[string]bool)
	for _, r := range w.receiver.Requests() {
		if r.Verification != simulator.Verified {
			l.unverified++
			continue
		}
		l.verified++
		session, eventType := aboutBody(r.Body)
		if r.Status < 300 && eventType == event.Fulfillable && !counted[r.ID] {
			counted[r.ID] = true
			shipped[session]++
		}
	}
	for _, s := range sessions {
		if s.Status != checkout.StatusComplete || (s.PaymentStatus != checkout.PaymentPaid && s.PaymentStatus != checkout.PaymentNotRequired) {
			continue
		}
		l.orders++
		switch n := shipped[s.ID]; {
		case n == 0 && time.Since(s.History[len(s.History)-1].Time) < demoSettle:
			l.young++ // Ctrl-C came first
		case n == 0:
			l.missed++
		case n > 1:
			l.doubled++
		}
	}
	return l
}

// summary says what came of it. A ledger that does not add up is an error.
func (w *demoWorld) summary(out io.Writer, d *daemon) error {
	sessions, err := w.api.Sessions()
	if err != nil {
		return err
	}
	l := w.audit(sessions)
	n := w.narrator
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(out, "\n%s\n", n.paint(bold, "What came of it"))
	fmt.Fprintf(out, "  carts made      %d, of which %d became orders\n", len(sessions), l.orders)
	fmt.Fprintf(out, "  events          %s\n", tally(n.events))
	fmt.Fprintf(out, "  accepted        %s\n", tally(n.accepted))
	fmt.Fprintf(out, "  tried again     %s\n", tally(n.refused))
	fmt.Fprintf(out, "  dead letters    %d\n", n.dead)
	fmt.Fprintf(out, "  signatures      %d verified, %d wrong\n", l.verified, l.unverified)
	fmt.Fprintf(out, "  API faults      %s\n", tally(w.api.Struck()))
	fmt.Fprintf(out, "  orders shipped  %d once, %d missed, %d doubled\n", l.orders-l.missed-l.doubled-l.young, l.missed, l.doubled)
	if l.young > 0 {
		fmt.Fprintf(out, "  %s\n", n.paint(yellow, count(l.young, "order")+" came too late to be told before the end"))
	}
	if waiting := pendingDeliveries(d); waiting > 0 {
		fmt.Fprintf(out, "  %s\n", n.paint(yellow, count(waiting, "delivery")+" did not arrive before the end"))
	}
	if l.missed+l.doubled+l.unverified > 0 {
		return exit(exitFailure, errors.New("what was shipped is not what was paid for: please report it with its --seed"))
	}
	return nil
}

// pendingDeliveries counts what still waits in the store.
func pendingDeliveries(d *daemon) int {
	states, err := d.store.Destinations(context.Background())
	if err != nil {
		return 0
	}
	waiting := 0
	for _, s := range states {
		waiting += s.Pending
	}
	return waiting
}

// aboutBody reads from a CloudEvents body which session it is about.
func aboutBody(body []byte) (session, eventType string) {
	var e struct {
		Subject string `json:"subject"`
		Type    string `json:"type"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	return e.Subject, e.Type
}
