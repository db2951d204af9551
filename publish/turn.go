package publish

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// turn says what a turn of the loop came to.
type turn struct {
	wait time.Duration // until the next one, unless called
	idle bool          // nothing is under way, and nothing can be begun now
}

// turn writes down what came of attempts, and begins what is due and may be sent.
func (l *lane) turn(send context.Context) turn {
	l.writing <- struct{}{}
	defer func() { <-l.writing }()
	now := time.Now()
	if l.collect(now) && l.closed(now) == 0 && l.available(send, now) == 0 {
		l.start(send, nil)
	}
	if wait := l.storeWait(now); wait > 0 {
		return turn{wait: wait, idle: l.still()}
	}
	if wait := l.gather(now); wait > 0 {
		return turn{wait: wait}
	}
	l.tellAgain(send)
	step := event.Step{Resolved: l.takeResults()}
	tasks, wait, err := l.plan(send, now, &step)
	if err != nil {
		l.putBack(&step, tasks)
		return l.failing("reading what is due", err)
	}
	if step.Empty() {
		l.start(send, nil) // what was begun before, if its senders met a pause that is over
		return turn{wait: wait, idle: l.still()}
	}
	if err := l.take(send, &step, tasks); err != nil {
		return l.failing("writing deliveries down", err)
	}
	l.start(send, tasks)
	return turn{}
}

// collect adds what commits have begun to what is to be sent, and offers the slots
// that are free now to those that come: so the first attempt of a delivery to a
// destination that is idle costs no write of its own, and waits for none.
func (l *lane) collect(now time.Time) (found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		slots := l.spare(now)
		l.mu.Unlock()
		jobs := l.outbox.Offer(l.dest.Name, slots)
		l.mu.Lock()
		if len(jobs) == 0 {
			return found
		}
		found = true
		for i := range jobs {
			l.claim(&jobs[i])
			l.begun = append(l.begun, l.prepare(&jobs[i], now))
		}
	}
}

// spare returns how many slots commits may use: none if anything stands in the way
// of sending at once, or waits for its turn. The caller holds mu.
func (l *lane) spare(now time.Time) int {
	s, q := &l.standing, &l.queue
	switch {
	case l.stopping, l.tally != nil, l.health.down, l.window > 0, l.pacer.limiter != nil,
		l.broken(), s.Recovering, !s.Paused.IsZero(), s.Throttled.After(now),
		len(l.subjects.known) > 0, q.size() > 0, q.moreNewer, q.moreFresh, q.moreLate:
		return 0
	}
	return max(0, l.dest.Concurrency-l.sending.all-len(l.begun))
}

// failing is a turn that the store did not let happen.
func (l *lane) failing(doing string, err error) turn {
	l.log.Error(doing, loglimit.Repeats(doing), slog.Any("error", err))
	return turn{wait: l.storeFailed(time.Now()), idle: l.still()}
}

// still says whether nothing is under way or waits to be.
func (l *lane) still() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.claimed) == 0
}

// plan adds to a step what must wait and what begins. wait is how long nothing
// else can be begun.
func (l *lane) plan(send context.Context, now time.Time, step *event.Step) (tasks []task, wait time.Duration, err error) {
	if err := l.moreSubjects(send, now); err != nil {
		return nil, 0, err
	}
	if l.recovering() {
		if !step.Empty() {
			return nil, 0, nil // what the standing comes from is written down before it, with what the owner hears
		}
		if err := l.hasten(send, now); err != nil {
			return nil, 0, err
		}
	}
	if wait = l.closed(now); wait == 0 {
		wait = l.available(send, now)
	}
	if wait > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		step.Withdrawn = l.withdraw()
		if l.tally != nil && l.givesUp(wait, now) {
			l.drop() // a drain does not wait for what it has read ahead
		}
		return nil, wait, nil
	}
	if l.isBroken() {
		return l.planProbe(send, now, step)
	}
	l.sortAgain()
	if err := l.pass(send); err != nil {
		return nil, 0, err
	}
	if err := l.refill(send, now, step); err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	step.Withdrawn = l.withdrawBlocked()
	next := l.unblock(now, step)
	tasks, wait = l.pick(now)
	if !next.IsZero() {
		wait = max(time.Millisecond, min(wait, next.Sub(now)))
	}
	step.Begun = make([]event.Begin, 0, len(tasks))
	for i := range tasks {
		step.Begun = append(step.Begun, l.begin(&tasks[i]))
		if !tasks[i].late {
			l.starting++
		}
	}
	return tasks, wait, nil
}

// available asks a publisher that knows of itself whether it can send.
func (l *lane) available(send context.Context, now time.Time) (wait time.Duration) {
	p, ok := l.publisher.(Prober)
	if !ok {
		return 0
	}
	if err := p.Available(send); err != nil {
		return l.lost(send, err.Error(), now)
	}
	l.found(send, now)
	return 0
}

