package poller

import (
	"time"

	"checkout-notifier/poller/pacer"
)

// leave tells the pacer how a request went; failure is nil for one that was answered.
func (a *account) leave(failure *Error, sent time.Time) {
	if failure == nil {
		a.pacer.Leave(nil, sent)
		return
	}
	a.pacer.Leave(&pacer.Failure{
		RetryAfter: failure.RetryAfter, Denied: failure.Kind == KindDenied, MaybeDenied: failure.Kind == KindForbidden,
		Throttled: failure.Kind == KindThrottled, Overtaxed: failure.overtaxed(), Crowded: failure.crowded(),
	}, sent)
}
