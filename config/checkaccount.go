package config

import (
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
)

// Bounds of the poll section. Below the shortest interval a pass only waits for
// the rate limit; above the longest, sessions expire between two passes.
const (
	shortestInterval = 100 * time.Millisecond
	longestInterval  = 24 * time.Hour
	largestPage      = 100 // of the API
	mostPages        = 64
)

func (l *loader) checkAccounts() {
	accounts := l.config.Accounts
	if len(accounts) == 0 {
		l.errorf("accounts", codeRequired, "accounts: at least one account is required")
	}
	l.names("accounts", len(accounts), func(i int) string { return accounts[i].Name })
	for i, account := range accounts {
		path := index("accounts", i)
		if l.untouchable(path) {
			continue
		}
		host := l.checkBaseURL(join(path, "base_url"), account.BaseURL)
		l.checkKey(join(path, "secret_key"), account.SecretKey.Reveal(), host)
		l.checkStart(join(path, "start"), account.Start)
		l.oneOf(join(path, "list_params"), account.ListParams, wooshpay.ParamsBody, wooshpay.ParamsQuery, wooshpay.ParamsBoth)
		if email := account.Filter.CustomerEmail; email != "" && !strings.Contains(email, "@") {
			l.errorf(join(path, "filter.customer_email"), codeValue, "%s.filter.customer_email is not an e-mail address", path)
		}
		l.checkPoll(join(path, "poll"), account.Poll, func(key string) bool {
			_, own := l.places[key]
			return own
		})
	}
}

// checkBaseURL returns the host of the account's API, "" when the key decides.
func (l *loader) checkBaseURL(path, text string) string {
	if text == "" {
		return ""
	}
	u := l.webURL(path, text, "http", "https")
	if u == nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case u.User != nil:
		l.errorf(path, codeSecret, "%s must not contain a user name: the key goes into secret_key", path)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		l.errorf(path, codeValue, "%s must end before any ? or #", path)
	case u.Scheme == "http" && officialMode(host) != "":
		l.errorf(path, codeValue, "%s must begin with https://: the API refuses plain HTTP", path)
	case u.Scheme == "http" && !private(host):
		l.warnf(path, codePlainHTTP, "%s sends the secret key over plain HTTP", path)
	}
	return host
}

// officialMode returns the mode that a host of the API serves, "" for others.
func officialMode(host string) string {
	for mode, address := range map[string]string{wooshpay.ModeLive: wooshpay.LiveHost, wooshpay.ModeTest: wooshpay.TestHost} {
		if u, err := url.Parse(address); err == nil && u.Hostname() == host {
			return mode
		}
	}
	return ""
}

// checkKey refuses keys that the API would refuse, and the mistakes that people
// make with them. No message repeats any part of the key.
func (l *loader) checkKey(path, key, host string) {
	if !l.required(path, key) {
		return
	}
	mode, served := wooshpay.KeyMode(key), officialMode(host)
	switch {
	case strings.ContainsAny(key, " \t\r\n"):
		l.errorf(path, codeSecret, "%s contains white space or a line break", path)
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
		l.errorf(path, codeSecret, "%s contains characters that no key has: copy the whole key, not its abbreviation", path)
	case strings.HasPrefix(key, "pk_"):
		l.errorf(path, codeSecret, "%s is a publishable key (pk_…), which can list nothing: use the secret key (sk_…)", path)
	case encodedKey(key):
		l.errorf(path, codeSecret, "%s is already Base64-encoded: write the key itself (sk_…)", path)
	case strings.HasPrefix(key, "$"):
		l.errorf(path, codeSecret, "%s begins with $: a variable is written ${NAME}", path)
	case mode == "" && (host == "" || served != ""): // another host may have keys of its own form
		l.errorf(path, codeSecret, "%s must begin with sk_live_ or sk_test_", path)
	case key == "sk_live_" || key == "sk_test_":
		l.errorf(path, codeSecret, "%s is only the beginning of a key", path)
	case served != "" && served != mode:
		l.errorf(path, codeSecret, "%s is a %s key, but base_url is the %s host", path, mode, served)
	}
}

// encodedKey recognises a key that was encoded for an Authorization header.
func encodedKey(key string) bool {
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		if plain, err := encoding.DecodeString(key); err == nil &&
			(strings.HasPrefix(string(plain), "sk_") || strings.HasPrefix(string(plain), "pk_")) {
			return true
		}
	}
	return false
}

func (l *loader) checkStart(path, start string) {
	if start == poller.StartNow || start == poller.StartAll {
		return
	}
	if at, err := time.Parse(time.RFC3339, start); err == nil {
		if now := l.options.Now; !now.IsZero() && at.Sub(now) > day {
			l.warnf(path, codeFutureStart, "%s is in the future: no session that is created before then is announced, and the start of an account that was polled cannot be changed; write now, or a time that is past", path)
		}
		return
	}
	hint := ""
	if _, err := time.Parse(time.DateOnly, start); err == nil {
		hint = ": write " + start + "T00:00:00Z"
	}
	l.unknownName(path, codeValue, path+" must be now, all or a time as in RFC 3339"+hint, start,
		[]string{poller.StartNow, poller.StartAll})
}

// checkPoll checks those keys of a poll section that stand there themselves.
func (l *loader) checkPoll(path string, p poller.Poll, own func(path string) bool) {
	duration := func(key string, d, least, most time.Duration) {
		if at := join(path, key); own(at) {
			l.between(at, d, least, most)
		}
	}
	duration("interval", p.Interval, shortestInterval, longestInterval)
	duration("timeout", p.Timeout, time.Millisecond, time.Hour)
	duration("unpaid_for", p.UnpaidFor, time.Millisecond, longest)
	if at := join(path, "unpaid_for"); own(at) && p.UnpaidFor > 0 && p.UnpaidFor < day {
		l.warnf(at, codeGivesUp, "%s is less than a day: bank transfers take days, and a payment that comes later, and more than 25 hours after the session was created, is not seen until a backfill reads it; leave the key out for the default of 14 days", at)
	}
	duration("tuning.overlap", p.Tuning.Overlap, time.Millisecond, longest)
	duration("tuning.hot_age", p.Tuning.HotAge, 0, longest)
	duration("tuning.warm_every", p.Tuning.WarmEvery, time.Millisecond, longest)
	duration("tuning.unpaid_every", p.Tuning.UnpaidEvery, time.Millisecond, longest)
	duration("tuning.reconcile_every", p.Tuning.ReconcileEvery, time.Millisecond, longest)
	duration("tuning.confirm_after", p.Tuning.ConfirmAfter, 0, longest)
	if at := join(path, "rate_limit"); own(at) {
		l.notNegative(at, p.RateLimit)
	}
	if at := join(path, "tuning.page_size"); own(at) {
		l.within(at, p.Tuning.PageSize, 1, largestPage)
	}
	if at := join(path, "tuning.concurrency"); own(at) {
		l.within(at, p.Tuning.Concurrency, 1, mostPages)
	}
}
