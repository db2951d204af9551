package publish_test

import (
	"cmp"
	"context"
	"errors"
	"hash/crc32"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// memoryOutbox is an outbox without a disk: what a store promises, in memory.
type memoryOutbox struct {
	mu         sync.Mutex
	deliveries []*row // in the order of events
	byID       map[string]*row
	bySession  map[[2]string][]*row // by destination and session, in the order of events
	states     map[string]event.DestinationState
	notices    []event.Notice
	audit      []event.AuditEntry
	looks      int
	verdicts   int
	fail       error  // what every write returns, when set
	bad        string // the delivery of which no verdict can be written
	blind      error  // what every look returns, when set
	slow       bool   // others come in between a look and its answer
	beginnings int    // attempts that were begun by a step
	slots      map[string]int
	begun      map[string][]event.Job // with their commits, since the last Offer
}

type row struct {
	event.Delivery
	event    event.Event
	attempts map[int]event.Attempt
}

func newOutbox() *memoryOutbox {
	return &memoryOutbox{
		byID: map[string]*row{}, bySession: map[[2]string][]*row{},
		states: map[string]event.DestinationState{}, slots: map[string]int{}, begun: map[string][]event.Job{},
	}
}

// put adds a delivery of a sample event and returns its id.
func (o *memoryOutbox) put(destination, session string, change ...func(*event.Delivery)) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.deliveries)
	e := event.SampleEvent(event.Paid)
	e.Session = session
	e.ID = event.ID("main", session, event.Paid, n)
	d := event.Delivery{
		ID: event.DeliveryID(e.ID, destination, ""), EventID: e.ID, EventType: e.Type, Account: "main", Session: session,
		Destination: destination, Rules: []string{"ship"}, Ordered: true, Created: time.Now(), Due: time.Now(),
		Status: event.StatusPending,
	}
	for _, f := range change {
		f(&d)
	}
	r := &row{Delivery: d, event: e, attempts: map[int]event.Attempt{}}
	o.deliveries = append(o.deliveries, r)
	o.byID[r.ID] = r
	o.bySession[r.queue()] = append(o.bySession[r.queue()], r)
	if o.slots[destination] > 0 && !d.Due.IsZero() && !d.Due.After(d.Created) && d.Slots == 0 && (!d.Ordered || len(o.earlier(r)) == 0) {
		o.slots[destination]--
		o.begun[destination] = append(o.begun[destination], o.job(r))
		r.attempts[1] = event.Attempt{DeliveryID: d.ID, N: 1, Started: d.Created, Outcome: event.OutcomeUnknown}
	}
	return d.ID
}

func (o *memoryOutbox) Offer(destination string, slots int) []event.Job {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slots[destination] = slots
	begun := o.begun[destination]
	delete(o.begun, destination)
	return begun
}

// held says whether a delivery was begun with its commit and not had by Offer.
func (o *memoryOutbox) held(r *row) bool {
	return slices.ContainsFunc(o.begun[r.Destination], func(job event.Job) bool { return job.Delivery.ID == r.ID })
}

func (o *memoryOutbox) get(id string) row {
	o.mu.Lock()
	defer o.mu.Unlock()
	return *o.find(id)
}

func (o *memoryOutbox) find(id string) *row { return o.byID[id] }

// queue is whose deliveries wait for one another.
func (r *row) queue() [2]string { return [2]string{r.Destination, r.Session} }

func (o *memoryOutbox) pending() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.deliveries {
		if r.Status == event.StatusPending {
			n++
		}
	}
	return n
}

func (o *memoryOutbox) Due(_ context.Context, destination string, look event.Look) ([]event.Job, time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks++
	if o.blind != nil {
		return nil, time.Time{}, o.blind
	}
	var due []*row
	var next time.Time
	for _, r := range o.deliveries {
		if r.Destination != destination || r.Status != event.StatusPending || r.Due.IsZero() || o.held(r) || look.Skip(r.ID) {
			continue
		}
		if r.Due.After(look.Now) {
			if next.IsZero() || r.Due.Before(next) {
				next = r.Due
			}
			continue
		}
		due = append(due, r)
	}
	slices.SortStableFunc(due, func(a, b *row) int { return cmp.Compare(a.Due.UnixNano(), b.Due.UnixNano()) })
	defer func() {
		if o.slow {
			o.mu.Unlock()
			for range 100 {
				runtime.Gosched()
			}
			o.mu.Lock()
		}
	}()
	var jobs []event.Job
	slices.SortStableFunc(due, func(a, b *row) int {
		switch {
		case a.Repeated() == b.Repeated():
			return 0
		case a.Repeated():
			return 1
		}
		return -1
	})
	fresh := len(due)
	if n := slices.IndexFunc(due, func(r *row) bool { return r.Repeated() }); n >= 0 {
		fresh = n
	}
	for _, r := range slices.Backward(due[:fresh]) {
		if len(jobs) < look.Newest && r.Due.After(look.After) && !r.SentAgain() {
			jobs = append(jobs, o.job(r))
		}
	}
	due = slices.DeleteFunc(due, func(r *row) bool {
		return slices.ContainsFunc(jobs, func(j event.Job) bool { return j.Delivery.ID == r.ID })
	})
	for _, r := range due {
		limit := &look.First
		switch {
		case r.Repeated():
			limit = &look.Again
		case r.SentAgain():
			limit = &look.SentAgain
		}
		if *limit--; *limit < 0 {
			continue
		}
		jobs = append(jobs, o.job(r))
	}
	return jobs, next, nil
}

