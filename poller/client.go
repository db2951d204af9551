package poller

import (
	"bytes"
	"cmp"
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
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/secret"
)

// The API's two modes and hosts. The key's prefix decides between them.
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

// Client asks the API and reads its answers, oddities included. It is safe for
// concurrent use. It never follows a redirect: net/http would drop the filters
// of a GET body on the way, and an unfiltered list looks valid.
type Client struct {
	http    *http.Client
	base    *url.URL
	key     string
	hidden  secret.List // what each request tells
	params  string
	filter  Filter
	version string
	now     func() time.Time // our own clock
}

// NewClient returns a client for an account whose configuration has been
// checked. version goes into the User-Agent; transport is nil for HTTP over the
// network, with the proxy that the environment names.
func NewClient(a Account, version string, transport http.RoundTripper) (*Client, error) {
	base, err := url.Parse(a.Endpoint())
	if err != nil {
		return nil, fmt.Errorf("account %s: base_url is not a URL", a.Name)
	}
	if transport == nil {
		transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: max(a.Poll.Tuning.Concurrency, 1),
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
		}
	}
	return &Client{
		http: &http.Client{
			Transport:     transport,
			Timeout:       a.Poll.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base: base, key: a.SecretKey.Reveal(), hidden: secret.OfClient(a.SecretKey.Reveal()),
		params: a.ListParams, filter: a.Filter, version: version, now: time.Now,
	}, nil
}

// withParams returns the client with list filters travelling elsewhere.
func (c *Client) withParams(params string) *Client {
	other := *c
	other.params = params
	return &other
}

// within returns the client with another time for each request.
func (c *Client) within(timeout time.Duration) *Client {
	if timeout == c.http.Timeout {
		return c
	}
	other, hasty := *c, *c.http
	hasty.Timeout = timeout
	other.http = &hasty
	return &other
}

// Endpoint is the URL at which the account's API is asked.
func (a Account) Endpoint() string {
	switch {
	case a.BaseURL != "":
		return strings.TrimSuffix(a.BaseURL, "/")
	case KeyMode(a.SecretKey.Reveal()) == ModeLive:
		return LiveHost
	}
	return TestHost
}

// Binding is what the store binds the account's name to: the API's host, and live or
// test by the key. A key of neither kind, which only another host than the official
// ones can accept, counts as test.
func (a Account) Binding() (host, mode string) {
	mode = cmp.Or(KeyMode(a.SecretKey.Reveal()), ModeTest)
	if u, err := url.Parse(a.Endpoint()); err == nil {
		host = u.Host
	}
	return host, mode
}

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

// List asks for a page.
func (c *Client) List(ctx context.Context, q Query) (page *Page, err error) {
	defer func() { err = c.masked(err) }()
	memory := pageMemories.Get().(*pageMemory)
	answer, err := c.get(ctx, listPath, c.listParams(q), &memory.body)
	if err != nil {
		pageMemories.Put(memory)
		return nil, err
	}
	page, err = readPage(memory)
	if err != nil {
		pageMemories.Put(memory)
		return nil, nonsense(answer, err.Error())
	}
	page.Answer = answer
	return page, nil
}

// Get asks for one session. ErrNotFound means that the API does not know it; a 403
// is about the session and not about the key, and of KindRefused.
func (c *Client) Get(ctx context.Context, id string) (s checkout.Session, answer Answer, err error) {
	defer func() { err = c.masked(err) }()
	var body bytes.Buffer
	answer, err = c.get(ctx, sessionPath+url.PathEscape(id), nil, &body)
	var failure *Error
	if errors.As(err, &failure) && failure.Status == http.StatusForbidden {
		failure.Kind = KindRefused
	}
	if err != nil {
		return checkout.Session{}, answer, err
	}
	s, err = checkout.Parse(body.Bytes())
	if err != nil {
		return checkout.Session{}, answer, nonsense(answer, err.Error())
	}
	if s.ID != id {
		return checkout.Session{}, answer, nonsense(answer, "the answer is about another session")
	}
	return s, answer, nil
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
		return answer, nonsense(answer, "the answer is larger than 32 MiB")
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
	if params != nil && c.params != ParamsBody {
		target.RawQuery = queryString(params)
	}
	if params != nil && c.params != ParamsQuery {
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
	req.Header.Set("User-Agent", "notifier/"+c.version)
	return req, nil
}
