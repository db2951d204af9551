package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/pipeline"
	"checkout-notifier/poller"
)

const (
	ownerEvery = time.Second     // how often the owner looks, at the disk too: it can be full within seconds
	rowEvery   = 5 * time.Second // and stores how long an account fails

	// An account fails when it could not be polled for the longer of these; at
	// once when its key is refused or shows other sessions.
	failingAfter     = 2 * time.Minute
	failingIntervals = 5
	// answerWithin is how long the API may take then to answer a last question.
	answerWithin = 15 * time.Second
	// wellPasses is how many complete passes make it well again. One that fails again within
	// relapseWithin after that was told is well only once it was for as long: what comes and
	// goes, as where one backend of several serves another account, would call somebody
	// each few seconds.
	wellPasses    = 2
	relapseWithin = 10 * time.Minute

	stoppedFor   = 30 * time.Second // without a look: the process was stopped
	stopForgiven = 15 * time.Second // and is given this time for a pass

	// leastSpace, or the size of the store if that is more, must be free.
	leastSpace = 256 << 20
)

// owner finds what whoever runs the program must know and nothing else tells:
// accounts that fail, rules with on: system that fail, a disk that fills. Each
// condition is stored with the event that tells of it, so that it is told of
// once, whatever restarts. One goroutine runs it; open may be called from any.
type owner struct {
	commit    func(ctx context.Context, tx *event.Tx) error
	announce  func(e event.Event) event.Notice
	verdicts  *announcer // has those of rules with on: system
	watch     *pipeline.RuleWatch
	accounts  func() []poller.Status
	ask       func(ctx context.Context, account string) // has a pass made; returns at once
	intervals map[string]time.Duration                  // of the accounts' passes
	space     func() (free, size int64, err error)
	path      string // of the store
	committed func(events []event.Event, deliveries []event.Delivery)
	log       *slog.Logger

	passes map[string]int // of an account in trouble, when it was last seen so
	// well is how long an account has been well since its last trouble, in this process from
	// its first pass on and, as is stored from time to time after a relapse, in those before
	// it. Time in which the program did not run is neither well nor trouble.
	well       map[string]time.Duration
	wellAt     map[string]time.Time // when an account was last seen well
	rows       map[string]time.Time // since when an account is in trouble and untold, as this process saw it last
	spaceError bool                 // it was said that the disk does not tell

	mu         sync.Mutex // guards what follows
	conditions map[conditionName]event.Condition
	lowSpace   event.Condition // as it was measured, stored or not; Since is zero: there is room
}

type conditionName struct{ kind, subject string }

func nameOf(c event.Condition) conditionName { return conditionName{c.Kind, c.Subject} }

// remember takes up what is stored. Stale are the conditions of accounts that
// the configuration no longer names.
func (o *owner) remember(stored []event.Condition) (stale []event.Condition) {
	o.passes, o.rows = make(map[string]int), make(map[string]time.Time)
	o.well, o.wellAt = make(map[string]time.Duration), make(map[string]time.Time)
	o.conditions = make(map[conditionName]event.Condition)
	for _, c := range stored {
		_, configured := o.intervals[c.Subject]
		switch {
		case (c.Kind == event.ConditionAccount || c.Kind == event.ConditionRecovered) && !configured:
			stale = append(stale, c)
		case c.Kind == event.ConditionRecovered:
			o.conditions[nameOf(c)] = c.TakenUp(time.Now())
		case c.Kind != event.ConditionRule:
			o.conditions[nameOf(c)], o.well[c.Subject], o.wellAt[c.Subject] = c, c.Well, c.WellAt
		}
	}
	return stale
}