func (o *memoryOutbox) job(r *row) event.Job {
	job := event.Job{Delivery: r.Delivery, Event: r.event}
	for n := range r.attempts {
		job.Delivery.Attempts = max(job.Delivery.Attempts, n)
	}
	if r.Ordered {
		job.Earlier = o.earlier(r)
	}
	return job
}

func (o *memoryOutbox) earlier(of *row) (earlier []event.Delivery) {
	for _, r := range o.bySession[of.queue()] {
		if r == of {
			break
		}
		if r.Status == event.StatusPending {
			earlier = append(earlier, r.Delivery)
		}
	}
	return earlier
}

func (o *memoryOutbox) Take(_ context.Context, step event.Step) (met event.Stepped, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return met, o.fail
	}
	if slices.ContainsFunc(step.Resolved, func(v event.Verdict) bool { return v.Delivery.ID == o.bad }) {
		return met, errors.New("the row cannot be written")
	}
	gone := func(id string) bool {
		if o.find(id).Status == event.StatusPending {
			return false
		}
		met.Gone = append(met.Gone, id)
		return true
	}
	if step.Standing != nil {
		o.stand(*step.Standing)
	}
	for _, v := range append(slices.Clone(step.Parked), step.Resolved...) {
		if gone(v.Delivery.ID) {
			continue
		}
		woke, err := o.resolve(&v)
		if err != nil {
			return met, err
		}
		met.Woke = met.Woke || woke
	}
	for _, b := range step.Withdrawn {
		r := o.find(b.Delivery.ID)
		delete(r.attempts, b.Attempt.N)
		if b.Overtakes {
			r.Overtook = nil
		}
	}
	for _, b := range step.Begun {
		if gone(b.Delivery.ID) {
			continue
		}
		r := o.find(b.Delivery.ID)
		if b.Overtakes {
			r.Overtook = b.Delivery.Overtook
		}
		r.attempts[b.Attempt.N] = b.Attempt
		o.beginnings++
	}
	for _, u := range step.Unblocked {
		var ids []string
		for _, r := range o.deliveries {
			if len(ids) < u.Limit && r.Destination == u.Destination && r.Blocked() && r.BlockedSubject == u.Subject {
				r.Due = u.Due
				ids = append(ids, r.ID)
			}
		}
		met.Unblocked = append(met.Unblocked, ids)
	}
	return met, nil
}

func (o *memoryOutbox) BlockedSubjects(_ context.Context, destination, after string, limit int) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var subjects []string
	for _, r := range o.deliveries {
		if r.Destination == destination && r.Blocked() && r.BlockedSubject > after {
			subjects = append(subjects, r.BlockedSubject)
		}
	}
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	return subjects[:min(len(subjects), limit)], nil
}

func (o *memoryOutbox) resolve(v *event.Verdict) (woke bool, err error) {
	o.verdicts++
	r := o.find(v.Delivery.ID)
	r.Delivery = v.Delivery
	r.Due = v.Retry
	if v.Attempt != nil {
		if _, begun := r.attempts[v.Attempt.N]; !begun {
			return false, errors.New("a result of an attempt that was never begun")
		}
		r.attempts[v.Attempt.N] = *v.Attempt
	}
	switch {
	case v.Accepted:
		r.Status, r.Finished, r.Due = event.StatusAccepted, v.At, time.Time{}
	case v.Dead != "":
		r.Status, r.Finished, r.Reason, r.Due = event.StatusDead, v.At, v.Dead, time.Time{}
	case v.Void != "":
		r.Status, r.Finished, r.Reason, r.Due = event.StatusPurged, v.At, v.Void, time.Time{}
	case r.Due.IsZero() && !r.Blocked() && len(o.earlier(r)) == 0:
		r.Due = v.At
	}
	if r.Status != event.StatusPending {
		woke = o.release(r, v.At)
	} else if !v.Release.IsZero() {
		woke = o.release(r, v.Release)
	}
	state := o.states[r.Destination]
	state.Name = r.Destination
	state.Up(v.UpClock, v.At)
	o.states[r.Destination] = state
	o.notices = append(o.notices, v.Notices...)
	return woke, nil
}

func (o *memoryOutbox) Pick(_ context.Context, destination string, newest bool, skip func(*event.Delivery) bool, fits func(*event.Job) bool) (event.Job, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rows := slices.Clone(o.deliveries)
	if newest {
		slices.Reverse(rows)
	}
	for _, r := range rows {
		if r.Destination != destination || r.Status != event.StatusPending || r.Blocked() || o.held(r) || skip(&r.Delivery) {
			continue
		}
		if job := o.job(r); fits(&job) {
			return job, true, nil
		}
	}
	return event.Job{}, false, nil
}

