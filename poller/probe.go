package poller

import (
	"context"
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

// Probe asks the API a few questions and says which list parameters it honours
// in which place. shown are the ids of the newest sessions. It changes nothing and
// stores nothing. An error means that the API could not be asked.
func Probe(ctx context.Context, a Account, version string) (findings []Finding, shown []string, err error) {
	client, err := a.client(version, nil, time.Now)
	if err != nil {
		return nil, nil, err
	}
	newest := wooshpay.Query{Limit: a.Poll.Tuning.PageSize}
	first, err := client.List(ctx, newest)
	if refusedQuestion(err) && a.ListParams != wooshpay.ParamsQuery {
		if _, inQuery := client.WithParams(wooshpay.ParamsQuery).List(ctx, newest); inQuery == nil {
			return []Finding{{
				What: "list parameters in the body", Said: "refused, those in the query are not: " + err.Error(),
				Remedy: "set list_params: query",
			}}, nil, nil
		}
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
	findings = append(findings, Finding{What: "order", OK: first.Ordered(), Said: word(first.Ordered(), "newest first", "not newest first: lists are read to their end"),
		Remedy: "polling stays complete, at a higher price"})
	for _, channel := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery} {
		for _, q := range wooshpay.Questions(first) {
			honoured, said, err := client.WithParams(channel).Put(ctx, q)
			if err != nil {
				return nil, nil, err
			}
			findings = append(findings, Finding{
				What: fmt.Sprintf("%s in the %s", q.Parameter, channel), Said: said,
				// Only what the account uses must work.
				OK:     honoured || (a.ListParams != channel && a.ListParams != wooshpay.ParamsBoth),
				Remedy: "try another list_params; polling stays complete, at a higher price",
			})
		}
	}
	return findings, shown, nil
}

func word(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}
