package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/broker"
	"checkout-notifier/event"
	"checkout-notifier/heartbeat"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// report is the document of /api/v1/status and of `status -o json`.
type report struct {
	Version      string                         `json:"version"`
	Running      bool                           `json:"running"` // false: read from the file, without a daemon
	Started      time.Time                      `json:"started,omitzero"`
	Ready        bool                           `json:"ready"`
	Waiting      string                         `json:"waiting_for,omitempty"` // why it is not ready
	Accounts     []poller.Status                `json:"accounts"`
	Orphaned     []string                       `json:"orphaned_accounts,omitempty"` // stored, and the configuration does not name them
	Destinations []destinationReport            `json:"destinations"`
	Conditions   []conditionReport              `json:"conditions"` // what the owner was told of and is not over
	FailedRules  []ruleReport                   `json:"failed_rules,omitempty"`
	Heartbeat    *heartbeat.Report              `json:"heartbeat,omitempty"` // nil: none is configured, or no daemon runs
	Sessions     map[string]map[event.Watch]int `json:"sessions"`            // by account and state
	Store        storeReport                    `json:"store"`
	Backup       *backupReport                  `json:"backup,omitempty"` // nil: none are to be made
	Embedded     *broker.Status                 `json:"nats_embedded,omitempty"`
}

type destinationReport struct {
	Name          string    `json:"name"`
	State         string    `json:"state"` // ok, waiting, refusing, unreachable, failing, paused, orphaned, unknown
	Why           string    `json:"why,omitempty"`
	Pending       int       `json:"pending"`
	Dead          int       `json:"dead_letters"`
	InFlight      int       `json:"in_flight"`
	OldestPending time.Time `json:"oldest_pending,omitzero"`
	Refused       int       `json:"refused_pending"`        // of those that wait: it refused them before, at most event.MostRefused are counted
	Refusal       string    `json:"last_refusal,omitempty"` // the last answer that refused a delivery
	RefusedAt     time.Time `json:"last_refusal_at,omitzero"`
	LastSuccess   time.Time `json:"last_success,omitzero"`
	Failures      int       `json:"failures_in_a_row"`
	Since         time.Time `json:"since,omitzero"`      // it is failing or paused, or does not take what is sent
	NextProbe     time.Time `json:"next_probe,omitzero"` // of a failing one
	NextTry       time.Time `json:"next_try,omitzero"`   // of another one that is left alone until then
	PausedBy      string    `json:"paused_by,omitempty"`
	told          time.Time // since when it fails, as its owner was told
	retry         time.Time // when the first delivery that it refused is tried again

	// Subjects that the destination takes nothing for: how many, at least, and the
	// first of them.
	BlockedCount int                      `json:"blocked_subjects_count,omitempty"`
	Blocked      []publish.BlockedSubject `json:"blocked_subjects,omitempty"`
}

// ruleReport is a rule that failed on events, of this process or of earlier ones.
type ruleReport struct {
	Rule      string    `json:"rule"`
	Failing   bool      `json:"failing"`  // so often that its owner was told, and not over
	Failures  int       `json:"failures"` // since the rule means what it means
	InARow    int       `json:"failures_in_a_row"`
	Since     time.Time `json:"since,omitzero"` // the first without a day in which none failed
	LastError string    `json:"last_error"`
	LastEvent string    `json:"last_event"`
	Last      time.Time `json:"last"`
}

// conditionReport is a state of the program that somebody should end.
type conditionReport struct {
	Kind    string    `json:"kind"`    // account, destination, rule or store
	Subject string    `json:"subject"` // which one
	Since   time.Time `json:"since"`
	Why     string    `json:"why"`
}

func (c conditionReport) String() string {
	return conditionText(event.Condition{Kind: c.Kind, Subject: c.Subject, Why: c.Why})
}

type storeReport struct {
	Path    string         `json:"path"`
	Bytes   int64          `json:"bytes"`
	Why     string         `json:"why,omitempty"`      // the file is not at its path
	PutBack *putBackReport `json:"put_back,omitempty"` // it was taken away from this process
	Saved   string         `json:"saved,omitempty"`    // what lies beside the file and is perhaps newer
}

// Values of destinationReport.State besides those of publish.
const (
	conditionDestination = "destination" // a kind besides those of event: what is stored of it is the destination's

	orphanedHelp  = "; renamed or retired: docs/deadletters.md"
	stateOrphaned = "orphaned" // deliveries wait, but the configuration does not name it
	stateUnknown  = "unknown"  // no daemon is there to tell
)