// open lists what the owner was told of and is not over. Rules are not among it; a full
// disk is, told or not. An account that is only watched after a relapse is polled.
func (o *owner) open() []event.Condition {
	o.mu.Lock()
	defer o.mu.Unlock()
	told := maps.Clone(o.conditions)
	if _, stored := told[nameOf(o.lowSpace)]; !stored && !o.lowSpace.Since.IsZero() {
		told[nameOf(o.lowSpace)] = o.lowSpace
	}
	well := make(map[string]bool)
	for _, s := range o.accounts() {
		well[s.Account] = s.Error == "" && s.Foreign == ""
	}
	maps.DeleteFunc(told, func(_ conditionName, c event.Condition) bool { return c.Untold || c.Relapse && well[c.Subject] })
	return slices.SortedFunc(maps.Values(told), func(a, b event.Condition) int {
		return strings.Compare(a.Kind+" "+a.Subject, b.Kind+" "+b.Subject)
	})
}

// sinceStart corrects since when an account fails by what an earlier process knew.
func (o *owner) sinceStart(s *poller.Status) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, known := o.conditions[conditionName{event.ConditionAccount, s.Account}]
	if known && s.Error != "" && c.Since.Before(s.ErrorSince) {
		s.ErrorSince = c.Since
	}
}

