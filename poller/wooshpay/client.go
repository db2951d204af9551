// Package wooshpay asks WooshPay's API for checkout sessions and reads what it answers,
// with the oddities that were seen of it. It makes one request at a time, as it is told:
// what to ask for, when, and what to believe of an answer is for its caller. It knows
// neither accounts nor what was shown before.
package wooshpay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/secret"
)

// The API's two modes and hosts. A key's prefix decides between them.
const (
	ModeLive = "live"
	ModeTest = "test"

	LiveHost = "https://api.wooshpay.com"
	TestHost = "https://apitest.wooshpay.com"
)

const (
	listPath    = "/v1/checkout/sessions/list"
	sessionPath = "/v1/checkout/sessions/"
	// maxAnswer is far above the largest page seen: 100 sessions of 4 KB.
	maxAnswer = 32 << 20
)

// KeyMode returns the mode of a secret key by its prefix, "" for anything else.
func KeyMode(key string) string {
	switch {
	case strings.HasPrefix(key, "sk_live_"):
		return ModeLive
	case strings.HasPrefix(key, "sk_test_"):
		return ModeTest
	}
	return ""
}

// Unusual says for people, after an account's name, that it is none of live mode at the
// official API; of one that is it says "".
func Unusual(host, mode string) (said string) {
	if at := "https://" + host; host != "" && at != LiveHost && at != TestHost {
		said = " at " + host
	}
	if mode == ModeTest {
		said += " [test]"
	}
	return said
}

// Client asks the API and reads its answers, oddities included. It is safe for
// concurrent use. It never follows a redirect: net/http would drop the filters
// of a GET body on the way, and an unfiltered list looks valid.
type Client struct {
	http    *http.Client
	base    *url.URL
	key     string
	hidden  secret.List // what each request tells
	where   string      // see Params
	filter  Filter
	version string
	now     func() time.Time // our own clock
	failed  *atomic.Int32    // requests in a row, of all clients that share the connections
	timeout time.Duration    // as configured: see Within
}

// Options say what a client asks, and how.
type Options struct {
	BaseURL     string // without the path of the API's version
	Key         secret.String
	ListParams  string // ParamsBody, ParamsQuery or ParamsBoth
	Filter      Filter
	Timeout     time.Duration     // of one request
	Connections int               // that are kept open
	Version     string            // of notifier, for the User-Agent
	Transport   http.RoundTripper // nil: HTTP over the network, with the proxy that the environment names
	Now         func() time.Time  // our own clock; nil: time.Now
}

// New returns a client; it asks nothing. An error means that BaseURL is no URL.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, errors.New("base_url is not a URL")
	}
	if o.Transport == nil {
		o.Transport = newConnections(newTransport(o))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{
		http: &http.Client{
			Transport:     o.Transport,
			Timeout:       o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base: base, key: o.Key.Reveal(), hidden: secret.OfClient(o.Key.Reveal()),
		where: o.ListParams, filter: o.Filter, version: o.Version, now: o.Now, failed: new(atomic.Int32), timeout: o.Timeout,
	}, nil
}

func newTransport(o Options) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: max(o.Connections, 1),
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
		// All requests share one connection of HTTP/2. If nobody is left at its other end,
		// this is found out while the first request waits, not once the kernel gives up.
		HTTP2: &http.HTTP2Config{SendPingTimeout: o.Timeout / 3, PingTimeout: o.Timeout / 3},
	}
}

// Params returns where list filters travel: ParamsBody, ParamsQuery or ParamsBoth.
func (c *Client) Params() string { return c.where }

// WithParams returns a client like this one whose list filters travel elsewhere.
func (c *Client) WithParams(params string) *Client {
	other := *c
	other.where = params
	return &other
}

// Within returns a client like this one with another time for each request.
func (c *Client) Within(timeout time.Duration) *Client {
	if timeout == c.http.Timeout {
		return c
	}
	other, hasty := *c, *c.http
	hasty.Timeout = timeout
	other.http = &hasty
	return &other
}