// Status implements admin.Daemon.
func (d *daemon) Status(ctx context.Context) (any, error) { return d.report(ctx) }

func (d *daemon) report(ctx context.Context) (*report, error) {
	r, err := storedReport(ctx, d.store.Store)
	if err != nil {
		return nil, err
	}
	r.Running, r.Started, r.Waiting = true, d.started.UTC(), d.Ready()
	r.Ready = r.Waiting == ""
	r.orphan(d.cfg.Accounts)
	stored := r.Accounts
	r.Accounts = d.poller.Status()
	for i := range r.Accounts {
		d.owner.sinceStart(&r.Accounts[i])
		rememberPass(&r.Accounts[i], stored)
	}
	r.merge(d.relay.Status())
	r.Store.PutBack, r.Backup = d.keeper.report(), d.backupReport()
	if err := d.store.InPlace(); err != nil {
		r.Store.Why = err.Error()
	}
	if d.broker != nil {
		state := d.broker.Status()
		r.Embedded = &state
	}
	if d.heartbeat != nil {
		state := d.heartbeat.Report()
		r.Heartbeat = &state
	}
	return r, nil
}

// storedReport is what the store alone can tell.
func storedReport(ctx context.Context, store *state.Store) (*report, error) {
	path, err := filepath.Abs(store.Path()) // whoever reads it may be in another directory
	if err != nil {
		return nil, err
	}
	r := &report{
		Version: version(), Store: storeReport{Path: path, Saved: store.Saved()},
		// In JSON a list, also while it is empty.
		Accounts: []poller.Status{}, Destinations: []destinationReport{}, Conditions: []conditionReport{},
	}
	if r.Sessions, err = store.SessionCounts(ctx); err != nil {
		return nil, err
	}
	if r.Store.Bytes, err = store.Size(); err != nil {
		return nil, err
	}
	stored, err := store.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		line := destinationReport{Name: s.Name, Pending: s.Pending, Refused: s.Refused, Dead: s.Dead, OldestPending: s.OldestPending, retry: s.NextRetry, told: s.Standing.Announced}
		line.stands(publish.StoredStatus(s))
		r.Destinations = append(r.Destinations, line)
	}
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		r.Accounts = append(r.Accounts, poller.Status{
			Account: a.Name, Host: a.Host, Mode: a.Mode, Start: a.Start, Low: a.Low, Foreign: a.Foreign,
			Holes: poller.Holes(a.Holes), LastSuccess: knownPass(&a),
		})
	}
	conditions, err := store.Conditions(ctx)
	if err != nil {
		return nil, err
	}
	r.add(conditions)
	r.measure(store)
	return r, nil
}

// knownPass is when an account was looked at without a gap, as far as the store knows:
// its last complete pass was then or later. The first one reads the whole window; it
// leaves no low mark where the list is empty.
func knownPass(a *event.Account) time.Time {
	if a.Reconciled.IsZero() || a.Reconciled.After(a.WarmRound) {
		return a.Reconciled
	}
	return a.WarmRound
}

// rememberPass says of an account that has made no pass since the start what the store
// knows of those before.
func rememberPass(s *poller.Status, stored []poller.Status) {
	for _, known := range stored {
		if known.Account == s.Account && s.Passes == 0 {
			s.LastSuccess = known.LastSuccess
		}
	}
}

// lastPass says when an account was last read without a gap.
func lastPass(s poller.Status) string {
	if s.Passes == 0 && !s.LastSuccess.IsZero() {
		return "within the last " + lasting(s.LastSuccess) // the store says no more of an earlier process
	}
	return ago(s.LastSuccess)
}

// orphan names the stored accounts that the configuration does not name: one was
// renamed, perhaps.
func (r *report) orphan(configured []poller.Account) {
	for _, s := range r.Accounts {
		if !slices.ContainsFunc(configured, func(a poller.Account) bool { return a.Name == s.Account }) {
			r.Orphaned = append(r.Orphaned, s.Account)
		}
	}
}

