package poll_test

import (
	"context"
	"time"
)

// plain is an algorithm to compare with: one chain from the newest session down,
// page by page, each asked again until it is answered. It remembers in memory and
// never crashes.
type plain struct {
	api    *api
	oracle *oracle
	known  []status // by session, as it was last seen; a step back is ignored

	window      time.Duration // 0: none
	stopAtKnown bool
	watermark   bool
	mark        int64 // Unix seconds

	passes int
}

// The names of the algorithms.
const (
	notifier   = "notifier"
	scan24h    = "scan-24h"
	rolling60m = "rolling-60m"
	firstKnown = "first-known"
	maxCreated = "max-created"
)

func algorithms() []string {
	return []string{notifier, scan24h, rolling60m, firstKnown, maxCreated}
}

// newPlain returns nil for the notifier and for a name that there is not.
func newPlain(name string, a *api, c *oracle) *plain {
	p := &plain{api: a, oracle: c, known: make([]status, len(a.sessions))}
	switch name {
	case scan24h:
		p.window = 24*time.Hour + 10*time.Minute
	case rolling60m:
		p.window = time.Hour
	case firstKnown:
		p.stopAtKnown = true
	case maxCreated:
		p.watermark = true
	default:
		return nil
	}
	return p
}

// run polls until the context ends, as if it had known everything at its start.
func (p *plain) run(ctx context.Context, interval time.Duration) {
	now := time.Now()
	p.mark = now.Unix()
	for i := range p.known {
		if s := &p.api.sessions[i]; s.visible <= now.UnixMilli() {
			p.known[i] = s.at(now.UnixMilli())
		}
	}
	p.oracle.begin(now, now)
	for ctx.Err() == nil {
		began := time.Now()
		p.pass(ctx)
		if ctx.Err() == nil {
			p.passes++
		}
		_ = wait(ctx, interval-time.Since(began)) // the loop looks at the context
	}
}

func (p *plain) pass(ctx context.Context) {
	q := query{limit: 100}
	switch {
	case p.window > 0:
		q.gte = time.Now().Add(-p.window).Unix()
	case p.watermark:
		q.gte = p.mark
	}
	page := make([]int, 0, q.limit)
	for {
		items, more, err := p.ask(ctx, q, page)
		if err != nil {
			return
		}
		known := false
		for _, i := range items {
			known = p.look(i) || known
		}
		if !more || len(items) == 0 || (p.stopAtKnown && known) {
			return
		}
		q.after = p.api.sessions[items[len(items)-1]].id
	}
}

// ask asks for one page until it is answered.
func (p *plain) ask(ctx context.Context, q query, page []int) (items []int, more bool, err error) {
	for {
		asOf, failed, err := p.api.ask(ctx)
		switch {
		case err != nil:
			return nil, false, err
		case failed == answered:
			items, more := p.api.list(q, asOf, page)
			for n, i := range items {
				p.note(i, asOf)
				if n == 0 && p.watermark {
					p.mark = max(p.mark, p.api.sessions[i].shownCreated()/1000)
				}
			}
			return items, more, nil
		case failed == hanging:
			err = wait(ctx, 30*time.Second)
		default:
			err = wait(ctx, time.Second)
		}
		if err != nil {
			return nil, false, err
		}
	}
}

// look says whether a session was known before this page.
func (p *plain) look(i int) bool {
	was := p.known[i]&isNew == 0
	p.known[i] &^= isNew
	return was
}

// isNew marks a session whose page is still being looked at.
const isNew status = 1 << 7

// note takes in what a page shows of a session and tells what is new.
func (p *plain) note(i int, asOf int64) {
	s := &p.api.sessions[i]
	is, was := s.at(asOf), p.known[i]
	if is <= was {
		return
	}
	p.known[i] = is
	now := time.Now().UnixMilli()
	if was == absent {
		p.known[i] |= isNew
		if s.created >= p.oracle.start {
			p.oracle.tell(i, created, now)
		}
	}
	for k := completed; k < unresolved; k++ {
		if t, ok := s.when(k); ok && t <= asOf && p.oracle.told[i]&(1<<k) == 0 && t >= p.oracle.start {
			p.oracle.tell(i, k, now)
		}
	}
}