// sortAtOnce is how much is read at once where subjects are blocked: most of it may
// have to wait, and what is behind it should not.
const sortAtOnce = 512

// refill reads what is due, as far as there is room for it, and sorts out what
// must wait.
func (l *lane) refill(send context.Context, now time.Time, step *event.Step) error {
	l.mu.Lock()
	q, most := &l.queue, ahead(l.dest.Concurrency)
	if l.pacer.limiter != nil {
		most = leastAhead // what is read waits for the limiter: not so much that it grows stale
	}
	if len(l.subjects.known) > 0 {
		most = max(most, sortAtOnce)
	}
	room, _ := l.room()
	first, again := max(0, most-len(q.fresh)), max(0, most-len(q.late))
	wants := room > 0 && q.wants(now, room)
	if wants {
		q.unseen = false
	}
	l.mu.Unlock()
	if !wants {
		return nil
	}
	if err := l.readNewcomers(send, now, step); err != nil {
		return err
	}
	jobs, next, err := l.outbox.Due(send, l.dest.Name, time.Time{}, now, first, again, l.skip)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		q.unseen = true
		return err
	}
	q.looked, q.next = now, next
	late, stood := 0, len(l.stalled)
	for i := range jobs {
		if jobs[i].Delivery.Repeated() {
			late++
		}
		l.sort(&jobs[i], now, step)
	}
	q.moreFresh, q.moreLate = len(jobs)-late == first, late == again
	if len(jobs) > 0 && len(l.stalled)-stood == len(jobs) {
		q.sooner(now) // others may be behind those that stand still
	}
	return nil
}

// readNewcomers reads what came since the breaker opened, if that was of late.
func (l *lane) readNewcomers(send context.Context, now time.Time, step *event.Step) error {
	l.mu.Lock()
	q := &l.queue
	q.since, q.moreNewer = l.cameSince(now), false
	since, room := q.since, leastAhead-len(q.newer)
	l.mu.Unlock()
	if since.IsZero() || room <= 0 {
		return nil
	}
	jobs, _, err := l.outbox.Due(send, l.dest.Name, since, now, room, 0, l.skip)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		q.unseen = true
		return err
	}
	for i := range jobs {
		l.sort(&jobs[i], now, step)
	}
	q.moreNewer = len(jobs) == room
	return nil
}

// sort puts a due delivery into the queue, or adds to the step that it must wait.
func (l *lane) sort(job *event.Job, now time.Time, step *event.Step) {
	parked := l.decide(job, now)
	if parked == nil && !l.stalled[job.Delivery.ID] {
		parked = l.mustAwait(job, now)
	}
	switch {
	case parked != nil:
		step.Parked = append(step.Parked, *parked)
		l.noProbe(job.Delivery.ID)
	case l.stalled[job.Delivery.ID]:
		l.noProbe(job.Delivery.ID)
	default:
		l.claim(job)
		if l.passing[job.Delivery.ID] {
			l.queue.passing = append(l.queue.passing, job)
			return
		}
		l.queue.add(job)
	}
}

func (l *lane) claim(job *event.Job) {
	l.claimed[job.Delivery.ID] = true
	if l.tally != nil {
		l.tally.seen[job.Delivery.ID] = true
	}
}

// unclaim lets a delivery be read again: nothing came of it.
func (l *lane) unclaim(id string) {
	delete(l.claimed, id)
	delete(l.passing, id)
	if l.tally != nil {
		delete(l.tally.seen, id)
	}
}

func (l *lane) skip(deliveryID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.claimed[deliveryID] || l.stalled[deliveryID] || l.tally != nil && l.tally.seen[deliveryID]
}

// room returns how many attempts may be begun, and how many of them of deliveries
// that were refused before.
func (l *lane) room() (all, late int) {
	most := l.dest.Concurrency
	switch {
	case l.health.down:
		most = 1 // a probe
	case l.window > 0:
		most = min(most, l.window)
	case l.pacer.limiter == nil:
		most += min(3*l.early, 4*l.dest.Concurrency)
	}
	begun := l.sending
	for i := range l.begun {
		begun.add(&l.begun[i], 1)
	}
	return max(0, most-begun.all), max(0, lateSlots(l.dest.Concurrency)-begun.late)
}

