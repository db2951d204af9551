package poller

import (
	"net/http"
	"slices"
	"strings"
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

// overtaxed says whether fewer requests a second might have been answered. Once
// may be chance: only a 429 says so.
func (e *Error) overtaxed() bool {
	return e.Kind == KindThrottled || e.Kind == KindServer || e.Kind == KindNetwork
}

// crowded says whether the API objects to the number of requests at once.
func (e *Error) crowded() bool {
	if e.Kind != KindThrottled && e.Status != http.StatusConflict && e.Status != http.StatusLocked {
		return false
	}
	said := strings.ToLower(e.Message + " " + e.Reason)
	words := []string{"concurren", "simultaneous", "parallel", "in flight", "lock_timeout"}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(said, word) })
}
