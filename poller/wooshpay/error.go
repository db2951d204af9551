package wooshpay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/secret"
)

// Kind is what a failed request says about the account.
type Kind string

// The kinds of API errors.
const (
	KindNetwork   Kind = "network"   // no answer, or a cut one
	KindServer    Kind = "server"    // 5xx, and what a gateway asks to repeat
	KindThrottled Kind = "throttled" // 429
	KindDenied    Kind = "denied"    // 401 or 403 for a list: never read as "no sessions"
	KindForbidden Kind = "forbidden" // the same for a page of a list that may be shown elsewhere
	KindNotFound  Kind = "not_found" // 404
	KindRefused   Kind = "refused"   // any other 4xx
	KindRedirect  Kind = "redirect"  // 3xx: never followed
	KindNonsense  Kind = "nonsense"  // a 200 that is not an answer to the question
)

// ErrNotFound is the API's 404: errors.Is(err, ErrNotFound).
var ErrNotFound = errors.New("the API does not know it")

// Error is a request that was not answered as asked. Its text never holds the
// key, nor more of a URL than the host.
type Error struct {
	Kind       Kind
	Status     int           // 0 without an answer
	RetryAfter time.Duration // 0 when the API did not say
	Message    string
	Reason     string // of a 429, in the header in which Stripe gives it
	Answer     Answer // when it came; a failure tells the server's time, too
	Asked      Query  // the page of the list that was asked for; zero for one session
}

func (e *Error) Error() string {
	switch e.Kind {
	case KindDenied:
		return fmt.Sprintf("the API refused the key (status %d): check secret_key, its mode and its permissions (if you changed secret_key, its variable or its file: a running notifier reads it when it is restarted): %s", e.Status, e.Message)
	case KindForbidden:
		return fmt.Sprintf("the API refuses a part of the list (status %d): %s", e.Status, e.Message)
	case KindThrottled:
		return fmt.Sprintf("the API asked to slow down (status %d): %s", e.Status, e.Message)
	case KindRedirect:
		return fmt.Sprintf("the API redirected to another address (status %d), which is not followed: check base_url: %s", e.Status, e.Message)
	case KindNonsense:
		return "the API's answer makes no sense: " + e.Message
	case KindNetwork:
		return "the API cannot be reached: " + e.Message
	}
	return fmt.Sprintf("the API answered with status %d: %s", e.Status, e.Message)
}

// Is makes a 404 an ErrNotFound.
func (e *Error) Is(target error) bool { return target == ErrNotFound && e.Kind == KindNotFound }

// KindOf is what a failure of the API is; "" for anything else.
func KindOf(err error) Kind {
	if failure := (*Error)(nil); errors.As(err, &failure) {
		return failure.Kind
	}
	return ""
}

// Refusal says whether it may mean that the key is refused; nil is none.
func (e *Error) Refusal() bool {
	return e != nil && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// OfPage takes a refusal of a page of the list for one that may be about the page; what asks
// for a pause as well is about the key, unless it is a 401, which is asked for once more.
func OfPage(err error) error {
	var failure *Error
	if errors.As(err, &failure) && failure.Refusal() && (failure.RetryAfter == 0 || failure.Status == http.StatusUnauthorized) {
		failure.Kind = KindForbidden
	}
	return err
}

// Code is the error's label in the metrics; nil is none.
func (e *Error) Code() string {
	switch {
	case e == nil:
		return strconv.Itoa(http.StatusOK)
	case e.Status == 0 || e.Kind == KindNonsense:
		return string(e.Kind)
	}
	return strconv.Itoa(e.Status)
}

// ConcernsAll says whether a failure is not about what was asked for: then every
// request waits.
func (e *Error) ConcernsAll() bool {
	return e.RetryAfter > 0 || e.Kind == KindDenied || e.Kind == KindThrottled
}

// Unreachable says whether nothing answered for the API: no answer at all, a cut one, or
// one of whatever stands before it, such as a gateway's 502. A 500 is the API's own.
func (e *Error) Unreachable() bool {
	return e.Kind == KindNetwork || e.Kind == KindServer && e.Status > http.StatusInternalServerError
}

// Overtaxed says whether fewer requests a second might have been answered. Once
// may be chance: only a 429 says so.
func (e *Error) Overtaxed() bool {
	return e.Kind == KindThrottled || e.Kind == KindServer || e.Kind == KindNetwork
}

// Crowded says whether the API objects to the number of requests at once.
func (e *Error) Crowded() bool {
	if e.Kind != KindThrottled && e.Status != http.StatusConflict && e.Status != http.StatusLocked {
		return false
	}
	said := strings.ToLower(e.Message + " " + e.Reason)
	words := []string{"concurren", "simultaneous", "parallel", "in flight", "lock_timeout"}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(said, word) })
}

// networkError is a request without a whole answer. The URL that *url.Error
// carries is left out: it may hold what nobody should read.
func (c *Client) networkError(ctx context.Context, answer Answer, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for wrapped := (*url.Error)(nil); errors.As(err, &wrapped); {
		err = wrapped.Err
	}
	message := err.Error()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		message = fmt.Sprintf("no whole answer within %s", c.http.Timeout)
		if c.http.Timeout < c.timeout {
			message += fmt.Sprintf(" (after a request that hung, less is waited than poll.timeout, %s)", c.timeout)
		}
	}
	return &Error{Kind: KindNetwork, Message: message, Answer: answer}
}

// Nonsense is a 200 that does not answer the question.
func Nonsense(answer Answer, message string) *Error {
	return &Error{Kind: KindNonsense, Status: http.StatusOK, Message: message, Answer: answer}
}

// statusError is an answer with another status than 200.
func statusError(resp *http.Response, answer Answer, body []byte) *Error {
	e := &Error{
		Status: resp.StatusCode, RetryAfter: retryAfter(resp), Message: secret.ErrorMessage(body),
		Reason: resp.Header.Get("Stripe-Rate-Limited-Reason"), Answer: answer,
	}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests:
		e.Kind = KindThrottled
	case e.Refusal():
		e.Kind = KindDenied
	case code == http.StatusNotFound:
		e.Kind = KindNotFound
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		e.Kind = KindServer
	case code >= 300 && code < 400:
		e.Kind = KindRedirect
		e.Message = "to " + redirectHost(resp)
	default:
		e.Kind = KindRefused
	}
	return e
}

func redirectHost(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	return to.Scheme + "://" + to.Host
}

// maxRetryAfter bounds what the API may ask for: a slip of its clock must not
// silence an account for days.
const maxRetryAfter = 10 * time.Minute

// retryAfter reads seconds or an HTTP date, which counts from the answer's own
// Date.
func retryAfter(resp *http.Response) time.Duration {
	header := resp.Header.Get("Retry-After")
	if header == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		wait = time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(header); err == nil {
		from, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			from = time.Now()
		}
		wait = at.Sub(from)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// deniedPause is at most how long the API is left alone after it refused the key,
// unless it says how long itself.
const deniedPause = 5 * time.Minute

// Backoff returns how long to wait after it, the n-th failure in a row (from 1). Jitter, up
// to 1, takes up to a half of that off.
func (e *Error) Backoff(n int, jitter float64) time.Duration {
	wait := min(time.Second<<min(n-1, 5), 30*time.Second)
	if e.Kind == KindDenied {
		wait = deniedPause
	}
	if e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return time.Duration(float64(wait) * (1 - jitter/2))
}