// pick takes from the queue what may be begun now.
func (l *lane) pick(now time.Time) (tasks []task, wait time.Duration) {
	room, lateRoom := l.room()
	if wait = l.queue.wait(now); room == 0 {
		wait = idleLook // until an attempt ends
	}
	tasks = make([]task, 0, min(room, l.queue.size()))
	for ; room > 0; room-- {
		job, late, ok := l.queue.pop(lateRoom)
		if !ok {
			break
		}
		if pause := l.pacer.leave(now); pause > 0 {
			if l.passing[job.Delivery.ID] {
				l.queue.passing = append(l.queue.passing, job)
			} else {
				l.queue.put(job)
			}
			wait = min(wait, pause)
			break
		}
		if late {
			lateRoom--
		}
		tasks = append(tasks, l.prepare(job, now))
	}
	for i := range l.queue.passing {
		l.unclaim(l.queue.passing[i].Delivery.ID)
		l.queue.unseen = true
	}
	l.queue.passing = nil
	return tasks, wait
}

func (l *lane) prepare(job *event.Job, now time.Time) task {
	d := &job.Delivery
	return task{
		job: job, late: d.Repeated(), asked: slices.Contains(l.asked, d.ID),
		attempt: event.Attempt{DeliveryID: d.ID, N: l.number(d), Started: now, Outcome: event.OutcomeUnknown, Actor: d.Actor},
	}
}

// number returns the number of the next attempt. A row that a crash left
// without a result keeps its number; one that found the destination
// unavailable is written again, so that an outage does not fill the store.
func (l *lane) number(d *event.Delivery) int {
	n, again := l.reuse[d.ID]
	delete(l.reuse, d.ID)
	if again && n == d.Attempts {
		return n
	}
	return d.Attempts + 1
}

// begin is the part of a step that makes an attempt durable, and with it what the
// delivery overtakes, so that a crash cannot change what was said of it.
func (l *lane) begin(t *task) event.Begin {
	return event.Begin{Delivery: t.job.Delivery, Attempt: t.attempt, Overtakes: l.passing[t.job.Delivery.ID]}
}

// withdraw gives up what was begun and not sent.
func (l *lane) withdraw() (withdrawn []event.Begin) {
	l.leaving, l.begun, l.overtaken = append(l.overtaken, l.begun...), nil, nil
	for i := range l.leaving {
		withdrawn = append(withdrawn, l.begin(&l.leaving[i]))
	}
	return withdrawn
}

// take writes a step down and draws the conclusions.
func (l *lane) take(send context.Context, step *event.Step, tasks []task) error {
	// The store is local: a shutdown must not keep a result from being written.
	met, err := l.outbox.Take(context.WithoutCancel(send), *step)
	if err != nil {
		l.putBack(step, tasks)
		return err
	}
	l.mu.Lock()
	l.health.stores.reset()
	l.health.storeless = time.Time{}
	for i := range step.Resolved {
		v := &step.Resolved[i]
		delete(l.claimed, v.Delivery.ID)
		if v.Attempt.Outcome == event.OutcomeUnavailable {
			l.reuse[v.Delivery.ID] = v.Attempt.N
			l.waitsFor(v)
		}
		l.queue.sooner(v.Retry)
		l.queue.sooner(v.Release)
		if v.Dead != "" && len(l.stalled) > 0 {
			l.unstall() // one may have waited for this, which a contact need not follow
		}
	}
	for i := range step.Parked {
		l.queue.sooner(step.Parked[i].Retry)
		l.queue.sooner(step.Parked[i].Release)
	}
	for i, ids := range met.Unblocked {
		l.unblocked(&step.Unblocked[i], ids)
	}
	for i := range step.Withdrawn {
		b := &step.Withdrawn[i]
		l.unclaim(b.Delivery.ID)
		if b.Attempt.N == b.Delivery.Attempts {
			l.reuse[b.Delivery.ID] = b.Attempt.N
		}
	}
	l.leaving = nil
	l.queue.unseen = l.queue.unseen || met.Woke || len(step.Withdrawn) > 0
	for _, id := range met.Gone {
		l.unclaim(id)
	}
	l.mu.Unlock()
	l.told(step.Resolved, met.Gone)
	return nil
}

// putBack takes up again what could not be written down: results behind the
// others, what was to begin at the front.
func (l *lane) putBack(step *event.Step, tasks []task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starting = 0
	for i := range step.Resolved {
		l.results = append(l.results, outcome{verdict: step.Resolved[i]})
	}
	for i := range step.Unblocked {
		if b := l.subjects.known[step.Unblocked[i].Subject]; b != nil {
			b.next = time.Now()
			l.subjects.sooner(b.next)
		}
	}
	for i := range slices.Backward(tasks) {
		if d := &tasks[i].job.Delivery; tasks[i].attempt.N == d.Attempts {
			l.reuse[d.ID] = d.Attempts
		}
		id := tasks[i].job.Delivery.ID
		if tasks[i].probe || tasks[i].asked || l.passing[id] {
			l.unclaim(id)
			l.queue.unseen = true // who is overtaken may change
			continue
		}
		l.queue.put(tasks[i].job)
	}
	l.begun, l.leaving = append(l.leaving, l.begun...), nil
	l.queue.unseen = l.queue.unseen || len(step.Parked) > 0
}