func (o *memoryOutbox) Hasten(_ context.Context, destination string, now time.Time, limit int) (n int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.deliveries {
		if r.Destination == destination && r.Status == event.StatusPending && r.Due.After(now) && n < limit {
			r.Due = now
			if r.Slots > 1 {
				r.Slots--
			}
			n++
		}
	}
	return n, o.fail
}

func (o *memoryOutbox) SaveStanding(_ context.Context, c event.StandingChange) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.stand(c)
	return nil
}

func (o *memoryOutbox) stand(c event.StandingChange) {
	state := o.states[c.Destination]
	state.Name = c.Destination
	state.Up(c.UpClock, c.Standing.Changed)
	if c.Standing.Version > state.Standing.Version {
		state.Standing = c.Standing
	}
	o.states[c.Destination] = state
	o.notices = append(o.notices, c.Notices...)
	if c.Audit != nil {
		o.audit = append(o.audit, *c.Audit)
	}
}

// release makes the next delivery of a session due that waits for earlier ones:
// parked, or looking again later whether a hold has run out.
func (o *memoryOutbox) release(after *row, at time.Time) (woke bool) {
	for _, r := range o.bySession[after.queue()] {
		waits := r.Due.IsZero() && !r.Blocked() || r.Slots == 0 && r.Due.After(at)
		if r != after && r.Status == event.StatusPending && r.Ordered && waits {
			r.Due = at
			return true
		}
	}
	return false
}

func (o *memoryOutbox) Destinations(context.Context) ([]event.DestinationState, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var states []event.DestinationState
	for name, state := range o.states {
		for _, r := range o.deliveries {
			if r.Destination == name && r.Status == event.StatusPending {
				state.Pending++
			}
			if r.Destination == name && !r.Due.IsZero() {
				state.Refused = min(event.MostRefused, state.Refused+min(1, r.Slots))
				if r.HeldAt != nil && r.Slots > 0 && r.Attempts >= event.OftenRefused {
					last := r.attempts[r.Attempts]
					refusal := event.Refusal{Up: *r.HeldAt, Last: last.RefusedAt()}
					for n := 1; refusal.First.IsZero() && n <= r.Attempts; n++ {
						a := r.attempts[n]
						refusal.First = a.RefusedAt()
					}
					state.Refusals = append(state.Refusals, refusal)
				}
			}
		}
		states = append(states, state)
	}
	return states, nil
}

// sent is one message that a receiver was handed.
type sent struct {
	at       time.Time
	delivery event.Delivery
}

// receiver is a publisher in memory. answer decides about each message; nil
// accepts all.
type receiver struct {
	mu     sync.Mutex
	log    []sent
	answer func(ctx context.Context, n int, m publish.Message) publish.Result
}

func (r *receiver) Publish(ctx context.Context, m publish.Message) publish.Result {
	r.mu.Lock()
	r.log = append(r.log, sent{time.Now(), m.Delivery})
	n, answer := len(r.log), r.answer
	r.mu.Unlock()
	if answer == nil {
		return accepted()
	}
	return answer(ctx, n, m)
}

func (r *receiver) sent() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

func (r *receiver) reply(answer func(ctx context.Context, n int, m publish.Message) publish.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func accepted() publish.Result {
	return publish.Result{Outcome: event.OutcomeAccepted, Contact: publish.ContactMade}
}

func refused(status int) publish.Result {
	return publish.Result{
		Outcome: event.OutcomeRefused, Contact: publish.ContactMade, Class: publish.ClassStatus, StatusCode: status,
		Error: "answered " + strconv.Itoa(status),
	}
}

func unreachable() publish.Result {
	return publish.Result{Outcome: event.OutcomeRefused, Contact: publish.ContactFailed, Class: publish.ClassConnect, Error: "connection refused", Unsent: true}
}

func gone() publish.Result {
	return publish.Result{Outcome: event.OutcomeUnavailable, Contact: publish.ContactFailed, Class: publish.ClassNATS, Error: "no stream"}
}

// exact is an HTTP destination whose schedule has no chance in it.
func exact(name string) publish.Destination {
	d := publish.DefaultHTTP()
	d.Name = name
	d.Retry.Jitter = 0
	return d
}

// relay makes a relay of a test.
//
// The race detector makes simulated hours ten times as slow. Of the scenes with simulated time,
// which are subtests, it sees about one in eight, the same ones in each run and of some tests
// none: there the subtest passes without doing anything. "make full" runs all of them without
// the detector.
func relay(t *testing.T, o publish.Outbox, options publish.Options, lanes ...publish.Lane) *publish.Relay {
	t.Helper()
	simulated := time.Now().Year() < 2026 // a bubble's clock starts in 2000
	if _, scene, ok := strings.Cut(t.Name(), "/"); ok && raceEnabled && simulated && crc32.ChecksumIEEE([]byte(scene))%8 != 0 {
		t.Skip("this scene is not among those that the race detector sees")
	}
	r, err := publish.NewRelay(o, lanes, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run starts a relay and returns what stops it.
func run(t *testing.T, r *publish.Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}
