package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/config"
)

// clientTimeout bounds a question to the daemon.
const clientTimeout = 10 * time.Second

// errNoDaemon is a daemon that does not answer.
var errNoDaemon = errors.New("no daemon answers")

// errLeftAlone is what is no longer as this command saw it.
var errLeftAlone = errors.New("left alone")

// lateError is a daemon that took a request and did not answer in time.
type lateError string

func (e lateError) Error() string { return string(e) }

// Is lets it count as a daemon that does not answer.
func (e lateError) Is(target error) bool { return target == errNoDaemon }

// client asks the daemon that the configuration describes.
type client struct {
	base  string
	token string
	http  http.Client

	onlyHere bool // no request leaves this machine

	noFile error // no configuration was found, so that base is the default
}

// daemonFlags add to a command, and to those below it, which daemon it asks.
func (a *app) daemonFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&a.daemonAt, "url", "", "ask the daemon at this address, such as https://notifier.example, instead of the configured one")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the token for the daemon, instead of the configured one")
}

// client returns one for the daemon that is named, or for that of the configuration
// that is found, or for the default address if there is none. Without a
// configuration there is no file to look at where no daemon answers.
func (a *app) client() (*client, *config.Loaded, error) {
	if a.daemonAt != "" {
		c, err := a.clientAt(a.daemonAt)
		return c, nil, err
	}
	cfg := admin.DefaultConfig()
	loaded, err := a.load(config.Options{AllowMissingSecrets: true})
	switch {
	case err == nil:
		cfg = loaded.Config.Admin
	case !errors.Is(err, config.ErrNoFile):
		return nil, nil, err
	}
	c := &client{base: daemonURL(cfg), http: http.Client{Timeout: clientTimeout}, onlyHere: a.completing, noFile: err}
	for _, t := range cfg.Tokens {
		if c.token == "" || t.Role == admin.RoleOperator {
			c.token = t.Token.Reveal()
		}
	}
	if a.tokenFile != "" {
		c.token, err = readToken(a.tokenFile)
		return c, loaded, err
	}
	return c, loaded, nil
}

// clientAt returns one for the daemon at an address. The configured token is for the
// configured daemon: it goes to no other one.
func (a *app) clientAt(address string) (c *client, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, exit(exitUsage, errors.New("--url takes the address of a daemon, such as http://127.0.0.1:8484, without credentials: a token is read from --token-file"))
	}
	c = &client{base: strings.TrimSuffix(u.String(), "/"), http: http.Client{Timeout: clientTimeout}, onlyHere: a.completing}
	if a.tokenFile != "" {
		c.token, err = readToken(a.tokenFile)
	}
	return c, err
}

func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", exit(exitUsage, fmt.Errorf("--token-file: %w", err))
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", exit(exitUsage, fmt.Errorf("--token-file: %s holds no token, which is one line without blanks", path))
	}
	return token, nil
}

// daemonURL is where a daemon with this configuration can be asked from here.
func daemonURL(cfg admin.Config) string {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return "http://" + cfg.Listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: strings.TrimSuffix(cfg.BasePath, "/")}
	return u.String()
}

// call asks and decodes the answer into result, if there is one.
func (c *client) call(ctx context.Context, method, path string, result any) error {
	return c.send(ctx, method, path, nil, result)
}

// patient is the client for questions whose answer takes as long as it takes.
func (c *client) patient() *client {
	other := *c
	other.http.Timeout = 0
	return &other
}

// send asks with a document, nil for none, and decodes the answer into result,
// if there is one.
func (c *client) send(ctx context.Context, method, path string, document, result any) error {
	if c.onlyHere && !c.here() {
		return exit(exitUnreachable, fmt.Errorf("%w: %w", errNoDaemon, errElsewhere))
	}
	var content io.Reader
	if document != nil {
		encoded, err := json.Marshal(document)
		if err != nil {
			return fmt.Errorf("asking the daemon: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return fmt.Errorf("asking the daemon: %w", err)
	}
	if document != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.ask(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := readAnswer(resp)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(body, result); err != nil {
		return c.stranger()
	}
	return nil
}

// ask sends a request and returns the answer, whose body the caller closes, or what
// the daemon said instead.
func (c *client) ask(ctx context.Context, req *http.Request) (*http.Response, error) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	var sent atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Store(true) },
	}))
	resp, err := c.http.Do(req)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("asking the daemon: %w", ctx.Err())
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() && sent.Load() {
		text := fmt.Sprintf("the daemon at %s did not answer within %s", c.base, c.http.Timeout)
		if req.Method != http.MethodGet {
			text += "; it may still do what was asked: look before you ask again"
		}
		return nil, exit(exitUnreachable, lateError(text))
	}
	if err != nil {
		return nil, exit(exitUnreachable, fmt.Errorf("%w at %s: %w%s", errNoDaemon, c.base, errors.Unwrap(err), c.whyThere()))
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := readAnswer(resp)
	if err != nil {
		return nil, err
	}
	return nil, c.answerError(resp.StatusCode, body)
}

func readAnswer(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, exit(exitUnreachable, fmt.Errorf("reading the daemon's answer: %w", err))
	}
	return body, nil
}

// stranger is an answer that no notifier gives.
func (c *client) stranger() error {
	return exit(exitUnreachable, fmt.Errorf("%w at %s: what answers there is not a notifier%s", errNoDaemon, c.base, c.whyThere()))
}

// whyThere says why the default address was asked, if it was.
func (c *client) whyThere() string {
	if c.noFile == nil {
		return ""
	}
	return fmt.Sprintf("; the default address was asked, because there is %s", c.noFile)
}

// answerError is what the daemon said instead; it always says something.
func (c *client) answerError(status int, body []byte) error {
	var problem struct {
		Detail  string `json:"detail"`
		Unknown string `json:"unknown"` // the kind of thing that there is not
	}
	if json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
		return c.stranger()
	}
	err := fmt.Errorf("the daemon answered %d: %s", status, problem.Detail)
	switch {
	case status == http.StatusUnauthorized:
		return exit(exitFailure, fmt.Errorf("the daemon answered %d: it wants another token, one of its admin.tokens: name a file that holds it by --token-file", status))
	case problem.Unknown != "":
		return exit(exitNotFound, errors.New(problem.Detail)) // nothing is wrong with the request
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%s; %w", problem.Detail, errLeftAlone)
	case status == http.StatusNotFound:
		return exit(exitNotFound, err)
	case status == http.StatusBadRequest:
		return exit(exitUsage, err)
	case status == http.StatusServiceUnavailable:
		return exit(exitUnreachable, err)
	}
	return exit(exitFailure, err)
}
