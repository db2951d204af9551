package poller_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
)

// worlds are accounts of one poller, each with a memory of its own.
type worlds map[string]*world

func (ws worlds) Account(ctx context.Context, name string) (event.Account, bool, error) {
	return ws[name].Account(ctx, name)
}

func (ws worlds) SaveAccount(ctx context.Context, a event.Account) error {
	return ws[a.Name].SaveAccount(ctx, a)
}

func (ws worlds) Tracked(ctx context.Context, name string, each func(*event.Tracked) error) error {
	return ws[name].Tracked(ctx, name, each)
}

func (ws worlds) Handle(ctx context.Context, b poller.Batch) (poller.Handled, error) {
	return ws[b.Account.Name].Handle(ctx, b)
}

func (ws worlds) Preview(ctx context.Context, b poller.Batch) (poller.Handled, error) {
	return ws[b.Account.Name].Preview(ctx, b)
}

func (ws worlds) Vanish(ctx context.Context, name string, gone []poller.Gone) error {
	return ws[name].Vanish(ctx, name, gone)
}

// twins are a poller of two accounts at one host, each with its own list.
func twins(t *testing.T, first, second *listing) (ws worlds, poll func(d time.Duration) []poller.Status) {
	t.Helper()
	ws = worlds{"main": newWorld(t), "next": newWorld(t)}
	lists := map[string]*listing{"sk_test_main": first, "sk_test_next": second}
	var accounts []poller.Account
	for _, name := range []string{"main", "next"} {
		cfg := ws[name].cfg
		cfg.Name, cfg.SecretKey = name, secret.String("sk_test_"+name)
		accounts = append(accounts, cfg)
		ws[name].answer = func(req *http.Request) (int, string) {
			key, _, _ := req.BasicAuth()
			return lists[key].within(req)
		}
	}
	poll = func(d time.Duration) []poller.Status {
		t.Helper()
		p, err := poller.New(accounts, ws, ws, poller.Options{Observer: nobody{}, Transport: ws["main"], Logger: slog.New(loglimit.New(slog.NewTextHandler(testWriter{ws["main"]}, nil)))})
		if err != nil {
			t.Fatal(err)
		}
		ws["main"].run(p, d)
		return p.Status()
	}
	return ws, poll
}

// isTwin says whether an account is said to show what another one shows.
func isTwin(s poller.Status, other string) bool {
	return slices.ContainsFunc(s.Oddities, func(o poller.Oddity) bool {
		return o.Code == "shared_sessions" && strings.Contains(o.Detail, other)
	})
}

// Two accounts whose keys belong to one account of the API announce each order twice:
// each says so from its first pass on, and goes on as before.
func TestTwoKeysOfOneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListing()
		ws, poll := twins(t, l, l)
		l.order("cs_1", "complete", "paid")
		for n := range 3 {
			l.order(fmt.Sprintf("cs_%d", 10+n), "complete", "paid")
			for i, s := range poll(time.Hour) {
				if !isTwin(s, []string{"next", "main"}[i]) || !s.Healthy || s.Oddities[0].Count < 300 {
					t.Errorf("account %s: healthy %t, odd: %+v", s.Account, s.Healthy, s.Oddities)
				}
			}
		}
		for _, w := range ws {
			w.expect("cs_12", "created", "completed", "paid", "fulfillable")
		}
		said := slices.DeleteFunc(ws["main"].lines, func(line string) bool {
			return !strings.Contains(line, "level=WARN") || !strings.Contains(line, "oddity=shared_sessions")
		})
		if len(said) != 6 { // once by each account and process
			t.Errorf("said %d times", len(said))
		}
	})
}

// Accounts of the API that have nothing to do with one another are no twins, not even
// once each has the key that the other had, and what they had is stored under both names.
func TestTwoAccountsOfOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newListing(), newListing()
		ws, poll := twins(t, first, second)
		sell := func() {
			for n := range 5 {
				time.Sleep(time.Minute)
				first.order(fmt.Sprintf("cs_%d", 1000+len(first.ids)+n), "complete", "paid")
				second.order(fmt.Sprintf("cs_%d", 5000+len(second.ids)+n), "complete", "paid")
			}
		}
		check := func(healthy bool) {
			t.Helper()
			for _, s := range poll(10 * time.Minute) {
				if isTwin(s, "") || s.Healthy != healthy {
					t.Errorf("account %s: healthy %t: %s, odd: %+v", s.Account, s.Healthy, s.Error, s.Oddities)
				}
			}
		}
		sell()
		check(true)
		sell()
		check(true)
		*first, *second = *second, *first
		check(false) // both are stopped
		ws["main"].accept()
		for _, s := range poll(10 * time.Minute) { // the other one is still stopped
			if isTwin(s, "") {
				t.Errorf("account %s: odd: %+v", s.Account, s.Oddities)
			}
		}
		ws["next"].accept()
		sell()
		check(true)
	})
}

// Filters of which no session passes both keep accounts with one key apart.
func TestAccountsThatMayShareSessions(t *testing.T) {
	account := func(url string, f wooshpay.Filter) poller.Account {
		return poller.Account{SecretKey: "sk_test_1", BaseURL: url, Filter: f}
	}
	for _, tt := range []struct {
		a, b poller.Account
		want bool
	}{
		{account("", wooshpay.Filter{}), account("https://APItest.wooshpay.com/", wooshpay.Filter{}), true},
		{account("", wooshpay.Filter{}), account("https://api.example", wooshpay.Filter{}), false},
		{account("", wooshpay.Filter{}), account("", wooshpay.Filter{Customer: "cus_1"}), true},
		{account("", wooshpay.Filter{Customer: "cus_2"}), account("", wooshpay.Filter{Customer: "cus_1"}), false},
		{account("", wooshpay.Filter{PaymentIntent: "pi_2"}), account("", wooshpay.Filter{Customer: "cus_1"}), true},
		{account("", wooshpay.Filter{CustomerEmail: "Ann@shop.example"}), account("", wooshpay.Filter{CustomerEmail: "ann@shop.example"}), true},
	} {
		if got := tt.a.MayShare(tt.b); got != tt.want || tt.b.MayShare(tt.a) != got {
			t.Errorf("%+v and %+v: %t, want %t", tt.a, tt.b, got, tt.want)
		}
	}
}
