package simulator_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

var (
	keyA, keyB       = []byte("0123456789abcdef0123456789abcdef"), []byte("fedcba9876543210fedcba9876543210")
	secretA, secretB = "whsec_" + base64.StdEncoding.EncodeToString(keyA), "whsec_" + base64.StdEncoding.EncodeToString(keyB)
)

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

func standardSignature(key []byte, id, stamp, body string) string {
	return "v1," + base64.StdEncoding.EncodeToString(mac(key, id+"."+stamp+"."+body))
}

func stripeSignature(secret, stamp, body string) string {
	return "v1=" + hex.EncodeToString(mac([]byte(secret), stamp+"."+body))
}

func newReceiver(t *testing.T, cfg simulator.ReceiverConfig) *simulator.Receiver {
	t.Helper()
	cfg.Now = noon
	rc, err := simulator.NewReceiver(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rc
}

func deliver(t *testing.T, rc *simulator.Receiver, header map[string]string, body string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks?x=1", strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	rc.ServeHTTP(rec, r)
	return rec.Result()
}

func TestReceiverVerifies(t *testing.T) {
	const id, body = "dlv_1", `{"id":"evt_1"}`
	at := func(d time.Duration) string { return strconv.FormatInt(noon().Add(d).Unix(), 10) }
	now := at(0)
	standard := func(id, stamp, signatures string) map[string]string {
		return map[string]string{"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signatures}
	}
	good := standardSignature(keyA, id, now, body)
	both := standard(id, now, good)
	both["Stripe-Signature"] = "t=" + now + "," + stripeSignature(secretA, now, body)
	contradictory := standard(id, now, good)
	contradictory["Stripe-Signature"] = "t=" + now + "," + stripeSignature(secretA, now, "other")
	for name, tc := range map[string]struct {
		header  map[string]string
		schemes []string
		reason  string
	}{
		"standard":            {standard(id, now, good), []string{simulator.SchemeStandard}, ""},
		"second secret":       {standard(id, now, standardSignature(keyB, id, now, body)), []string{simulator.SchemeStandard}, ""},
		"several signatures":  {standard(id, now, "v1a,zzz v1,AAAA v1,? "+good), []string{simulator.SchemeStandard}, ""},
		"oldest allowed":      {standard(id, at(-5*time.Minute), standardSignature(keyA, id, at(-5*time.Minute), body)), []string{simulator.SchemeStandard}, ""},
		"stripe":              {map[string]string{"Stripe-Signature": "t=" + now + ",v0=ff, " + stripeSignature(secretB, now, body)}, []string{simulator.SchemeStripe}, ""},
		"both":                {both, []string{simulator.SchemeStandard, simulator.SchemeStripe}, ""},
		"one of both":         {contradictory, []string{simulator.SchemeStandard}, "stripe: no v1 signature matches"},
		"none":                {map[string]string{"webhook-id": id}, nil, "no signature"},
		"wrong key":           {standard(id, now, standardSignature([]byte("x"), id, now, body)), nil, "no v1 signature matches"},
		"wrong body":          {standard(id, now, standardSignature(keyA, id, now, body+" ")), nil, "no v1 signature matches"},
		"wrong id":            {standard("dlv_2", now, good), nil, "no v1 signature matches"},
		"other version":       {standard(id, now, "v2"+good[2:]), nil, "no v1 signature matches"},
		"key as written":      {standard(id, now, standardSignature([]byte(secretA), id, now, body)), nil, "no v1 signature matches"},
		"no id":               {standard("", now, standardSignature(keyA, "", now, body)), nil, "webhook-id is missing"},
		"id with a dot":       {standard("a.b", now, standardSignature(keyA, "a.b", now, body)), nil, "dot"},
		"too old":             {standard(id, at(-301*time.Second), standardSignature(keyA, id, at(-301*time.Second), body)), nil, "away from"},
		"too new":             {standard(id, at(301*time.Second), standardSignature(keyA, id, at(301*time.Second), body)), nil, "away from"},
		"timestamp in ms":     {standard(id, now+"000", standardSignature(keyA, id, now+"000", body)), nil, "away from"},
		"no timestamp":        {standard(id, "", standardSignature(keyA, id, "", body)), nil, "no Unix time"},
		"stripe too old":      {map[string]string{"Stripe-Signature": "t=1," + stripeSignature(secretA, "1", body)}, nil, "away from"},
		"stripe decoded key":  {map[string]string{"Stripe-Signature": "t=" + now + ",v1=" + hex.EncodeToString(mac(keyA, now+"."+body))}, nil, "no v1"},
		"stripe without time": {map[string]string{"Stripe-Signature": stripeSignature(secretA, now, body)}, nil, "no Unix time"},
	} {
		t.Run(name, func(t *testing.T) {
			rc := newReceiver(t, simulator.ReceiverConfig{Secrets: []string{secretA, secretB}})
			resp := deliver(t, rc, tc.header, body)
			want, verdict := http.StatusNoContent, simulator.Verified
			if tc.reason != "" {
				want, verdict = http.StatusUnauthorized, simulator.Refused
			}
			got := rc.Requests()[0]
			if resp.StatusCode != want || got.Status != want || got.Verification != verdict || !strings.Contains(got.Reason, tc.reason) {
				t.Errorf("answered %d, recorded %d %s %q; want %d %s %q", resp.StatusCode, got.Status, got.Verification, got.Reason, want, verdict, tc.reason)
			}
			if diff := cmp.Diff(tc.schemes, got.Schemes); diff != "" {
				t.Errorf("schemes (-want +got):\n%s", diff)
			}
			if string(got.Body) != body || got.ID != tc.header["webhook-id"] || got.Path != "/hooks?x=1" || !got.Time.Equal(noon()) {
				t.Errorf("recorded %+v", got)
			}
		})
	}
}

func TestReceiverWithoutSecrets(t *testing.T) {
	rc := newReceiver(t, simulator.ReceiverConfig{})
	if resp := deliver(t, rc, nil, "{}"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("status %d", resp.StatusCode)
	}
	if got := rc.Requests()[0].Verification; got != simulator.Unsigned {
		t.Errorf("verification %q, want unsigned", got)
	}
}

func TestReceiverRefusesBadSecrets(t *testing.T) {
	for _, secret := range []string{"", "secret", "whsec_", "whsec_!!", "whsec_YQ"} {
		if _, err := simulator.NewReceiver(simulator.ReceiverConfig{Secrets: []string{secretA, secret}}); !errors.Is(err, simulator.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", secret, err)
		}
	}
}

func TestReceiverScript(t *testing.T) {
	var heard []int
	rc := newReceiver(t, simulator.ReceiverConfig{
		OnRequest: func(got simulator.Received) { heard = append(heard, got.Status) },
		Respond: func(got simulator.Received) simulator.Response {
			if got.Attempt > 2 {
				return simulator.Response{}
			}
			return simulator.Response{Status: 503, Header: http.Header{"Retry-After": {"9"}}, Body: []byte("later")}
		},
	})
	var statuses []int
	for range 3 {
		resp := deliver(t, rc, map[string]string{"webhook-id": "a"}, "{}")
		statuses = append(statuses, resp.StatusCode)
		if resp.StatusCode == 503 && (resp.Header.Get("Retry-After") != "9" || readAll(t, resp) != "later") {
			t.Errorf("answer %v", resp.Header)
		}
	}
	want := []int{503, 503, 204}
	if diff := cmp.Diff(want, statuses); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("OnRequest (-want +got):\n%s", diff)
	}
	rc.Reset()
	if n := len(rc.Requests()); n != 0 {
		t.Errorf("%d requests after Reset", n)
	}
}

func TestReceiverDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := newReceiver(t, simulator.ReceiverConfig{
			Respond: func(simulator.Received) simulator.Response { return simulator.Response{Delay: time.Minute} },
		})
		start := time.Now()
		deliver(t, rc, nil, "{}")
		if d := time.Since(start); d != time.Minute {
			t.Errorf("answered after %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		rc.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil))
		if d := time.Since(start); d != time.Second {
			t.Errorf("kept an absent client for %v", d)
		}
	})
}

