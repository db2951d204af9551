package poller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/poller"
)

// naive is a poller as one would write it on a first day.
type naive struct {
	*ledger
	known map[string]checkout.Session // as last shown
	mark  time.Time                   // the newest creation time that was shown
}

// algorithms are the naive ways to poll, and the kind of fault by which the
// oracle must find each out.
var algorithms = []struct {
	name, kind string
	pass       func(n *naive, ctx context.Context) error
}{
	{"stop at the first known id", missed, func(n *naive, ctx context.Context) error {
		return n.walk(ctx, time.Time{}, func(s *checkout.Session) bool { _, ok := n.known[s.ID]; return ok })
	}},
	{"watermark of max created", missed, (*naive).discover},
	{"rolling window", missed, func(n *naive, ctx context.Context) error {
		from := n.api.clock(n.api.now() - 20*time.Minute)
		if len(n.known) == 0 {
			from = time.Time{}
		}
		return n.walk(ctx, from, func(s *checkout.Session) bool { return s.Created.Before(from) })
	}},
	{"watermark and a look at each session that can change", missed, func(n *naive, ctx context.Context) error {
		if err := n.discover(ctx); err != nil {
			return err
		}
		return n.watch(ctx, false)
	}},
	{"what is absent has vanished", untrue, func(n *naive, ctx context.Context) error {
		if err := n.discover(ctx); err != nil {
			return err
		}
		return n.watch(ctx, true)
	}},
	{"no patience", rude, func(n *naive, ctx context.Context) error {
		for range 3 {
			if n.discover(ctx) == nil {
				break
			}
		}
		return nil
	}},
}

// The oracle finds the naive algorithms out: it can fail.
func TestOracleFindsNaivePollersOut(t *testing.T) {
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			seenByRace(t)
			t.Parallel()
			const worlds = 20
			for seed := range worlds {
				u := rapid.Custom(drawUniverse).Example(seed)
				u.cron = false
				faults := u.live(t, func(ctx context.Context, l *ledger) error {
					n := &naive{ledger: l, known: make(map[string]checkout.Session)}
					n.run(ctx, a.pass)
					return nil
				})
				at := slices.IndexFunc(faults, func(f fault) bool { return f.kind == a.kind })
				if at >= 0 {
					t.Logf("found out in world %d: %s", seed, faults[at].text)
					return
				}
			}
			t.Errorf("nothing is %s in %d worlds", a.kind, worlds)
		})
	}
}

func (n *naive) run(ctx context.Context, pass func(*naive, context.Context) error) {
	for ctx.Err() == nil {
		began := time.Now()
		_ = pass(n, ctx) // the next may fare better
		rest(ctx, n.universe.poll.Interval-time.Since(began))
	}
}

// walk reads the list down to where stop says so, and hands on what it shows.
func (n *naive) walk(ctx context.Context, from time.Time, stop func(*checkout.Session) bool) error {
	params := map[string]any{"limit": n.universe.poll.Tuning.PageSize}
	if !from.IsZero() {
		params["created"] = map[string]string{"gte": fmt.Sprint(from.Unix())}
	}
	mark := n.mark
	for seen := make(map[string]bool); ; {
		var page struct {
			HasMore bool              `json:"has_more"`
			Data    []json.RawMessage `json:"data"`
		}
		if err := n.ask(ctx, "/v1/checkout/sessions/list", params, &page); err != nil {
			return err
		}
		var shown []checkout.Session
		stopped := !page.HasMore || len(page.Data) == 0
		for _, raw := range page.Data {
			s, err := checkout.Parse(raw)
			if err != nil || seen[s.ID] {
				continue
			}
			seen[s.ID] = true
			if stop(&s) {
				stopped = true
				break
			}
			shown = append(shown, s)
			params["starting_after"] = s.ID
			if s.Created.After(mark) {
				mark = s.Created
			}
		}
		if err := n.hand(ctx, shown); err != nil {
			return err
		}
		if stopped || len(shown) == 0 {
			n.mark = mark
			return nil
		}
	}
}

// discover reads the list down to the newest session that was shown before.
func (n *naive) discover(ctx context.Context) error {
	mark := n.mark
	return n.walk(ctx, mark, func(s *checkout.Session) bool { return s.Created.Before(mark) })
}

// watch looks at each session that can change by its id. If it is eager, a
// session that is not found has vanished.
func (n *naive) watch(ctx context.Context, eager bool) error {
	for id, s := range n.known {
		if s.Status != checkout.StatusOpen && s.PaymentStatus != checkout.PaymentUnpaid || s.Status == checkout.StatusExpired {
			continue
		}
		var raw json.RawMessage
		err := n.ask(ctx, "/v1/checkout/sessions/"+id, nil, &raw)
		if err != nil && !eager {
			return err
		}
		if err != nil {
			delete(n.known, id)
			if err := n.Vanish(ctx, "main", []poller.Gone{{ID: id}}); err != nil {
				return err
			}
			continue
		}
		if s, err = checkout.Parse(raw); err != nil {
			continue
		}
		if err := n.hand(ctx, []checkout.Session{s}); err != nil {
			return err
		}
	}
	return nil
}

func (n *naive) ask(ctx context.Context, path string, params map[string]any, into any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.universe.poll.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := n.api.RoundTrip(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	return json.Unmarshal(answer, into)
}

// hand starts the account at the first answer, and hands on what it shows.
func (n *naive) hand(ctx context.Context, shown []checkout.Session) error {
	account, started, err := n.Account(ctx, "main")
	if err != nil {
		return err
	}
	if !started {
		account = event.Account{Name: "main", Start: n.api.clock(n.api.now()).Truncate(time.Second), StartFixed: true}
		if err := n.SaveAccount(ctx, account); err != nil {
			return err
		}
	}
	now := n.api.clock(n.api.now())
	b := poller.Batch{Account: account, Poll: n.universe.poll, Pass: now}
	for i := range shown {
		b.Looks = append(b.Looks, poller.Look{Session: shown[i], At: now})
	}
	if _, err := n.Handle(ctx, b); err != nil {
		return err
	}
	for i := range shown {
		n.known[shown[i].ID] = shown[i]
	}
	return nil
}
