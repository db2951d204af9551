package publish

import (
	"context"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/event"
)

// What a later delivery did to an incident is what counts. An earlier one that was refused
// and comes after it would open an incident again that is over, and nobody would close it;
// or close one that was opened anew. So with a delivery that is accepted those of its
// incident that it has overtaken become void, unless they do the same to it, which harms
// nothing. And no two of one incident are under way at once: nobody could tell which of
// them the receiver takes last.

// Incident implements Pager.
func (h *HTTP) Incident(m Message) (key, action string) { return h.renderer.incident(&m) }

func (r *Renderer) incident(m *Message) (key, action string) {
	way, err := r.choose(m)
	if err != nil || way.format != FormatPagerDuty {
		return "", ""
	}
	n, err := newNotice(m, r.dest.Omit)
	if err != nil {
		return "", "" // it is never sent
	}
	return r.incidentOf(m, n)
}

// incident is what a delivery whose order is kept does to which incident.
func (l *lane) incident(job *event.Job) (key, action string) {
	if p, ok := l.publisher.(Pager); ok && job.Delivery.Ordered {
		return p.Incident(Message{Event: job.Event, Delivery: job.Delivery, Siblings: job.Siblings})
	}
	return "", ""
}

// void adds to a step what the deliveries that it accepts make void. refused is how many of
// these were refused. The caller does not hold mu.
func (l *lane) void(send context.Context, step *event.Step) (refused int, err error) {
	if _, ok := l.publisher.(Pager); !ok {
		return 0, nil
	}
	ctx := context.WithoutCancel(send) // a shutdown must not keep results from being written
	for i := range step.Resolved {
		by := &step.Resolved[i].Delivery
		if !step.Resolved[i].Accepted || len(by.Overtook) == 0 {
			continue
		}
		passed, err := l.overruled(ctx, by.ID)
		if err != nil {
			return 0, err
		}
		for _, d := range passed {
			now := time.Now()
			why := fmt.Sprintf("not sent again: a later event of its incident was accepted: %s (%s)", by.EventType, by.EventID)
			l.mu.Lock()
			up := l.clock.known(now)
			l.mu.Unlock()
			step.Parked = append(step.Parked, event.Verdict{Delivery: d, Void: why, At: now, UpClock: up, Notices: l.notices(rescued(&d, "is "+why, now), 0)})
			refused += min(1, d.Slots)
		}
	}
	return refused, nil
}

// overruled returns the deliveries of the incident of a pending one that come before it and
// do something else to it.
func (l *lane) overruled(ctx context.Context, id string) (passed []event.Delivery, err error) {
	other := func(d *event.Delivery) bool { return d.ID != id }
	job, found, err := l.outbox.Pick(ctx, l.dest.Name, false, other, func(*event.Job) bool { return true })
	key, action := l.incident(&job)
	if err != nil || !found || key == "" {
		return nil, err
	}
	left := len(job.Earlier)
	skip := func(d *event.Delivery) bool {
		return !slices.ContainsFunc(job.Earlier, func(e event.Delivery) bool { return e.ID == d.ID })
	}
	_, _, err = l.outbox.Pick(ctx, l.dest.Name, false, skip, func(earlier *event.Job) bool {
		if k, does := l.incident(earlier); k == key && does != action {
			passed = append(passed, earlier.Delivery)
		}
		left--
		return left == 0
	})
	return passed, err
}