func TestReceiverLimits(t *testing.T) {
	rc := newReceiver(t, simulator.ReceiverConfig{Keep: 2})
	if resp := deliver(t, rc, nil, strings.Repeat("x", 1<<20)); resp.StatusCode != http.StatusNoContent {
		t.Errorf("1 MiB: %d", resp.StatusCode)
	}
	if resp := deliver(t, rc, nil, strings.Repeat("x", 1<<20+1)); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("more than 1 MiB: %d", resp.StatusCode)
	}
	rec := httptest.NewRecorder()
	rc.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", rec.Code)
	}
	kept := rc.Requests()
	if len(kept) != 2 || kept[0].Status != http.StatusRequestEntityTooLarge || kept[1].Status != http.StatusMethodNotAllowed {
		t.Errorf("kept %d, want the last two", len(kept))
	}
}

func TestReceiverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := newReceiver(t, simulator.ReceiverConfig{})
		go func() {
			for i := range 3 {
				time.Sleep(time.Second)
				deliver(t, rc, map[string]string{"webhook-id": fmt.Sprint(i)}, "{}")
			}
		}()
		start := time.Now()
		got, err := rc.Wait(t.Context(), 3)
		if err != nil || len(got) != 3 || time.Since(start) != 3*time.Second {
			t.Errorf("%d requests, %v, after %v", len(got), err, time.Since(start))
		}
		for i, r := range got {
			if r.ID != strconv.Itoa(i) {
				t.Errorf("request %d has id %s", i, r.ID)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := rc.Wait(ctx, 4); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for too many: %v", err)
		}
	})
}
