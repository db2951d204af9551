// Package probe asks an account's API a few questions and says what it learned of it.
package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

// Finding is one thing that a probe learned about an account's API.
type Finding struct {
	What string // what was tried
	OK   bool
	Said string // what came of it
	// Remedy is what to do when it is not OK; "" when there is nothing to do.
	Remedy string
}

// Run says which list parameters the API honours in which place. shown are the ids of the
// newest sessions, up to size of them. An error means that the API could not be asked.
func Run(ctx context.Context, client *wooshpay.Client, size int) (findings []Finding, shown []string, err error) {
	first, err := client.List(ctx, wooshpay.Query{Limit: size})
	if wooshpay.KindOf(err) != "" && inQuery(ctx, client) {
		return []Finding{{
			What: "list parameters in the body", Said: "refused, those in the query are not: " + notTheKey(err).Error(),
			Remedy: "set list_params: query",
		}}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range first.Items {
		shown = append(shown, string(first.Items[i].ID))
	}
	findings = []Finding{{
		What: "key and list", OK: true, Said: fmt.Sprintf("the API answers; sessions on the first page: %d", first.Total),
	}}
	skew := serverclock.New(time.Now)
	skew.Observe(first.Answer)
	findings = append(findings, Finding{
		What: "clock", OK: !skew.Skewed(), Said: "the API's clock is " + serverclock.Apart(skew.Told()),
		Remedy: "compare this machine's clock with NTP: nothing is lost, but what depends on time may be late",
	})
	if len(first.Items) < 2 {
		return append(findings, Finding{What: "list parameters", OK: true, Said: "too few sessions to tell"}), shown, nil
	}
	order := Finding{What: "order", OK: first.Ordered(), Said: "newest first", Remedy: "polling stays complete, at a higher price"}
	if !order.OK {
		order.Said = "not newest first: lists are read to their end"
	}
	findings = append(findings, order)
	for _, channel := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery} {
		found, err := parameters(ctx, client, channel, first)
		if err != nil {
			return nil, nil, err
		}
		findings = append(findings, found...)
	}
	return findings, shown, nil
}

// parameters says which list parameters the API honours in one place, where the list begins
// with a page. Only where the account sends them must they be honoured, or answered at all.
func parameters(ctx context.Context, client *wooshpay.Client, channel string, first *wooshpay.Page) (findings []Finding, err error) {
	used := client.Params() == channel || client.Params() == wooshpay.ParamsBoth
	for _, q := range wooshpay.Questions(first) {
		honoured, said, err := client.WithParams(channel).Put(ctx, q)
		if wooshpay.KindOf(err) != "" && !used {
			return append(findings, Finding{
				What: "list parameters in the " + channel, OK: true, Said: "not answered, and not sent there: " + notTheKey(err).Error(),
			}), nil
		}
		if err != nil {
			return nil, err
		}
		findings = append(findings, Finding{
			What: fmt.Sprintf("%s in the %s", q.Parameter, channel), OK: honoured || !used, Said: said,
			Remedy: "try another list_params; polling stays complete, at a higher price",
		})
	}
	return findings, nil
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

// notTheKey is a failure that says nothing of the key: other questions are answered.
func notTheKey(err error) error {
	var failure *wooshpay.Error
	if errors.As(err, &failure) && failure.Kind == wooshpay.KindDenied {
		failure.Kind = wooshpay.KindRefused
	}
	return err
}
