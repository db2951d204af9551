package publish

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"checkout-notifier/secret"
)

const (
	natsDefaultServer   = "nats://127.0.0.1:4222"
	natsConnectTimeout  = 5 * time.Second
	natsReconnectWait   = time.Second
	natsReconnectJitter = 500 * time.Millisecond
	natsPingInterval    = 10 * time.Second // a server that says nothing is given up after three
)

// natsContext is what we take from a context file of the nats CLI, and what we
// must not pass over in silence.
type natsContext struct {
	URL             string        `json:"url"`
	Token           secret.String `json:"token"`
	User            string        `json:"user"`
	Password        secret.String `json:"password"`
	Creds           string        `json:"creds"`
	NKey            string        `json:"nkey"`
	Cert            string        `json:"cert"`
	Key             string        `json:"key"`
	CA              string        `json:"ca"`
	InboxPrefix     string        `json:"inbox_prefix"`
	JetStreamDomain string        `json:"jetstream_domain"`
	TLSFirst        bool          `json:"tls_first"`

	NSC       string `json:"nsc"`
	UserJWT   string `json:"user_jwt"`
	UserSeed  string `json:"user_seed"`
	Socks     string `json:"socks_proxy"`
	APIPrefix string `json:"jetstream_api_prefix"`
}

// resolveNATS lays the settings of a destination over its context's. The
// result has no context and names a server.
func resolveNATS(dest Destination) (NATS, error) {
	n := dest.NATS
	explicit := dest.URL
	if explicit == "" && (n.Context == "" || n.Server.Reveal() != natsDefaultServer) {
		explicit = n.Server // the default server does not win over a context's
	}
	if n.Context != "" {
		c, err := readContext(n.Context)
		if err != nil {
			return NATS{}, fmt.Errorf("context %s: %w", n.Context, err)
		}
		n = c.under(n)
		explicit = cmp.Or(explicit, secret.String(c.URL))
	}
	n.Context = ""
	n.Server = cmp.Or(explicit, natsDefaultServer)
	return n, checkNATS(n)
}

// under fills in what n leaves open. Credentials are taken whole or not at all:
// two halves of different ones open nothing.
func (c natsContext) under(n NATS) NATS {
	if n.Creds == "" && n.NKey == "" && n.User == "" && n.Token == "" {
		n.Creds, n.NKey, n.User, n.Password, n.Token = c.Creds, c.NKey, c.User, c.Password, c.Token
	}
	if n.Cert == "" && n.Key == "" {
		n.Cert, n.Key = c.Cert, c.Key
	}
	n.CA = cmp.Or(n.CA, c.CA)
	n.InboxPrefix = cmp.Or(n.InboxPrefix, c.InboxPrefix)
	n.JetStreamDomain = cmp.Or(n.JetStreamDomain, c.JetStreamDomain)
	n.TLSFirst = n.TLSFirst || c.TLSFirst
	return n
}

func readContext(name string) (natsContext, error) {
	path := name
	if !filepath.IsAbs(name) {
		if name != filepath.Base(name) {
			return natsContext{}, errors.New("a context is a name or an absolute path")
		}
		dir := os.Getenv("XDG_CONFIG_HOME")
		if dir == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return natsContext{}, fmt.Errorf("looking for the home directory: %w", err)
			}
			dir = filepath.Join(home, ".config")
		}
		path = filepath.Join(dir, "nats", "context", name+".json")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return natsContext{}, err
	}
	var c natsContext
	if err := json.Unmarshal(raw, &c); err != nil {
		return natsContext{}, fmt.Errorf("reading %s: %w", path, err)
	}
	for key, value := range map[string]string{
		"nsc": c.NSC, "user_jwt": c.UserJWT, "user_seed": c.UserSeed, "socks_proxy": c.Socks, "jetstream_api_prefix": c.APIPrefix,
	} {
		if value != "" {
			return natsContext{}, fmt.Errorf("its %s is not supported", key)
		}
	}
	for _, file := range []*string{&c.Creds, &c.NKey, &c.Cert, &c.Key, &c.CA} {
		*file = expandPath(*file)
	}
	return c, nil
}

// expandPath does what the nats CLI does with the files a context names.
func expandPath(path string) string {
	path = os.ExpandEnv(path)
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}

// checkNATS never quotes a server's URL: it may carry a password.
func checkNATS(n NATS) error {
	var problems []error
	for _, server := range strings.Split(n.Server.Reveal(), ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" {
			problems = append(problems, errors.New("url: not a NATS server's URL"))
		}
	}
	methods := 0
	for _, set := range []bool{n.Creds != "", n.NKey != "", n.User != "", n.Token != ""} {
		if set {
			methods++
		}
	}
	if methods > 1 {
		problems = append(problems, errors.New("only one of creds, nkey, user and token"))
	}
	if n.Password != "" && n.User == "" {
		problems = append(problems, errors.New("password: needs a user"))
	}
	if (n.Cert == "") != (n.Key == "") {
		problems = append(problems, errors.New("cert and key belong together"))
	}
	if n.Creds != "" {
		f, err := os.Open(n.Creds)
		if err != nil {
			problems = append(problems, fmt.Errorf("creds: %w", err))
		} else {
			f.Close()
		}
	}
	return errors.Join(problems...)
}

// natsOptions turns settings into options and tries them out, so that an
// unreadable file shows at load.
func natsOptions(n NATS) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name("notifier"),
		nats.Timeout(natsConnectTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(natsReconnectWait),
		nats.ReconnectJitter(natsReconnectJitter, 2*natsReconnectJitter),
		nats.IgnoreAuthErrorAbort(),
		// Nothing is kept for later in memory: the outbox does that.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(natsPingInterval),
		nats.FlusherTimeout(ackTimeout),
		nats.ReconnectOnFlusherError(),
	}
	switch {
	case n.Creds != "":
		options = append(options, nats.UserCredentials(n.Creds))
	case n.NKey != "":
		option, err := nats.NkeyOptionFromSeed(n.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey: %w", err)
		}
		options = append(options, option)
	case n.User != "":
		options = append(options, nats.UserInfo(n.User, n.Password.Reveal()))
	case n.Token != "":
		options = append(options, nats.Token(n.Token.Reveal()))
	}
	if n.CA != "" {
		options = append(options, nats.RootCAs(n.CA))
	}
	if n.Cert != "" {
		options = append(options, nats.ClientCert(n.Cert, n.Key))
	}
	if n.TLSFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	if n.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(n.InboxPrefix))
	}
	tried := nats.GetDefaultOptions()
	for _, option := range options {
		if err := option(&tried); err != nil {
			return nil, err
		}
	}
	return options, nil
}