// stands takes over how the destination is doing.
func (d *destinationReport) stands(s publish.DestinationStatus) {
	d.State, d.Why, d.InFlight, d.LastSuccess, d.Failures = string(s.State), s.Why, s.InFlight, s.LastSuccess, s.Failures
	d.Since, d.NextProbe, d.NextTry, d.PausedBy = s.Since, s.NextProbe, s.NextTry, s.PausedBy
	if s.State == publish.StateRefusing && d.NextTry.IsZero() {
		d.NextTry = d.retry
	}
	d.BlockedCount, d.Blocked, d.Refusal, d.RefusedAt = s.BlockedAll, s.Blocked, s.Refusal, s.RefusedAt
	if d.State == "" {
		d.State = stateUnknown
	}
}

// add takes in what is stored of conditions: that of a rule is kept before its
// owner hears of it, and after it is over.
func (r *report) add(conditions []event.Condition) {
	now := time.Now()
	for _, c := range conditions {
		if c.Open(now) {
			r.Conditions = append(r.Conditions, conditionReport{Kind: c.Kind, Subject: c.Subject, Since: c.Since, Why: c.Reason()})
		}
		if c.Kind == event.ConditionRule {
			r.FailedRules = append(r.FailedRules, ruleReport{
				Rule: c.Subject, Failing: c.Open(now), Failures: max(c.Failed, c.Failures), InARow: c.Failures, Since: c.Since,
				LastError: c.Why, LastEvent: c.LastEvent, Last: c.Last,
			})
		}
	}
}

// measure gives the present figures for a lack of space: those that were stored are
// of when it began.
func (r *report) measure(store *state.Store) {
	free, size, err := store.Space()
	for i, c := range r.Conditions {
		if c.Kind == event.ConditionStore && err == nil {
			r.Conditions[i].Why = spaceText(free, size)
		}
	}
}

// merge adds what is known of the configured destinations to what is stored.
// What is stored and not configured any more is orphaned, and not worth a line
// once nothing waits.
func (r *report) merge(live []publish.DestinationStatus) {
	stored := r.Destinations
	r.Destinations = []destinationReport{}
	for _, l := range live {
		line := destinationReport{Name: l.Name, State: stateUnknown}
		if i := slices.IndexFunc(stored, func(s destinationReport) bool { return s.Name == l.Name }); i >= 0 {
			line = stored[i]
			stored = slices.Delete(stored, i, i+1)
		}
		if r.Running {
			line.stands(l)
		}
		r.Destinations = append(r.Destinations, line)
	}
	for _, orphan := range stored {
		if orphan.Pending+orphan.Dead == 0 {
			continue
		}
		orphan.State, orphan.NextProbe, orphan.NextTry = stateOrphaned, time.Time{}, time.Time{}
		orphan.Why = "the configuration does not name it; what waits goes on when it does" + orphanedHelp
		r.Destinations = append(r.Destinations, orphan)
	}
	for _, d := range r.Destinations {
		if !d.told.IsZero() && d.State != stateOrphaned {
			why := cmp.Or(d.Why, "it takes others, but refuses some again and again, last: "+d.Refusal)
			if !r.Running && d.Why+d.Refusal == "" {
				why = "not all that waits for it is accepted; a running daemon says why"
			}
			r.Conditions = append(r.Conditions, conditionReport{Kind: conditionDestination, Subject: d.Name, Since: d.told, Why: why})
		}
	}
}