// Values of Options.ListParams: where the list filters travel.
const (
	ParamsBody  = "body"
	ParamsQuery = "query"
	ParamsBoth  = "both"
)

// Query asks for one page of the list.
type Query struct {
	CreatedGTE    time.Time // zero: no lower bound
	CreatedLTE    time.Time // zero: no upper bound
	StartingAfter string    // an id; "" for the newest page
	Limit         int
}

// Answer is when an answer was asked for and given.
type Answer struct {
	Sent, Received time.Time // by the local clock
	Date           time.Time // the server's, whole seconds; zero if it did not say
}

// List asks for a page. An error is an *Error, unless ctx has ended or no request can be
// made of the base URL. The page holds memory until it is released.
func (c *Client) List(ctx context.Context, q Query) (page *Page, err error) {
	defer func() {
		err = c.done(err)
		if failure := (*Error)(nil); errors.As(err, &failure) {
			failure.Asked = q
		}
	}()
	memory := pageMemories.Get().(*Memory)
	answer, err := c.get(ctx, listPath, c.listParams(q), &memory.Body)
	if err != nil {
		pageMemories.Put(memory)
		return nil, err
	}
	page, err = ReadPage(memory)
	if err != nil {
		pageMemories.Put(memory)
		return nil, Nonsense(answer, err.Error())
	}
	page.Answer, page.Asked = answer, q
	return page, nil
}

// ReadsQuery asks for a page with the parameters in the query, and says whether the answer
// keeps to the limit.
func (c *Client) ReadsQuery(ctx context.Context, q Query) (bool, error) {
	page, err := c.WithParams(ParamsQuery).List(ctx, q)
	if err != nil {
		return false, err
	}
	defer page.Release()
	return page.Total <= q.Limit, nil
}

// Reread reads a page again, by the checked decoder, once an item of it cannot be decoded.
// The first page must not be used any more, nor released: the new one has its memory.
func (c *Client) Reread(page *Page) (*Page, error) {
	checked, err := readChecked(page.body)
	if err != nil {
		return nil, c.masked(Nonsense(page.Answer, err.Error()))
	}
	checked.Answer, checked.Asked, checked.memory = page.Answer, page.Asked, page.memory
	return checked, nil
}

// Get asks for one session. ErrNotFound means that the API does not know it; a 401 or 403
// is about the session and not about the key, and of KindRefused.
func (c *Client) Get(ctx context.Context, id string) (s checkout.Session, answer Answer, err error) {
	defer func() { err = c.done(err) }()
	var body bytes.Buffer
	answer, err = c.get(ctx, sessionPath+url.PathEscape(id), nil, &body)
	var failure *Error
	if errors.As(err, &failure) && failure.Refusal() {
		failure.Kind = KindRefused
	}
	if err != nil {
		return checkout.Session{}, answer, err
	}
	s, err = checkout.Parse(body.Bytes())
	if err != nil {
		return checkout.Session{}, answer, Nonsense(answer, err.Error())
	}
	if s.ID != id {
		return checkout.Session{}, answer, Nonsense(answer, "the answer is about another session")
	}
	return s, answer, nil
}

// connections are those to the API. It is safe for concurrent use.
type connections struct {
	now atomic.Pointer[http.Transport]
}

func newConnections(t *http.Transport) *connections {
	c := new(connections)
	c.now.Store(t)
	return c
}

func (c *connections) RoundTrip(req *http.Request) (*http.Response, error) {
	return c.now.Load().RoundTrip(req)
}

// CloseIdleConnections lets no later request use a connection that is open now, also one
// on which a request has just been given up, or others still wait.
func (c *connections) CloseIdleConnections() {
	former := c.now.Load()
	if c.now.CompareAndSwap(former, former.Clone()) {
		former.CloseIdleConnections() // the others close when they have been idle for a while
	}
}

