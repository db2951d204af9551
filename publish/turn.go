package publish

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// nextTurn says how the loop of a lane goes on after a turn.
type nextTurn struct {
	wait time.Duration // until the next turn, unless the loop is woken before
	idle bool          // no attempt is under way, and none can be started now
}

// turn is one round of the loop: it stores the results of attempts, and starts attempts of
// what is due and may be sent.
func (l *lane) turn(send context.Context) nextTurn {
	l.writing <- struct{}{}
	defer func() { <-l.writing }()
	now := time.Now()
	if l.collect(now) && l.closed(now) == 0 && l.available(send, now) == 0 {
		l.start(send, nil)
	}
	if wait := l.storeWait(now); wait > 0 {
		return nextTurn{wait: wait, idle: l.still()}
	}
	if wait := l.gather(now); wait > 0 {
		return nextTurn{wait: wait}
	}
	l.tell(send)
	l.tellRefused(send, now)
	step, refused, err := l.takeResults(send)
	if err != nil {
		return l.failing("reading what an accepted delivery has overtaken", err)
	}
	tasks, wait, err := l.plan(send, now, &step)
	if err != nil {
		l.putBack(&step, tasks, nil)
		return l.failing("reading what is due", err)
	}
	if step.Empty() {
		l.start(send, nil) // what was begun before, if its senders met a pause that is over
		wait = min(wait, l.markTrouble(send, now, false))
		return nextTurn{wait: wait, idle: l.still()}
	}
	if err := l.take(send, &step, tasks, refused); err != nil {
		return l.failing("writing deliveries down", err)
	}
	l.start(send, tasks)
	return nextTurn{}
}

// collect adds the attempts that commits have stored (see Outbox.Offer) to what is to be
// sent, and offers the free slots to the next commits: so the first attempt of a delivery to
// an idle destination needs no write of its own, and waits for none.
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
	case l.stopping, l.tally != nil, l.down(), l.window > 0, l.pacer.limiter != nil,
		l.broken(), s.Recovering, !s.Paused.IsZero(), s.Throttled.After(now),
		len(l.subjects.known) > 0, q.size() > 0, q.moreNewest, q.moreFresh, q.moreLate:
		return 0
	}
	return max(0, l.dest.Concurrency-l.sending.all-len(l.begun))
}

// failing ends a turn in which the state file failed.
func (l *lane) failing(doing string, err error) nextTurn {
	l.log.Error("the state file failed while "+doing+": nothing is lost, and it is tried again", loglimit.Repeats(doing), slog.Any("error", err))
	return nextTurn{wait: l.storeFailed(time.Now()), idle: l.still()}
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

// room returns how many attempts may be begun, and how many of them of deliveries
// that were refused before.
func (l *lane) room() (all, late int) {
	most := l.dest.Concurrency
	switch {
	case l.down():
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
		from := l.queue.nextList(lateRoom)
		if from == nil {
			break
		}
		if pause := l.pacer.leave(now); pause > 0 {
			wait = min(wait, pause)
			break
		}
		job := l.queue.take(from)
		if key, _ := l.incident(job); l.paging[key] != "" {
			l.unclaim(job.Delivery.ID)
			l.queue.unseen = true
			continue // the end of that one brings the next turn
		}
		if job.Delivery.Repeated() {
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
	if key, _ := l.incident(job); key != "" {
		l.paging[key] = d.ID
	}
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
