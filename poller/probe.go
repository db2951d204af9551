package poller

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
		What: "clock", OK: !skew.Skewed(), Said: "the API's clock is " + apart(skew.Told()),
		Remedy: "compare this machine's clock with NTP: nothing is lost, but what depends on time may be late",
	})
	if len(first.Items) < 2 {
		return append(findings, Finding{What: "list parameters", OK: true, Said: "too few sessions to tell"}), shown, nil
	}
	findings = append(findings, Finding{What: "order", OK: first.Ordered(), Said: word(first.Ordered(), "newest first", "not newest first: lists are read to their end"),
		Remedy: "polling stays complete, at a higher price"})
	for _, channel := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery} {
		for _, q := range questions(first) {
			finding, err := try(ctx, client.WithParams(channel), q)
			if err != nil {
				return nil, nil, err
			}
			// Only what the account uses must work.
			finding.OK = finding.OK || (a.ListParams != channel && a.ListParams != wooshpay.ParamsBoth)
			findings = append(findings, finding)
		}
	}
	return findings, shown, nil
}

// question is a query whose answer shows whether a parameter is honoured.
type question struct {
	parameter string
	query     wooshpay.Query
	honoured  func(*wooshpay.Page) bool
}

func questions(first *wooshpay.Page) []question {
	newest := first.Items[0]
	return []question{
		{"limit", wooshpay.Query{Limit: 1}, func(p *wooshpay.Page) bool { return p.Total == 1 }},
		{"starting_after", wooshpay.Query{Limit: 1, StartingAfter: string(newest.ID)}, func(p *wooshpay.Page) bool {
			return p.Total == 0 || (len(p.Items) > 0 && string(p.Items[0].ID) != string(newest.ID))
		}},
		{"created[lte]", wooshpay.Query{Limit: 1, CreatedLTE: newest.CreatedAt().Add(-time.Hour)}, func(p *wooshpay.Page) bool {
			return len(p.Items) == 0 || p.First().Created <= newest.Created-int64(time.Hour/time.Second)+1
		}},
		{"created[gte]", wooshpay.Query{Limit: 1, CreatedGTE: newest.CreatedAt().Add(24 * time.Hour)}, func(p *wooshpay.Page) bool { return p.Total == 0 }},
	}
}

func try(ctx context.Context, c *wooshpay.Client, q question) (Finding, error) {
	f := Finding{
		What:   fmt.Sprintf("%s in the %s", q.parameter, c.Params()),
		Remedy: "try another list_params; polling stays complete, at a higher price",
	}
	page, err := c.List(ctx, q.query)
	var failure *wooshpay.Error
	switch {
	case errors.As(err, &failure) && failure.Kind == wooshpay.KindRefused:
		f.Said = "refused: " + failure.Message
	case err != nil:
		return f, err
	default:
		f.OK = q.honoured(page)
		f.Said = word(f.OK, "honoured", "ignored")
	}
	return f, nil
}

// apart says how far the API's clock is from ours.
func apart(ahead time.Duration) string {
	ahead = ahead.Round(time.Second)
	switch {
	case ahead > 0:
		return ahead.String() + " ahead of this machine's"
	case ahead < 0:
		return (-ahead).String() + " behind this machine's"
	}
	return "the same as this machine's"
}

func word(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}
