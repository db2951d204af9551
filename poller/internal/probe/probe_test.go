package probe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller/internal/probe"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
	"checkout-notifier/simulator"
)

const testKey = "sk_test_simulated"

// network stands before a simulated API with some sessions. It answers itself where
// answer returns a status; 1 cuts the connection.
type network struct {
	api    *simulator.API
	answer func(req *http.Request) (status int)
	header http.Header // of these answers
	ids    []string    // of the sessions, oldest first
	asked  int
}

// newNetwork must be called inside a synctest bubble.
func newNetwork(t *testing.T) *network {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))) // whose ids look as the API's
	n := &network{api: simulator.NewAPI(simulator.Config{SecretKey: testKey}), header: make(http.Header)}
	for i := range 8 {
		s, err := n.api.Create(simulator.Fields{"created": time.Now().Add(time.Duration(i-10) * time.Minute).UnixMilli()})
		if err != nil {
			t.Fatal(err)
		}
		n.ids = append(n.ids, s.ID)
	}
	return n
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	n.asked++
	if req.Body == nil {
		req.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	switch status := n.answer(req); status {
	case 0:
		n.api.ServeHTTP(rec, req)
	case 1:
		return nil, errors.New("connection reset by peer")
	default:
		for name := range n.header {
			rec.Header().Set(name, n.header.Get(name))
		}
		http.Error(rec, "<html>Request blocked.</html>", status)
	}
	if rec.Header().Get("Date") == "" {
		rec.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return rec.Result(), nil
}

func (n *network) run(t *testing.T, params string) ([]probe.Finding, []string, error) {
	t.Helper()
	client, err := wooshpay.New(wooshpay.Options{
		BaseURL: "https://api.example", Key: secret.String(testKey), ListParams: params, Timeout: 30 * time.Second, Transport: n,
	})
	if err != nil {
		t.Fatal(err)
	}
	return probe.Run(t.Context(), client, 100)
}

// warned is what else is to be known.
func warned(findings []probe.Finding) (list []string) {
	for _, f := range findings {
		if !f.OK && f.Warning {
			list = append(list, f.What+": "+f.Said)
		}
	}
	return list
}

// failed are the findings that are not well.
func failed(findings []probe.Finding) (list []string) {
	for _, f := range findings {
		if !f.OK && !f.Warning {
			list = append(list, f.What+": "+f.Said+": "+f.Remedy)
		}
	}
	return list
}

// A proxy may refuse every body, with whatever status: the parameters belong in the query
// then, and where they are sent there nothing is wrong.
func TestRefusedBody(t *testing.T) {
	for _, status := range []int{1, 302, 400, 401, 403, 404, 405, 411, 413, 500, 502, 503} {
		for _, params := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery, wooshpay.ParamsBoth} {
			for _, wait := range []string{"", "60"} {
				t.Run(fmt.Sprint(status, " ", params, " ", wait), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := newNetwork(t)
						if wait != "" {
							n.header.Set("Retry-After", wait)
						}
						n.answer = func(req *http.Request) int {
							if req.ContentLength > 0 {
								return status
							}
							return 0
						}
						findings, _, err := n.run(t, params)
						list := failed(findings)
						advised := len(list) == 1 && strings.HasSuffix(list[0], ": set list_params: query") && !strings.Contains(list[0], "key")
						if err != nil || advised != (params != wooshpay.ParamsQuery) || len(list) > 1 || n.asked > 12 {
							t.Errorf("%d questions, %v, %+v", n.asked, err, findings)
						}
					})
				})
			}
		}
	}
}

// A key that is refused is not taken for a body that is, nor is an API that is away.
func TestNothingIsAnswered(t *testing.T) {
	for _, status := range []int{1, 400, 401, 403, 404, 500, 502} {
		for _, params := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery} {
			t.Run(fmt.Sprint(status, " ", params), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork(t)
					n.answer = func(*http.Request) int { return status }
					if findings, _, err := n.run(t, params); err == nil || len(findings) > 0 || n.asked > 6 {
						t.Errorf("%d questions, %v, %+v", n.asked, err, findings)
					}
				})
			})
		}
	}
}

