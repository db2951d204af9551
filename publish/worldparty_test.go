package publish_test

import (
	"context"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// party is a receiver of the world.
type party struct {
	w *world
	d publish.Destination
}

// routedParty is one that takes messages for a subject of each session.
type routedParty struct{ *party }

func (p *routedParty) Subject(m publish.Message) (string, error) {
	return "checkout." + m.Delivery.Session, nil
}

func (p *party) Publish(ctx context.Context, m publish.Message) publish.Result {
	w := p.w
	pause, connected := w.begin(p, &m.Delivery)
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.underWay[p.d.Name]--
	}()
	if !connected {
		if subject := "checkout." + m.Delivery.Session; p.d.Type == publish.TypeNATS && w.isDeaf(subject) {
			return blockedFor(subject)
		}
		if p.d.Type == publish.TypeNATS {
			r := gone()
			r.Unsent = true
			return r
		}
		return unreachable()
	}
	select {
	case <-time.After(pause):
		return w.answer(p, &m.Delivery)
	case <-ctx.Done():
		return publish.Result{Outcome: event.OutcomeRefused, Contact: publish.ContactFailed, Class: publish.ClassTimeout, Error: "cut"}
	}
}

func key(d *event.Delivery) string { return d.ID + d.Reopened.String() }

func (w *world) isDeaf(subject string) (deaf bool) {
	w.set(func() { deaf = w.deaf[subject] && !w.well })
	return deaf
}

func (w *world) begin(p *party, d *event.Delivery) (pause time.Duration, connected bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := p.d.Name
	if w.underWay[name]++; w.underWay[name] > p.d.Concurrency {
		w.t.Errorf("%d under way to %s", w.underWay[name], name)
	}
	if limit := int(p.d.RateLimit); limit > 0 {
		w.requests[name] = append(w.requests[name], time.Now())
		if n := len(w.requests[name]); n > limit+2 && time.Since(w.requests[name][n-limit-3]) < time.Second {
			w.t.Errorf("more than %d requests a second to %s", limit, name)
		}
	}
	if !w.well && (w.down[name] || p.d.Type == publish.TypeNATS && w.deaf["checkout."+d.Session]) {
		return 0, false
	}
	if w.accepted[d.ID] && d.Reopened.IsZero() {
		w.t.Errorf("%s was sent again after it was accepted", d.ID)
	}
	told, seen := w.told[key(d)]
	if seen && !slices.Equal(told, d.Overtook) && !w.reopened(name, d.Session) {
		w.t.Errorf("%s overtook %v, and before that %v", d.EventID, d.Overtook, told)
	}
	for _, passed := range d.Overtook {
		if !seen && w.came(name, d.Session, passed) {
			w.t.Errorf("%s says that it overtook %s, which came before", d.EventID, passed)
		}
	}
	w.told[key(d)] = d.Overtook
	return time.Duration(w.random.IntN(5)) * 300 * time.Millisecond, true
}

// reopened says whether somebody had a delivery of a session made again.
func (w *world) reopened(name, session string) bool {
	return slices.ContainsFunc(w.order[name+session], func(d event.Delivery) bool {
		stored, _, _ := w.store.Delivery(context.Background(), d.ID)
		return !stored.Reopened.IsZero()
	})
}

// came says whether all deliveries of an event came, and none is to come again.
func (w *world) came(name, session, eventID string) bool {
	for _, d := range w.order[name+session] {
		if d.EventID == eventID {
			stored, _, _ := w.store.Delivery(context.Background(), d.ID)
			if !w.accepted[d.ID] || !stored.Reopened.IsZero() {
				return false
			}
		}
	}
	return true
}

func (w *world) answer(p *party, d *event.Delivery) publish.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.well {
		switch w.random.IntN(14) {
		case 0, 1, 2:
			return refused(500)
		case 3:
			asked := refused(429)
			asked.RetryAfter, asked.Throttled = time.Duration(w.random.IntN(60))*time.Second, true
			return asked
		case 4:
			if p.d.Type == publish.TypeNATS {
				return gone()
			}
		case 5:
			return publish.Result{Outcome: event.OutcomeRefused, Contact: publish.ContactFailed, Class: publish.ClassConnect, Error: "reset"}
		case 6:
			return publish.Result{Outcome: event.OutcomeRefused, Class: publish.ClassRender, Error: "no such key", Final: true, Unsent: true}
		case 7:
			stopped := refused(410)
			stopped.Gone = true
			return stopped
		}
	}
	for _, earlier := range w.order[p.d.Name+d.Session] {
		if earlier.EventID == d.EventID || !d.Reopened.IsZero() {
			break
		}
		if w.accepted[earlier.ID] || slices.Contains(d.Overtook, earlier.EventID) {
			continue
		}
		stored, _, err := w.store.Delivery(context.Background(), earlier.ID)
		if err != nil || stored.Status != event.StatusDead && stored.Reopened.IsZero() {
			w.t.Errorf("%s: %s arrived before %s, which is %s, and does not say so", p.d.Name, d.EventID, earlier.EventID, stored.Status)
		}
	}
	w.accepted[d.ID] = true
	return accepted()
}