// Healthy implements admin.Daemon. A state file that was taken away is no reason
// to say no: whoever restarts the process for it destroys what it holds.
func (d *daemon) Healthy(ctx context.Context) error {
	if _, err := d.store.Destinations(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// Cause implements admin.Daemon. What is wrong with files is no secret.
func (d *daemon) Cause(err error) string {
	var file *fs.PathError
	told := []error{
		state.ErrDiskFull, state.ErrReadOnly, state.ErrDirectory, state.ErrDamaged, state.ErrUncertain, state.ErrMoved, state.ErrClosed, state.ErrGrown,
	}
	if errors.As(err, &file) || slices.ContainsFunc(told, func(target error) bool { return errors.Is(err, target) }) {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return ""
}

// Ready implements admin.Daemon. It depends on no destination: what cannot be
// delivered is kept.
func (d *daemon) Ready() string {
	switch {
	case d.stopping.Load():
		return "the daemon is stopping"
	case !d.poller.Ready():
		return "the first pass is not finished"
	}
	return ""
}

// AcceptAccount implements admin.Daemon. The sessions that were stored so far
// are given up; those that the key shows now count as existing.
func (d *daemon) AcceptAccount(ctx context.Context, name, actor string) error {
	account, known, err := d.store.Account(ctx, name)
	if err != nil {
		return err
	}
	if !known || !slices.ContainsFunc(d.cfg.Accounts, func(a poller.Account) bool { return a.Name == name }) {
		return d.unknown("account", name, nil, d.accounts()...)
	}
	if account.Foreign == "" {
		return fmt.Errorf("%w: the account %s is not stopped", admin.ErrNothingToAccept, name)
	}
	var strangers []poller.Gone
	err = d.store.Tracked(ctx, name, func(row *event.Tracked) error {
		strangers = append(strangers, poller.Gone{ID: row.ID})
		return nil
	})
	if err != nil {
		return err
	}
	if err := d.pipeline.Vanish(ctx, name, strangers); err != nil {
		return err
	}
	account.StartOver(time.Now().UTC())
	if err := d.store.SaveAccount(ctx, account); err != nil {
		return err
	}
	entry := event.AuditEntry{Time: time.Now().UTC(), Actor: actor, Action: auditAccept, Subject: name}
	if err := d.store.Commit(ctx, &event.Tx{Account: name, Audit: []event.AuditEntry{entry}}); err != nil {
		return err
	}
	d.log.Info("account accepted: the sessions that its key shows now are recorded silently, later changes are announced", "account", name, "actor", actor)
	return nil
}

// ResumeDestination implements admin.Daemon.
func (d *daemon) ResumeDestination(ctx context.Context, name, actor string) (changed bool, err error) {
	return d.stand(ctx, name, actor, "destination resumed", d.relay.Resume)
}

// PauseDestination implements admin.Daemon.
func (d *daemon) PauseDestination(ctx context.Context, name, actor string) (changed bool, err error) {
	return d.stand(ctx, name, actor, "destination paused", d.relay.Pause)
}

// stand stops a destination or lets it go on, in somebody's name.
func (d *daemon) stand(ctx context.Context, name, actor, said string, do func(ctx context.Context, name, actor string) (bool, error)) (changed bool, err error) {
	changed, err = do(ctx, name, actor)
	switch {
	case errors.Is(err, publish.ErrUnknownDestination):
		return false, d.unknown("destination", name, nil, d.destinations()...)
	case err != nil:
		return false, err
	case changed:
		d.log.Info(said, "destination", name, "actor", actor)
	}
	return changed, nil
}

// oldestLook returns the oldest look of any watched session; zero if there are
// none. Vanished ones, which nobody can look at, do not count.
func oldestLook(tiers []poller.Tier) time.Time {
	var oldest time.Time
	for _, t := range tiers {
		if t.Name != poller.TierVanished && t.Sessions > 0 && !t.OldestLook.IsZero() && (oldest.IsZero() || t.OldestLook.Before(oldest)) {
			oldest = t.OldestLook
		}
	}
	return oldest
}

// gauges is what the metrics ask when they are scraped.
func (d *daemon) gauges(ctx context.Context) (admin.Gauges, error) {
	r, err := d.report(ctx)
	if err != nil {
		return admin.Gauges{}, err
	}
	g := admin.Gauges{Sessions: r.Sessions, StoreBytes: r.Store.Bytes, StoreInPlace: r.Store.Why == "", Up: make(map[string]bool), Blocked: make(map[string]int)}
	g.Backup = r.Backup.gauges()
	if r.Store.PutBack != nil {
		g.StorePutBack = r.Store.PutBack.Times
	}
	for _, x := range r.Destinations {
		g.Destinations = append(g.Destinations, event.DestinationState{Name: x.Name, Pending: x.Pending, Dead: x.Dead, OldestPending: x.OldestPending})
		g.Up[x.Name] = x.State == string(publish.StateOK) || x.State == string(publish.StateWaiting) && x.Failures == 0 && x.BlockedCount > 0
		g.Blocked[x.Name] = x.BlockedCount
	}
	for _, s := range r.Accounts {
		p := admin.PollingGauges{
			Account: s.Account, Tiers: make(map[string]int), Held: s.Held, Rate: s.Rate, Parallel: s.Parallel,
			OldestLook: oldestLook(s.Tiers), Reconciled: s.Reconciled, Holes: len(s.Holes),
		}
		for _, tier := range s.Tiers {
			p.Tiers[tier.Name] = tier.Sessions
		}
		g.Polling = append(g.Polling, p)
	}
	return g, nil
}
