package poller

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

// ask makes a request, again and again if it fails, and takes note of how it
// went. A 404 and a refused request are answers: they come back at once. The
// request runs without mu.
func (a *account) ask(ctx context.Context, tries int, request func(context.Context, *wooshpay.Client) error) error {
	for n := 1; ; n++ {
		within := a.within()
		failure, err := a.tryPage(ctx, within, request, a.leave)
		if failure != nil {
			a.clock.Hear(failure.Answer)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && failure == nil:
			return err
		case err == nil || failure.Kind == wooshpay.KindNotFound || (failure.Kind == wooshpay.KindRefused && !failure.Crowded()):
			a.answered(failure.Code())
			return err
		}
		wait := a.failed(failure, n)
		if failure.Kind == wooshpay.KindNetwork && a.slowed(ctx, within) {
			n--
			continue
		}
		if n >= tries || (failure.Kind == wooshpay.KindDenied && a.tries == triesPerRequestOnce) {
			return err
		}
		a.backOff(ctx, wait)
	}
}

// backOff waits before what failed is asked for again, tells meanwhile until when,
// and says whether the context is still alive. It runs without mu.
func (a *account) backOff(ctx context.Context, wait time.Duration) bool {
	until := time.Now().Add(wait)
	a.status.update(func(s *Status) {
		if past(s.NextTry) || s.NextTry.IsZero() {
			s.NextTry = until
		}
		s.NextTry = earlier(s.NextTry, until) // others may wait, too
	})
	a.mu.Unlock()
	defer a.mu.Lock()
	return a.pacer.Rest(ctx, wait)
}

// askApart makes a request, once and within a time, for what the API may be unable to
// show. If that is so it says nothing of the API: neither the account's health nor its
// rate depends on it.
func (a *account) askApart(ctx context.Context, within time.Duration, request func(context.Context, *wooshpay.Client) error) error {
	failure, err := a.tryPage(ctx, within, request, func(failure *wooshpay.Error, sent time.Time) {
		if failure != nil && unavailable(failure) && failure.Kind != wooshpay.KindForbidden {
			a.pacer.Release()
			return
		}
		a.leave(failure, sent)
	})
	if failure != nil {
		a.clock.Hear(failure.Answer)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		a.answered("200")
	case failure == nil:
	case unavailable(err):
		a.count(failure)
	default:
		a.failed(failure, 1)
	}
	return err
}

// unavailable says whether a failure may be about what was asked for, and not
// about whoever asks or how often.
func unavailable(err error) bool {
	var failure *wooshpay.Error
	return errors.As(err, &failure) && failure.RetryAfter == 0 && !failure.Crowded() && (unshown(err) || refused(err))
}

// try makes a request once, in its turn and within a time. leave tells the pacer how it
// went.
func (a *account) try(ctx context.Context, within time.Duration, request func(context.Context, *wooshpay.Client) error, leave func(*wooshpay.Error, time.Time)) (failure *wooshpay.Error, err error) {
	client, took := a.client.Within(within), time.Duration(-1)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		if a.latency.Note(took, within, err == nil || refused(err), unshown(err)) {
			a.shownAgain = a.clock.Now() // what was not waited for may come as late
		}
	}()
	waited, err := a.pacer.Enter(ctx)
	if waited > 0 {
		a.observer.Waited(a.cfg.Name, waited)
		a.status.update(func(s *Status) { s.Waited += event.Seconds(waited) })
	}
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	err = request(ctx, client)
	took = time.Since(sent)
	errors.As(err, &failure)
	leave(failure, sent)
	return failure, err
}

// answered notes a request that was answered as asked. While passes fail that
// alone is no good news.
func (a *account) answered(code string) {
	a.requested(code)
	if a.failures > 0 {
		a.log.Info("the API answers again", loglimit.EndsForNow("request", "pass"), slog.Int("failed_requests", a.failures))
	}
	a.failures = 0
	a.status.update(func(s *Status) {
		s.NextTry = time.Time{}
		if a.broken == 0 {
			s.recovered()
		}
	})
}

