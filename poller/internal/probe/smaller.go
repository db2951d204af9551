package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"checkout-notifier/poller/wooshpay"
)

const (
	// patience is how long a probe waits in all before it asks again.
	patience = time.Minute
	// hasty bounds a question that takes the place of one that failed, and is about how long
	// such questions are asked.
	hasty = 5 * time.Second
)

// probe asks the questions of one Run.
type probe struct {
	client   *wooshpay.Client
	patience time.Duration // that is left
}

// passing are the failures that may be over soon; so may a 403.
var passing = []wooshpay.Kind{wooshpay.KindServer, wooshpay.KindNetwork, wooshpay.KindThrottled, wooshpay.KindNonsense}

// ask asks, and once more if that fails in a way that may pass: as late as the API asks for.
func (p *probe) ask(ctx context.Context, question func() error) error {
	err := question()
	var failure *wooshpay.Error
	if !errors.As(err, &failure) || (failure.Status != http.StatusForbidden && !slices.Contains(passing, failure.Kind)) {
		return err
	}
	wait := cmp.Or(failure.RetryAfter, time.Second)
	if wait > p.patience {
		return err
	}
	p.patience -= wait
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	return question()
}

// smaller looks for what the API answers in place of the first page, which failed: nothing,
// then the error is why; or nothing with a body; or, as where it cannot show one of the
// sessions, a smaller page, which is returned, or other parts of the list.
func (p *probe) smaller(ctx context.Context, size int, why error) (first *wooshpay.Page, found Finding, err error) {
	client := p.client.Within(hasty)
	found = Finding{
		What: fmt.Sprintf("page of %d", size), Warning: true,
		Remedy: "ask the API's operator for the sessions that it cannot show",
	}
	if first, err = client.List(ctx, wooshpay.Query{Limit: 1}); err != nil {
		if inQuery(ctx, client) {
			return nil, Finding{
				What: "list parameters in the body", Said: "refused, those in the query are not: " + notTheKey(why).Error(),
				Remedy: "set list_params: query",
			}, nil
		}
		ancient := wooshpay.Query{CreatedLTE: time.Unix(wooshpay.OldestCreated, 0), Limit: 1}
		if _, err := client.List(ctx, ancient); err != nil {
			return nil, found, cmp.Or(ctx.Err(), why)
		}
		found.Said = "not answered, nor is the newest session alone, and older parts of the list are; the list parameters are not checked"
	}
	began := time.Now()
	for limit := size / 2; err == nil && limit > 1 && time.Since(began) < hasty; limit /= 2 {
		if page, err := client.List(ctx, wooshpay.Query{Limit: limit}); err == nil {
			first = page
			break
		}
	}
	if first != nil {
		found.Said = fmt.Sprintf("not answered, and one of %d is", first.Asked.Limit)
	}
	found.Said += ". Polling passes over a session that the API cannot show, and poll status names it: " + notTheKey(why).Error()
	return first, found, nil
}

// inQuery says whether the API refuses a question for its body: it answers one for a single
// session in the query and none in the body. Some proxies do, with whatever status or none.
func inQuery(ctx context.Context, client *wooshpay.Client) bool {
	one := wooshpay.Query{Limit: 1}
	if client.Params() == wooshpay.ParamsQuery {
		return false
	}
	if reads, err := client.ReadsQuery(ctx, one); !reads || err != nil {
		return false
	}
	_, err := client.List(ctx, one)
	kind := wooshpay.KindOf(err)
	return kind != "" && kind != wooshpay.KindThrottled
}
