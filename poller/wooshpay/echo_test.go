package wooshpay_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"checkout-notifier/poller/wooshpay"
)

// Whatever the API, or who stands before it, repeats of a request, and wherever: no error
// shows the key or who a customer is.
func TestNoErrorShowsWhatWasRepeated(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte(testKey + ":"))
	said := "key:" + testKey + "/pk_live_x, header 'Basic " + basic + "' of jane@example.com, https://checkout.example/c/pay/cs_1?key=LINK"
	inJSON := `{"error":{"message":"` + said + `"}}`
	for name, a := range map[string]answer{
		"401":                       {status: 401, body: inJSON},
		"401 as text":               {status: 401, body: said},
		"a long word":               {status: 401, body: strings.Repeat("-", 50) + testKey},
		"a long text":               {status: 401, body: `{"error":{"message":"` + strings.Repeat("- ", 149-len(testKey)/2) + testKey + `"}}`},
		"403 in Base64":             {status: 403, body: base64.StdEncoding.EncodeToString([]byte("GET / Authorization: Basic " + basic))},
		"404 by code":               {status: 404, body: `{"error":{"code":"` + testKey + `"}}`},
		"500 in HTML":               {status: 500, body: "<html>" + said + "</html>"},
		"429 in a header":           {status: 429, header: http.Header{"Stripe-Rate-Limited-Reason": {said}}},
		"a redirect":                {status: 302, header: http.Header{"Location": {"https://" + testKey + ":x@" + testKey + ".example/" + testKey}}},
		"200 in HTML":               {status: 200, body: "<html>" + said},
		"200 with an error":         {status: 200, body: inJSON},
		"a header that is none":     {err: errors.New(`malformed MIME header line: "` + said + `"`)},
		"an address of a proxy":     {err: errors.New(`invalid proxy address "http://jane@example.com:LINK@proxy": no port`)},
		"what a server says in TLS": {err: errors.New("tls: certificate of https://jane:LINK@api.example")},
	} {
		client := newClient(t, &a)
		_, listed := client.List(t.Context(), wooshpay.Query{Limit: 100})
		_, _, got := client.Get(t.Context(), "cs_1")
		for _, err := range []error{listed, got} {
			var failure *wooshpay.Error
			if !errors.As(err, &failure) {
				t.Fatalf("%s: %v, want an *Error", name, err)
			}
			shown := failure.Error() + failure.Reason
			for _, leak := range []string{testKey, testKey[:12], basic[:8], "poller", "jane", "LINK", "YXNpYy"} {
				if strings.Contains(shown, leak) {
					t.Errorf("%s: %q gives %q away", name, shown, leak)
				}
			}
			if strings.Contains(name, "200") {
				break // what Get says of it is its own
			}
		}
	}
}