// count counts a failed request that says nothing of the account; nil is none.
func (a *account) count(failure *wooshpay.Error) {
	if failure != nil {
		a.requested(failure.Code())
	}
}

// requested counts a request by what came of it.
func (a *account) requested(code string) {
	a.observer.APIRequest(a.cfg.Name, code)
	a.now.requests++
	now := time.Now()
	a.requests.Add(now)
	a.status.update(func(s *Status) {
		s.Requests++
		s.RequestsLastHour = a.requests.Sum(now)
	})
}

// failed notes a request that failed for the n-th time, and returns how long the next
// one waits: longer while the API is away.
func (a *account) failed(failure *wooshpay.Error, n int) (wait time.Duration) {
	held, _ := a.pacer.Held()
	wait = max(failure.Backoff(max(n, a.failures+1), rand.Float64()), time.Until(held))
	a.requested(failure.Code())
	a.failures++
	level := slog.LevelWarn
	if failure.Kind == wooshpay.KindDenied {
		level = slog.LevelError
	}
	a.log.Log(context.Background(), level, "a request to the API failed; it is repeated"+a.promise(), loglimit.Repeats("request "+string(failure.Kind)+failure.Code()),
		slog.Any("error", failure), slog.Int("in_a_row", a.failures), slog.String("again_in", wait.Round(time.Second/10).String()))
	a.status.update(func(s *Status) { s.fail(failure, failure.Answer.Sent) })
	if failure.ConcernsAll() {
		a.pacer.Pause(wait)
	}
	return wait
}

// promise ends a line of the log about something that failed.
func (a *account) promise() string {
	if s := a.status.read(); s.Unpolled() != "" {
		return ". " + s.Unpolled()
	}
	return ", and nothing is lost"
}

const (
	// triesPerPage is how often a page that makes no sense is asked for, and
	// badPageWait the first pause between, where no later pass asks.
	triesPerPage = 3
	badPageWait  = time.Second
)

// patience is how long a page is asked for.
type patience struct {
	tries int      // of each request
	apart bool     // it may be what the API cannot show: see askApart
	deep  bool     // no later pass reads the page: what it hides for a moment would be hidden for ever
	tie   []uint64 // hashes of the ids that the page may repeat
}

// page asks for a page until one makes sense: first that it is an answer at
// all, then that it passes check. With check's error comes the last page. An end is
// insisted on only if no answer repeated what was shown.
func (a *account) page(ctx context.Context, p patience, q wooshpay.Query, check func(*wooshpay.Page) error) (*wooshpay.Page, error) {
	var again error
	for n := 1; ; n++ {
		page, err := a.list(ctx, p, q)
		if err != nil {
			return nil, err
		}
		if !a.clock.Settle(page.Answer, n >= serverclock.MostHeard) {
			continue
		}
		a.clock.Hear(page.Answer) // the page may be good for nothing else
		if page.Repeated > 0 {
			a.odd("duplicate_items", "the API shows a session twice on one page of the list; it is handled once")
		}
		err = a.plausible(ctx, page, q, p.tie)
		if err != nil && !errors.Is(err, errForeignPage) {
			page.Release()
			return nil, err
		}
		if err == nil && check != nil {
			err = check(page)
		}
		if err == nil {
			return page, nil
		}
		var repetition repeatedPage
		repeated := errors.As(err, &repetition)
		if repetition.mayBeEnd {
			return page, err
		}
		if repeated && (again == nil || !repetition.promises) {
			again = err
		}
		if !errors.Is(err, errOneWord) {
			a.odd("bad_page", "the API's answer for a page of the list cannot be right; the page is asked for again before it is believed", "error", err)
		}
		if n >= triesPerPage {
			if errors.Is(err, errForeignPage) {
				a.strangers = below(q, page, p.tie)
			}
			if again != nil && isEnd(err) {
				err = again
			}
			return page, err
		}
		if p.deep && !repeated { // one that repeats another hides nothing, for it is never believed
			a.mu.Unlock()
			a.pacer.Rest(ctx, time.Duration(n)*badPageWait)
			a.mu.Lock()
		}
	}
}

