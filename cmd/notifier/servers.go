package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"checkout-notifier/simulator"
)

const (
	defaultSimKey     = "sk_test_simulated"
	defaultSimListen  = "127.0.0.1:12111"
	defaultRecvListen = "127.0.0.1:12112"
)

func (a *app) simCommand() *cobra.Command {
	var listen, key string
	var seed uint64
	var rate float64
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Serve a simulated WooshPay API",
		Long: `Serve a simulated WooshPay API that behaves as the real one was observed to behave,
and misbehaves on demand: POST /sim/sessions creates a session, POST
/sim/sessions/{id} changes one, POST /sim/faults sets faults, POST /sim/traffic
starts random traffic, GET /sim/sessions tells the truth.`,
		Example: `  notifier sim --rate 1
  curl -s -u sk_test_simulated: http://127.0.0.1:12111/v1/checkout/sessions/list`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(a.err, nil))
			api := simulator.NewAPI(simulator.Config{SecretKey: key, Seed: seed, Logger: log})
			l, err := new(net.ListenConfig).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return fmt.Errorf("listening for the simulated API: %w", err)
			}
			fmt.Fprintf(a.err, "simulated API on http://%s, secret key %s\n", l.Addr(), key)
			g, ctx := errgroup.WithContext(cmd.Context())
			g.Go(func() error { return api.Run(ctx) })
			g.Go(func() error { return serve(ctx, l, api) })
			if rate > 0 {
				g.Go(func() error { return api.OrderTraffic(ctx, simulator.Traffic{Seed: seed, Rate: rate}) })
			}
			return g.Wait()
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultSimListen, "address to serve on")
	cmd.Flags().StringVar(&key, "key", defaultSimKey, "the secret key that it accepts")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of ids, faults and traffic")
	cmd.Flags().Float64Var(&rate, "rate", 0, "carts per second of random traffic; 0 is none")
	return cmd
}

func (a *app) receiveCommand() *cobra.Command {
	var listen, output string
	var secrets []string
	var status int
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Serve a receiver that verifies and prints callbacks",
		Long: `Serve a local webhook receiver. It checks the signatures of Standard Webhooks and
of Stripe with the given secrets, prints every request, and answers 204, 401 to
a request whose signature is wrong, or --status.`,
		Example: "  notifier receive --secret whsec_…",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if status != 0 && (status < 200 || status > 599) {
				return exit(exitUsage, fmt.Errorf("--status takes an HTTP status from 200 to 599, not %d", status))
			}
			p := &receivedPrinter{app: a, jsonl: output == asLines}
			receiver, err := simulator.NewReceiver(simulator.ReceiverConfig{
				Secrets: secrets, Keep: 1, OnRequest: p.print,
				Respond: func(simulator.Received) simulator.Response { return simulator.Response{Status: status} },
			})
			if err != nil {
				return exit(exitUsage, err)
			}
			l, err := new(net.ListenConfig).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return fmt.Errorf("listening for callbacks: %w", err)
			}
			fmt.Fprintf(a.err, "receiving on http://%s\n", l.Addr())
			return serve(cmd.Context(), l, receiver)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultRecvListen, "address to serve on")
	cmd.Flags().StringArrayVar(&secrets, "secret", nil, "a signing secret, may be repeated; without one nothing is checked")
	cmd.Flags().IntVar(&status, "status", 0, "answer with this status instead of 204")
	outputFlag(cmd, &output, asTable, asLines)
	return cmd
}

// receivedPrinter prints callbacks, one line each.
type receivedPrinter struct {
	*app
	jsonl bool
	mu    sync.Mutex // requests come in parallel
}

func (p *receivedPrinter) print(r simulator.Received) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jsonl {
		line, err := json.Marshal(map[string]any{
			"time": r.Time.UTC(), "path": r.Path, "id": r.ID, "attempt": r.Attempt, "verification": r.Verification,
			"schemes": r.Schemes, "reason": r.Reason, "status": r.Status, "body": jsonOrText(r.Body),
		})
		if err == nil {
			fmt.Fprintf(p.out, "%s\n", line)
		}
		return
	}
	what := r.Verification
	if len(r.Schemes) > 0 {
		what += " (" + strings.Join(r.Schemes, ", ") + ")"
	}
	if r.Reason != "" {
		what += ": " + r.Reason
	}
	fmt.Fprintf(p.out, "%s  %s %s  %d  %s\n%s\n\n", r.Time.Format(time.TimeOnly), r.Method, r.Path, r.Status, what, r.Body)
}

func jsonOrText(body []byte) any {
	if json.Valid(body) {
		return json.RawMessage(body)
	}
	return string(body)
}

// serve serves until the context ends, then lets open requests finish for a moment.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stopping the server on %s: %w", l.Addr(), err)
	}
	_ = server.Close()
	return nil
}