// done ends a request. After two failures in a row the open connections are not used again:
// a balancer may lead new ones to a server that is well.
func (c *Client) done(err error) error {
	var failure *Error
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		c.failed.Store(0)
	case errors.As(err, &failure) && c.failed.Add(1)%2 == 0:
		c.http.CloseIdleConnections()
	}
	return c.masked(err)
}

// masked hides in an error what the API, or who stands before it, repeats of the request.
func (c *Client) masked(err error) error {
	var failure *Error
	if errors.As(err, &failure) {
		failure.Message, failure.Reason = c.hidden.Message(failure.Message), c.hidden.Message(failure.Reason)
	}
	return err
}

// listParams is the query as the API's documented JSON body.
func (c *Client) listParams(q Query) map[string]any {
	p := map[string]any{"limit": q.Limit}
	created := map[string]string{}
	for bound, at := range map[string]time.Time{"gte": q.CreatedGTE, "lte": q.CreatedLTE} {
		if !at.IsZero() {
			created[bound] = strconv.FormatInt(at.Unix(), 10)
			p["created"] = created
		}
	}
	for name, value := range map[string]string{"starting_after": q.StartingAfter, "customer": c.filter.Customer, "payment_intent": c.filter.PaymentIntent} {
		if value != "" {
			p[name] = value
		}
	}
	if c.filter.CustomerEmail != "" {
		p["customer_details"] = map[string]string{"email": c.filter.CustomerEmail}
	}
	return p
}

// queryString is the same query in the form of the API's newer lists.
func queryString(params map[string]any) string {
	values := url.Values{}
	for name, value := range params {
		members, nested := value.(map[string]string)
		for member, text := range members {
			values.Set(name+"["+member+"]", text)
		}
		if !nested {
			values.Set(name, fmt.Sprint(value))
		}
	}
	return values.Encode()
}

// get asks and reads the body of a 200; every other outcome is an *Error.
func (c *Client) get(ctx context.Context, path string, params map[string]any, body *bytes.Buffer) (Answer, error) {
	body.Reset()
	answer := Answer{Sent: c.now()}
	req, err := c.request(ctx, path, params)
	if err != nil {
		return answer, err
	}
	resp, err := c.http.Do(req)
	answer.Received = c.now()
	if err != nil {
		return answer, c.networkError(ctx, answer, err)
	}
	defer resp.Body.Close()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		answer.Date = date
	}
	if n := resp.ContentLength; n > 0 && n <= maxAnswer {
		body.Grow(int(n) + bytes.MinRead) // the end is read without growing
	}
	_, err = body.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	answer.Received = c.now()
	if bytes.HasPrefix(body.Bytes(), byteOrderMark) {
		body.Next(len(byteOrderMark))
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return answer, statusError(resp, answer, body.Bytes())
	case err != nil:
		return answer, c.networkError(ctx, answer, fmt.Errorf("the answer was cut off: %w", err))
	case body.Len() > maxAnswer:
		return answer, Nonsense(answer, "the answer is larger than 32 MiB")
	}
	return answer, nil
}

// byteOrderMark stands before the JSON of some servers.
var byteOrderMark = []byte("\ufeff")

// request makes a request to a path, which is escaped.
func (c *Client) request(ctx context.Context, path string, params map[string]any) (*http.Request, error) {
	target := *c.base
	target.RawPath = strings.TrimSuffix(target.EscapedPath(), "/") + path
	unescaped, err := url.PathUnescape(target.RawPath)
	if err != nil {
		return nil, errors.New("base_url makes no request")
	}
	target.Path = unescaped
	var body io.Reader
	if params != nil && c.where != ParamsBody {
		target.RawQuery = queryString(params)
	}
	if params != nil && c.where != ParamsQuery {
		encoded, err := json.Marshal(params)
		if err != nil {
			return nil, fmt.Errorf("writing list parameters: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), body)
	if err != nil {
		return nil, errors.New("base_url makes no request")
	}
	req.SetBasicAuth(c.key, "")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cache-Control", "no-cache") // a proxy in between may keep answers
	req.Header.Set("User-Agent", "notifier/"+c.version)
	return req, nil
}