// list asks for a page and decodes what on it may be new.
func (a *account) list(ctx context.Context, p patience, q wooshpay.Query) (page *wooshpay.Page, err error) {
	request := func(ctx context.Context, client *wooshpay.Client) (err error) {
		if page, err = client.List(ctx, q); err != nil {
			return wooshpay.OfPage(err)
		}
		page, err = a.decodeChanged(client, page)
		return err
	}
	if p.apart {
		err = a.askApart(ctx, a.within(), request)
	} else {
		err = a.ask(ctx, p.tries, request)
	}
	if err != nil {
		return nil, err
	}
	if !p.apart {
		a.status.update(func(s *Status) { s.Read = time.Now() })
	}
	a.shows(page)
	a.now.rows += page.Total
	if q.StartingAfter == "" && q.CreatedLTE.IsZero() {
		a.noteNewest(page, q.Limit, p.apart)
	}
	if !a.state.StartFixed {
		a.now.newest = later(a.now.newest, page.Newest())
	}
	a.observer.Fetched(a.cfg.Name, page.Size(), page.Checked)
	a.status.update(func(s *Status) {
		s.Bytes += int64(page.Size())
		if page.Checked {
			s.Fallbacks++
		}
	})
	return page, nil
}

// decodeChanged decodes the items that may show something new, without mu. If
// one cannot be decoded the whole page is read again by the checked decoder: the
// split one does not validate what it takes apart.
func (a *account) decodeChanged(client *wooshpay.Client, page *wooshpay.Page) (*wooshpay.Page, error) {
	if page.Checked {
		return page, nil
	}
	for _, it := range a.changed(page) {
		if _, err := it.Decode(); err != nil {
			return client.Reread(page)
		}
	}
	return page, nil
}

// changed lists the items that are not known as they are. It takes mu itself.
func (a *account) changed(page *wooshpay.Page) (items []*wooshpay.Item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.clock.Asked(page.Answer)
	for i := range page.Items {
		it := &page.Items[i]
		if e := a.index.Find(it.ID); e == nil || a.cfg.Filter != (wooshpay.Filter{}) || !a.unchanged(e, it, asked) {
			items = append(items, it)
		}
	}
	return items
}

// getByID asks for one session, as a page of its own, and once: what the API
// cannot show is asked for again later.
func (a *account) getByID(ctx context.Context, id string) (*wooshpay.Page, error) {
	page := &wooshpay.Page{Total: 1, Checked: true, Apart: true}
	err := a.askApart(ctx, a.within(), func(ctx context.Context, client *wooshpay.Client) error {
		s, answer, err := client.Get(ctx, id)
		if err == nil {
			page.Items, page.Answer = []wooshpay.Item{wooshpay.Decoded(&s)}, answer
		}
		return err
	})
	a.answersByID = a.answersByID || err == nil
	return page, err
}

// refused says whether the API answered that it does not take the question,
// such as a cursor that it does not know any more.
func refused(err error) bool {
	return slices.Contains([]wooshpay.Kind{wooshpay.KindRefused, wooshpay.KindNotFound}, wooshpay.KindOf(err))
}

// unanswered says whether it is the API that failed, and not we.
func unanswered(err error) bool { return wooshpay.KindOf(err) != "" }

// unshown says whether the API failed over what it was asked to show, or over
// anything else that the same question might meet again.
func unshown(err error) bool { return slices.Contains(kindsUnshown, wooshpay.KindOf(err)) }

var kindsUnshown = []wooshpay.Kind{wooshpay.KindServer, wooshpay.KindNetwork, wooshpay.KindNonsense, wooshpay.KindForbidden}

// denied says whether the API refused the key.
func denied(err error) bool { return wooshpay.KindOf(err) == wooshpay.KindDenied }

// refusedQuestion is refused without the 404, which a wrong address or a
// disturbed router gives whatever the question.
func refusedQuestion(err error) bool { return wooshpay.KindOf(err) == wooshpay.KindRefused }