// breaks says whether a question is for a page on which one of the sessions stands, counted
// from the newest, where more stand above it than the filters of the question leave out.
func breaks(t *testing.T, n *network, req *http.Request, broken int) bool {
	t.Helper()
	rec := httptest.NewRecorder()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	n.api.ServeHTTP(rec, req)
	req.Body = io.NopCloser(bytes.NewReader(body))
	return strings.Contains(rec.Body.String(), n.ids[len(n.ids)-broken])
}

// An API that fails over each page on which a certain session stands is reached all the same:
// the key is good, and the daemon polls.
func TestPageThatFails(t *testing.T) {
	for _, status := range []int{1, 403, 404, 500} {
		for broken := 1; broken <= 8; broken++ {
			for _, params := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery} {
				t.Run(fmt.Sprint(status, " ", broken, " ", params), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := newNetwork(t)
						n.answer = func(req *http.Request) int {
							if breaks(t, n, req, broken) {
								return status
							}
							return 0
						}
						findings, shown, err := n.run(t, params)
						warnings := warned(findings)
						if err != nil || len(failed(findings)) > 0 || len(warnings) == 0 || !strings.Contains(warnings[0], "page of 100: not answered") || strings.Contains(warnings[0], "key") {
							t.Errorf("%v, %+v", err, findings)
						}
						if want := map[int]int{1: 0, 2: 1, 3: 1, 4: 3}[broken]; broken <= 4 && len(shown) != want || broken > 4 && len(shown) < 3 {
							t.Errorf("%d are shown", len(shown))
						}
					})
				})
			}
		}
	}
}

// A question that fails once is asked once more, as late as the API asks, up to a minute.
func TestQuestionAskedAgain(t *testing.T) {
	for _, status := range []int{1, 403, 429, 500, 503} {
		for _, wait := range []string{"", "20", "600"} {
			for nth := 1; nth <= 9; nth++ {
				t.Run(fmt.Sprint(status, " ", wait, " ", nth), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := newNetwork(t)
						if wait != "" && status != 1 {
							n.header.Set("Retry-After", wait)
						}
						n.answer = func(*http.Request) int {
							if n.asked == nth {
								return status
							}
							return 0
						}
						began := time.Now()
						findings, shown, err := n.run(t, wooshpay.ParamsBody)
						took := time.Since(began)
						if n.header.Get("Retry-After") == "600" {
							if took > time.Second || len(failed(findings)) > 0 {
								t.Errorf("%s, %+v, %v", took, findings, err)
							}
							return
						}
						if err != nil || len(shown) != 8 || len(failed(findings)) > 0 || len(warned(findings)) > 0 || n.asked > 10 || took > 21*time.Second {
							t.Errorf("%d questions in %s, %v, %+v", n.asked, took, err, findings)
						}
					})
				})
			}
		}
	}
}

// A question for which the API has no answer is not checked, and the others are.
func TestQuestionWithoutAnswer(t *testing.T) {
	for _, status := range []int{1, 403, 404, 429, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				n.answer = func(req *http.Request) int {
					if req.URL.Query().Has("starting_after") {
						return status
					}
					return 0
				}
				findings, _, err := n.run(t, wooshpay.ParamsQuery)
				warnings := warned(findings)
				if err != nil || len(failed(findings)) > 0 || len(warnings) != 1 || !strings.HasPrefix(warnings[0], "starting_after in the query: not answered") || strings.Contains(warnings[0], "key") {
					t.Errorf("%v, %+v", err, findings)
				}
			})
		})
	}
}

// Of an API that takes bounds of creation times for milliseconds it is said what that means.
func TestMilliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.answer = func(*http.Request) int { return 0 }
		if err := n.api.SetFaults(simulator.Faults{FilterUnit: simulator.UnitMillis}); err != nil {
			t.Fatal(err)
		}
		findings, _, err := n.run(t, wooshpay.ParamsBody)
		list := failed(findings)
		if err != nil || len(list) != 2 || !strings.HasPrefix(list[0], "created[lte] in the body: shows nothing: the API may take seconds for milliseconds") || !strings.HasPrefix(list[1], "created[gte] in the body: ignored") {
			t.Errorf("%v, %v", err, list)
		}
	})
}
