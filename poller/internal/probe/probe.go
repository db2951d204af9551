// Package probe asks an account's API a few questions and says what it learned of it.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

// Finding is one thing that a probe learned about an account's API.
type Finding struct {
	What string // what was tried
	OK   bool
	// Warning says of what is not OK that the configuration is not to blame, as far as can
	// be told.
	Warning bool
	Said    string // what came of it
	// Remedy is what to do when it is not OK; "" when there is nothing to do.
	Remedy string
}

// Mark is what begins the line of a finding.
func (f Finding) Mark() string {
	switch {
	case f.OK:
		return "ok"
	case f.Warning:
		return "warn"
	}
	return "FAIL"
}

// Run says which list parameters the API honours in which place. shown are the ids of the
// newest sessions, up to size of them. An error means that the API could not be asked.
func Run(ctx context.Context, client *wooshpay.Client, size int) (findings []Finding, shown []string, err error) {
	p := &probe{client: client, patience: patience}
	var first *wooshpay.Page
	err = p.ask(ctx, func() (err error) {
		first, err = client.List(ctx, wooshpay.Query{Limit: size})
		return err
	})
	if kind := wooshpay.KindOf(err); kind != "" && kind != wooshpay.KindThrottled {
		var found Finding
		if first, found, err = p.smaller(ctx, size, err); err == nil {
			findings = append(findings, found)
		}
	}
	if err != nil || first == nil {
		return findings, nil, err
	}
	for i := range first.Items {
		shown = append(shown, string(first.Items[i].ID))
	}
	findings = append(findings, Finding{
		What: "key and list", OK: true, Said: fmt.Sprintf("the API answers; sessions on the first page: %d", first.Total),
	})
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
		found, err := p.parameters(ctx, channel, first)
		if err != nil {
			return nil, nil, err
		}
		findings = append(findings, found...)
	}
	return findings, shown, nil
}

// parameters says which list parameters the API honours in one place, where the list begins
// with a page. Only where the account sends them must they be honoured.
func (p *probe) parameters(ctx context.Context, channel string, first *wooshpay.Page) (findings []Finding, err error) {
	client, used := p.client.WithParams(channel), p.client.Params() == channel || p.client.Params() == wooshpay.ParamsBoth
	began := time.Now()
	for _, q := range wooshpay.Questions(first) {
		f := Finding{What: q.Parameter + " in the " + channel, Remedy: "try another list_params; polling stays complete, at a higher price"}
		put := func() (err error) {
			f.OK, f.Said, err = client.Put(ctx, q)
			f.OK = f.OK || !used
			return err
		}
		if used {
			err = p.ask(ctx, put)
		} else {
			err = put()
		}
		var failure *wooshpay.Error
		switch {
		case err == nil:
			findings = append(findings, f)
			continue
		case !errors.As(err, &failure) || used && failure.Status == http.StatusUnauthorized:
			return nil, err
		case !used:
			return append(findings, Finding{
				What: "list parameters in the " + channel, OK: true, Said: "not answered, and not sent there: " + notTheKey(err).Error(),
			}), nil
		}
		f.Warning, f.Said = true, "not answered, so not checked: "+notTheKey(err).Error()
		f.Remedy = "check again; polling makes do without what the API does not answer, at a higher price"
		if findings = append(findings, f); time.Since(began) > 2*patience { // each may hang
			return findings, nil
		}
	}
	return findings, nil
}

// notTheKey is a failure that says nothing of the key: other questions are answered.
func notTheKey(err error) error {
	var failure *wooshpay.Error
	if errors.As(err, &failure) && failure.Kind == wooshpay.KindDenied {
		failure.Kind = wooshpay.KindRefused
	}
	return err
}
