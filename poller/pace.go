package poller

import (
	"time"

	"checkout-notifier/poller/pacer"
	"checkout-notifier/poller/wooshpay"
)

// leave tells the pacer how a request went; failure is nil for one that was answered.
func (a *account) leave(failure *wooshpay.Error, sent time.Time) {
	if failure == nil {
		a.pacer.Leave(nil, sent)
		return
	}
	a.pacer.Leave(&pacer.Failure{
		RetryAfter: failure.RetryAfter, Denied: failure.Kind == wooshpay.KindDenied, MaybeDenied: failure.Kind == wooshpay.KindForbidden,
		Throttled: failure.Kind == wooshpay.KindThrottled, Overtaxed: failure.Overtaxed(), Crowded: failure.Crowded(),
	}, sent)
}
