package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"checkout-notifier/config"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
)

// onlineTimeout bounds each destination's check.
const onlineTimeout = 10 * time.Second

// checkOnline reaches everything that the configuration names. Nothing is
// delivered: HTTP destinations are connected to, not called. With strict warnings are failures.
func (a *app) checkOnline(ctx context.Context, loaded *config.Loaded, strict bool) error {
	var found online
	say := func(ok bool, format string, args ...any) {
		fmt.Fprintf(a.out, map[bool]string{true: "ok   ", false: "FAIL "}[ok]+format+"\n", args...)
	}
	shown := make(map[string][]string) // ids of sessions, by account
	for i, account := range loaded.Config.Accounts {
		if incomplete(loaded, "accounts", i) {
			fmt.Fprintf(a.out, "skip account %s: it has values that are not set here\n", account.Name)
			continue
		}
		findings, ids, err := poller.Probe(ctx, account, version())
		if err != nil {
			found.lost = append(found.lost, "account "+account.Name)
			say(false, "account %s: %v", account.Name, err)
			continue
		}
		for _, other := range loaded.Config.Accounts[:i] {
			isShown := func(id string) bool { return slices.Contains(shown[other.Name], id) }
			if account.MayShare(other) && slices.ContainsFunc(ids, isShown) {
				findings = append(findings, poller.Finding{What: "sessions of its own", Said: "account " + other.Name + " shows the same ones: both keys belong to one account of the API",
					Remedy: "keep one of " + other.Name + " and " + account.Name + ", or give each a filter of its own, for each order is announced by both"})
			}
		}
		shown[account.Name] = ids
		for _, f := range findings {
			if !f.OK && (strict || !f.Warning) {
				found.note(account.Name, f)
			}
			fmt.Fprintf(a.out, "%-4s account %s: %s: %s\n", f.Mark(), account.Name, f.What, f.Said)
		}
	}
	if dir := loaded.Config.State.Backup.Dir; dir != "" {
		if found.backups = writable(dir); found.backups != nil {
			say(false, "state.backup.dir: %v", found.backups)
		} else {
			say(true, "state.backup.dir: %s can be written to", dir)
		}
	}
	if err := a.checkDestinations(ctx, loaded, &found, say); err != nil {
		return err
	}
	return found.err()
}

// online collects what an online check has to complain of.
type online struct {
	lost    []string // what was not reached
	odd     []oddity
	mute    []string // destinations that take and never acknowledge
	refuse  []string // destinations that would not take what is sent
	backups error    // why none can be made; nil if they can
}

// oddity is what an account's API does otherwise than it should, and what to do.
type oddity struct {
	account, remedy string
	what            []string
}

func (o *online) note(account string, f poller.Finding) {
	i := slices.IndexFunc(o.odd, func(x oddity) bool { return x.account == account && x.remedy == f.Remedy })
	if i < 0 {
		o.odd = append(o.odd, oddity{account: account, remedy: f.Remedy})
		i = len(o.odd) - 1
	}
	o.odd[i].what = append(o.odd[i].what, f.What)
}

// err names everything that failed, nil if nothing did.
func (o *online) err() error {
	var parts []string
	if len(o.lost) > 0 {
		parts = append(parts, "not reached: "+strings.Join(o.lost, ", "))
	}
	for _, x := range o.odd {
		parts = append(parts, fmt.Sprintf("account %s: %s failed: %s", x.account, strings.Join(x.what, ", "), x.remedy))
	}
	switch {
	case errors.Is(o.backups, errNoRoom):
		parts = append(parts, "state.backup.dir has too little room: make some, or name another one")
	case o.backups != nil:
		parts = append(parts, "state.backup.dir cannot be written to: make it writable for the daemon's user, or name another one")
	}
	if len(o.mute) > 0 {
		parts = append(parts, "not acknowledged: "+strings.Join(o.mute, ", "))
	}
	if len(o.refuse) > 0 {
		parts = append(parts, "not taken: "+strings.Join(o.refuse, ", "))
	}
	switch {
	case len(o.lost) > 0:
		return exit(exitUnreachable, errors.New(strings.Join(parts, "; ")))
	case len(parts) > 0:
		return exit(exitFailure, errors.New(strings.Join(parts, "; ")))
	}
	return nil
}

