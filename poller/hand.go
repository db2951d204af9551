package poller

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/poller/internal/index"
)

// mostLooks bounds how many looks are committed together.
const mostLooks = 500

// pendingBatch is a batch that waits to be committed.
type pendingBatch struct {
	batch Batch
	by    *sweep // nil: a pass
	err   error
	done  bool
}

// hand gives a batch to the stages behind the poller (diff, rules, store), and returns once
// it is committed. Batches that wait while another one is committed are then committed
// together, with one fsync.
func (a *account) hand(ctx context.Context, batch Batch, by *sweep) error {
	h := &pendingBatch{batch: batch, by: by}
	a.queue = append(a.queue, h)
	for !h.done {
		if a.committing {
			a.turn.Wait()
			continue
		}
		a.commit(ctx)
	}
	return h.err
}

// commit hands on the batch that waits longest with those that may go with it.
func (a *account) commit(ctx context.Context) {
	batch, group := a.gather()
	by := group[0].by
	a.committing = true
	handled, err := a.stages(ctx, batch, by)
	a.committing = false
	if err != nil {
		err = fmt.Errorf("handling a page: %w", err)
	} else {
		a.take(handled, by)
	}
	for _, h := range group {
		h.err, h.done = err, true
	}
	a.turn.Broadcast()
}

// stages runs without mu.
func (a *account) stages(ctx context.Context, batch Batch, by *sweep) (Handled, error) {
	a.mu.Unlock()
	defer a.mu.Lock()
	if by.dry() {
		return a.handler.Preview(ctx, batch)
	}
	return a.handler.Handle(ctx, batch)
}

// gather takes from the queue what is committed together: batches of the same
// kind, and no session twice, for each look is compared with what is stored.
func (a *account) gather() (Batch, []*pendingBatch) {
	first := a.queue[0]
	batch, group := first.batch, []*pendingBatch{first}
	rest := a.queue[:0]
	ids := make(map[string]bool)
	note(ids, &batch)
	for _, h := range a.queue[1:] {
		if h.by != first.by || !h.batch.Existing.Equal(batch.Existing) || !h.batch.Pass.Equal(batch.Pass) ||
			len(batch.Looks)+len(h.batch.Looks) > mostLooks ||
			slices.ContainsFunc(h.batch.Looks, func(look Look) bool { return ids[look.Session.ID] }) {
			rest = append(rest, h)
			continue
		}
		note(ids, &h.batch)
		batch.Looks = append(batch.Looks[:len(batch.Looks):len(batch.Looks)], h.batch.Looks...)
		group = append(group, h)
	}
	clear(a.queue[len(rest):])
	a.queue = rest
	return batch, group
}

func note(ids map[string]bool, batch *Batch) {
	for i := range batch.Looks {
		ids[batch.Looks[i].Session.ID] = true
	}
}

// shown notes that this pass has had its look at a session, whatever came of it.
func (a *account) shown(e *index.Entry) {
	e.Pass = a.now.number
	e.SetTried(a.clock.Now())
}

// mostNamed is how many sessions of one batch the status names; the log names all.
const mostNamed = 20

const paymentBeforeStart = "the API shows the payment_status of sessions that existed before the account's start and showed none so far: whether they were paid before or since nothing tells, so it is not announced; look at them, and ship their orders by hand if that was not done"

// take brings the index up to date with what was committed.
func (a *account) take(handled Handled, by *sweep) {
	a.events.Add(int64(handled.Events))
	drift, before := 0, []string(nil)
	for i := range handled.Rows {
		row := &handled.Rows[i]
		if by.drifted(row) {
			drift++
		}
		if row.StepsBack {
			a.odd("step_back", "the API shows a session in an earlier state than before, most often an old answer; nothing is announced unless every answer over poll.tuning.confirm_after says so", "session", row.ID)
		}
		if by.dry() {
			continue
		}
		if row.Silent && !row.New && row.PaymentStatus != checkout.PaymentUnpaid {
			before = append(before, row.ID)
		}
		if e := a.index.Get(row.ID); row.Held && !row.StepsBack && (e == nil || !e.IsHeld()) {
			a.log.Info("a session changed soon after it was first seen; the change is announced once it is confirmed", "session", row.ID,
				"confirm_after", a.cfg.Poll.Tuning.ConfirmAfter.String())
		}
		e := a.index.Put(&row.Tracked)
		a.shown(e)
		if a.ending(e, row.LookedAt) {
			e.SetEnding(true)
		}
	}
	for _, ignored := range handled.Ignored {
		a.odd("contradictory_item", "the API shows a session with values that contradict what is stored; this answer is not used, and the session is looked at again", "session", ignored.ID, "error", ignored.Err)
		if e := a.index.Get(ignored.ID); e != nil && !by.dry() {
			a.shown(e)
		}
	}
	by.took(&handled)
	if len(before) > 0 { // somebody has to look at each of them
		a.status.odd("payment_before_start", paymentBeforeStart, strings.Join(before[:min(len(before), mostNamed)], ", "))
		a.log.Warn(paymentBeforeStart, "oddity", "payment_before_start", "sessions", before)
	}
	if drift > 0 {
		a.observer.Drifted(a.cfg.Name, drift)
		a.log.Warn("a reconciliation found sessions that the passes had missed, and announces them; if it happens again, raise poll.tuning.overlap", "sessions", drift)
		a.status.update(func(s *Status) { s.Drift += drift; s.DriftLast = a.clock.Now() })
	}
}