// Run looks until the context ends.
func (o *owner) Run(ctx context.Context) error {
	ticker := time.NewTicker(ownerEvery)
	defer ticker.Stop()
	for stopped := (stop{}); ; {
		if now := time.Now(); !stopped.lately(now) {
			o.look(ctx, now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// stop finds out that the process was stopped for a while, as in a container that is
// paused: all looks old then until what is due was done.
type stop struct{ last, ended time.Time }

// lately says whether the process goes on since a moment ago; it is asked each second.
func (s *stop) lately(now time.Time) bool {
	if !s.last.IsZero() && now.Sub(s.last) > stoppedFor {
		s.ended = now
	}
	s.last = now
	return !s.ended.IsZero() && now.Sub(s.ended) < stopForgiven
}

// look commits what has changed. What could not be committed is found again.
func (o *owner) look(ctx context.Context, now time.Time) {
	tx := &event.Tx{}
	o.lookAtAccounts(ctx, tx, now)
	o.lookAtSpace(tx, now)
	verdicts := o.verdicts.take()
	done := func(bool) {}
	if len(verdicts) > 0 {
		done = o.watch.Count(verdicts, tx)
	}
	err := o.commit(ctx, tx) // an empty one costs nothing
	done(err == nil)
	if err != nil {
		o.verdicts.putBack(verdicts)
		clear(o.rows)
		if ctx.Err() == nil {
			o.log.Error("an alert could not be stored, so that nobody is told yet; it is tried again", loglimit.Repeats("owner"), slog.Any("error", err))
		}
		return
	}
	o.apply(tx)
}

// apply takes over what was committed, and tells of it.
func (o *owner) apply(tx *event.Tx) {
	o.mu.Lock()
	for _, c := range tx.Cleared {
		delete(o.conditions, nameOf(c))
	}
	for _, c := range tx.Raised {
		if c.Kind != event.ConditionRule {
			o.conditions[nameOf(c)] = c
		}
	}
	o.mu.Unlock()
	if len(tx.Notices) == 0 {
		return
	}
	var events []event.Event
	var deliveries []event.Delivery
	for _, n := range tx.Notices {
		logTold(o.log, &n)
		events, deliveries = append(events, n.Event), append(deliveries, n.Deliveries...)
	}
	o.committed(events, deliveries)
}

// logTold logs that an event about notifier itself is stored. Dead letters may be many.
func logTold(log *slog.Logger, n *event.Notice) {
	said := "an event about notifier itself is stored, and is sent as the rules with on: system say"
	if len(n.Deliveries) == 0 {
		said = "an event about notifier itself is stored, but nobody is told of it: no rule with on: system sends it anywhere"
	}
	attrs := []slog.Attr{slog.String("event", n.Event.ID), slog.String("type", n.Event.Type), slog.String("subject", n.Event.Subject), slog.Int("deliveries", len(n.Deliveries))}
	if n.Event.Type == event.DeliveryDead {
		attrs = append(attrs, loglimit.Repeats("told "+n.Event.Subject))
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, said, attrs...)
}

// tell adds an event with who hears of it.
func (o *owner) tell(tx *event.Tx, e event.Event, err error) {
	if err != nil { // of data that has no JSON, which ours has
		o.log.Error("an event about notifier itself could not be made", "error", err)
		return
	}
	tx.Notices = append(tx.Notices, o.announce(e))
}

func (o *owner) lookAtAccounts(ctx context.Context, tx *event.Tx, now time.Time) {
	for _, s := range o.accounts() {
		c, known := o.conditions[conditionName{event.ConditionAccount, s.Account}]
		open := known && !c.Untold
		troubled := s.Error != "" || s.Foreign != ""
		// A pass that was due, the first one at the start, has read no page of the list for ten
		// seconds. An API that hangs fails no request of a process that ends before its timeout.
		unread := !s.Read.IsZero() && now.Sub(s.Read) >= 2*rowEvery && now.Sub(s.NextPass) >= 2*rowEvery
		if troubled {
			o.well[s.Account], o.passes[s.Account] = 0, s.Passes
		} else if s.Passes > o.passes[s.Account] {
			o.well[s.Account] += ownerEvery // the time since the last look, but what the process was stopped for
			o.wellAt[s.Account] = now.UTC()
		}
		switch {
		case troubled && open:
			was, wellAt := c, o.wellAt[s.Account]
			c.Well, c.Why = 0, cmp.Or(s.Foreign, s.Error)
			again := c.Relapse && wellAt.After(c.WellBefore) && now.Sub(wellAt) >= relapseWithin // who saw it well may think that all is mended
			if again {
				o.tellFailing(tx, &c, &s, wellAt, now)
			} else if !strings.Contains(c.Cause, causeOf(&s)) { // it was told that the trouble may pass by itself
				o.tellFailing(tx, &c, &s, c.Since, now)
			}
			if c != was {
				tx.Raised = append(tx.Raised, c)
			}
		case troubled, !open && unread:
			last := c.Last
			c = o.row(c, &s, now)
			if o.failing(ctx, &s, &c, now) {
				c = c.Told(o.conditions[conditionName{event.ConditionRecovered, s.Account}], relapseWithin)
				o.tellFailing(tx, &c, &s, c.Since, now)
			}
			if !c.Untold || !last.Equal(c.Last) {
				tx.Raised = append(tx.Raised, c)
			}
		case known && !open && s.Healthy:
			tx.Cleared = append(tx.Cleared, c)
		case open && c.Relapse && o.well[s.Account] < relapseWithin:
			if o.well[s.Account] >= c.Well+rowEvery {
				c.Well, c.WellAt = o.well[s.Account], o.wellAt[s.Account]
				tx.Raised = append(tx.Raised, c)
			}
		case open && s.Passes >= o.passes[s.Account]+wellPasses:
			e, err := accountRecoveredEvent(c, &s, now)
			tx.Cleared, tx.Raised = append(tx.Cleared, c), append(tx.Raised, event.Recovered(s.Account, now))
			o.tell(tx, e, err)
		}
	}
}

// tellFailing tells that an account fails, since when, and what keeps it from being polled at
// present.
func (o *owner) tellFailing(tx *event.Tx, c *event.Condition, s *poller.Status, since, now time.Time) {
	if cause := causeOf(s); !strings.Contains(c.Cause, cause) {
		c.Cause = strings.TrimSpace(c.Cause + " " + cause)
	}
	c.WellBefore = o.wellAt[s.Account]
	e, err := accountFailingEvent(*c, s, since, now)
	o.tell(tx, e, err)
}

// row is the condition of an account in trouble that is untold: what an earlier process
// left goes on unless the account was well meanwhile. It is the same trouble while its
// error stays, or no page of the list was read. What lasts is stored from time to
// time: what was not, before a crash, counts as time in which the program did not run.
func (o *owner) row(c event.Condition, s *poller.Status, now time.Time) event.Condition {
	since := cmp.Or(s.ErrorSince, s.Read, now).UTC()
	began, seen := o.rows[s.Account]
	switch {
	case seen && (began.Equal(since) || !s.Read.After(began)) && !c.Last.IsZero():
		if now.Sub(c.Last) >= rowEvery {
			c.Last = now.UTC()
		}
		c.Since = earlier(since, c.Since)
	case !seen && s.Passes == 0 && c.Untold && !c.Last.After(now):
		c.Away += max(0, s.Read.Sub(c.Last))
		c.Last = now.UTC()
	default:
		c = event.Condition{Kind: event.ConditionAccount, Subject: s.Account, Since: since, Last: now.UTC(), Untold: true}
	}
	o.rows[s.Account] = since
	c.Why = cmp.Or(s.Foreign, s.Error, "the API does not answer when it is asked for the list of sessions")
	return c
}

// causeOf is what somebody must mend before an account goes on, "" if nothing is known.
func causeOf(s *poller.Status) string {
	switch {
	case s.Foreign != "":
		return "foreign"
	case s.Denied:
		return "denied"
	}
	return ""
}

// failing says whether an account in trouble is to be told of: what may pass by itself once it
// has lasted, and the API, which may be well again, has failed over a question asked since then,
// or answered none for a while.
func (o *owner) failing(ctx context.Context, s *poller.Status, c *event.Condition, now time.Time) bool {
	end := c.Since.Add(c.Away + max(failingAfter, failingIntervals*o.intervals[s.Account]))
	over := now.Sub(end)
	if over >= 0 && over < 3*ownerEvery && causeOf(s) == "" {
		o.ask(ctx, s.Account)
	}
	return causeOf(s) != "" || over >= answerWithin || over >= 0 && !s.Failed.Before(end)
}

// needed is how much must be free for a store of a size.
func needed(size int64) int64 { return max(leastSpace, size) }

// roomAgain is how much must be free until the disk counts as filled no more: it is not
// told of again and again where the space goes up and down around what is needed.
func roomAgain(size int64) int64 { return needed(size) * 3 / 2 }

func spaceText(free, size int64) string {
	if free >= needed(size) && free < roomAgain(size) {
		return fmt.Sprintf("%s are free, and this is over when %s are (half as much again as is needed)", sizeText(free), sizeText(roomAgain(size)))
	}
	return fmt.Sprintf("%s are free and %s are needed (256 MiB, which is 268.4 MB, or as much as the file has, %s)", sizeText(free), sizeText(needed(size)), sizeText(size))
}

func (o *owner) lookAtSpace(tx *event.Tx, now time.Time) {
	free, size, err := o.space()
	if err != nil {
		if !o.spaceError && !errors.Is(err, errors.ErrUnsupported) {
			o.log.Warn("the free space of the state file's disk is unknown", "error", err)
		}
		o.spaceError = true
		return
	}
	o.spaceError = false
	o.mu.Lock()
	defer o.mu.Unlock()
	c, stored := o.conditions[conditionName{event.ConditionStore, event.SubjectStore}]
	low := !o.lowSpace.Since.IsZero()
	switch {
	case free >= roomAgain(size) && stored:
		tx.Cleared = append(tx.Cleared, c)
		o.log.Info("there is room again on the disk of the state file", "free_bytes", free)
	case free >= roomAgain(size) && low:
		o.log.Warn("there is room again on the disk of the state file; there was too little, and the alert of it could not be stored: nobody was told",
			"since", o.lowSpace.Since, "free_bytes", free)
	case free >= needed(size) && !low, stored:
		return
	default:
		if !low {
			o.lowSpace = event.Condition{Kind: event.ConditionStore, Subject: event.SubjectStore, Since: now.UTC(), Why: spaceText(free, size)}
		}
		e, err := lowSpaceEvent(o.lowSpace, o.path, free, size, now)
		tx.Raised = append(tx.Raised, o.lowSpace)
		o.tell(tx, e, err)
		return
	}
	o.lowSpace = event.Condition{}
}