// checkDestinations reaches every destination, all at once, and notes those that
// it does not reach, that would not take what is sent, or never acknowledge it.
func (a *app) checkDestinations(ctx context.Context, loaded *config.Loaded, found *online, say func(ok bool, format string, args ...any)) error {
	var destinations []publish.Destination
	ensures := make(map[string]bool)
	for i, d := range loaded.Config.Destinations {
		if incomplete(loaded, "destinations", i) {
			fmt.Fprintf(a.out, "skip destination %s: it has values that are not set here\n", d.Name)
			continue
		}
		if asleep(ctx, loaded.Config.NATS, d) {
			fmt.Fprintf(a.out, "skip destination %s: its server runs inside the daemon, and no daemon runs\n", d.Name)
			continue
		}
		ensures[d.Name] = d.Stream.Ensure
		d.Stream.Ensure = false // a check changes no stream
		destinations = append(destinations, d)
	}
	lanes, err := newLanes(loaded, destinations, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return exit(exitInvalid, err)
	}
	reached, more := make([]error, len(lanes)), make([]string, len(lanes))
	var g errgroup.Group
	for i, lane := range lanes {
		g.Go(func() error {
			name := lane.Destination.Name
			more[i], reached[i] = reach(ctx, lane, loaded.Samples(name), ensures[name])
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, lane := range lanes {
		if err := reached[i]; err != nil {
			list := &found.lost
			switch {
			case errors.Is(err, publish.ErrMute):
				list = &found.mute
			case errors.Is(err, publish.ErrNotTaken):
				list = &found.refuse
			}
			*list = append(*list, "destination "+lane.Destination.Name)
			say(false, "destination %s: %s", lane.Destination.Name, strings.ReplaceAll(err.Error(), "\n", "\n     "))
			continue
		}
		said := "reached"
		if more[i] != "" {
			said += "; " + more[i]
		}
		say(true, "destination %s: %s", lane.Destination.Name, said)
	}
	return nil
}

// incomplete says whether --allow-missing-secrets left out a value of a list's
// element, its own or one that it inherits.
func incomplete(loaded *config.Loaded, list string, i int) bool {
	own := fmt.Sprintf("%s[%d].", list, i)
	nats := list == "destinations" && loaded.Config.Destinations[i].Type == publish.TypeNATS
	return slices.ContainsFunc(loaded.Missing, func(path string) bool {
		return strings.HasPrefix(path, own) || nats && strings.HasPrefix(path, "nats.")
	})
}

// asleep says whether a destination's server is the daemon's own, and not there.
func asleep(ctx context.Context, nats config.NATS, d publish.Destination) bool {
	if !nats.Embedded.Enabled || d.Type != publish.TypeNATS || d.NATS.Server != nats.Server {
		return false
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", nats.Embedded.Listen)
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}

// reach connects to a destination without sending it anything. What could not be
// found out without, or should be otherwise, is said.
func reach(ctx context.Context, lane publish.Lane, samples []publish.Message, ensures bool) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()
	if closer, ok := lane.Publisher.(publish.Closer); ok {
		defer func() { _ = closer.Close(ctx) }()
	}
	if lane.Destination.Type == publish.TypeNATS {
		return reachNATS(ctx, lane.Publisher, samples, ensures)
	}
	http, ok := lane.Publisher.(reacher)
	if !ok {
		return "", errors.New("nothing says how to reach it")
	}
	return "", http.Reach(ctx)
}

// reacher is a publisher that connects just as its deliveries do.
type reacher interface {
	Reach(ctx context.Context) error
}

// checker is a publisher that knows what besides the connection could be wrong.
type checker interface {
	Check(ctx context.Context, samples []publish.Message, ensures bool) (said string, err error)
}

// reachNATS waits until the connection stands, and looks at what is behind it.
func reachNATS(ctx context.Context, p publish.Publisher, samples []publish.Message, ensures bool) (said string, err error) {
	prober, ok := p.(publish.Prober)
	if !ok {
		return "", nil
	}
	for {
		err := prober.Available(ctx)
		if checker, ok := p.(checker); ok && err == nil {
			return checker.Check(ctx, samples, ensures)
		}
		if err == nil {
			return "", nil
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
