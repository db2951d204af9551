package config

import (
	"path"
	"path/filepath"
	"strings"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/secret"
	"checkout-notifier/state"
)

func (l *loader) checkAdmin() {
	a := l.config.Admin
	host, ok := l.listenAddress("admin.listen", a.Listen, Default().Admin.Listen)
	if ok && !loopback(host) && len(a.Tokens) == 0 && !l.untouchable("admin.tokens") {
		l.errorf("admin.listen", codeRequired, "admin.listen is reachable from outside this machine: admin.tokens is required")
	}
	l.checkTokens(a.Tokens)
	for i, name := range a.Hosts {
		if at := index("admin.hosts", i); name == "" || strings.ContainsAny(name, "/ \t@") {
			l.errorf(at, codeValue, "%s must be a host name without scheme and path", at)
		}
	}
	if base := a.BasePath; !strings.HasPrefix(base, "/") || strings.ContainsAny(base, "?#% \t\\") ||
		path.Clean(base) != strings.TrimSuffix(base, "/") && base != "/" {
		l.errorf("admin.base_path", codeValue, "admin.base_path must be a plain path that begins with /")
	}
	if a.ExternalURL != "" {
		if u := l.webURL("admin.external_url", a.ExternalURL, "http", "https"); u != nil &&
			(u.User != nil || u.RawQuery != "" || u.Fragment != "") {
			l.errorf("admin.external_url", codeValue, "admin.external_url must have no user name, query or fragment")
		}
	}
}

// shortestToken is how many characters a token has at least.
const shortestToken = 16

func (l *loader) checkTokens(tokens []admin.Token) {
	first := make(map[secret.String]int)
	for i, token := range tokens {
		at := index("admin.tokens", i)
		if l.untouchable(at) {
			continue
		}
		if text := token.Token.Reveal(); l.required(join(at, "token"), text) {
			other, taken := first[token.Token]
			switch {
			case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
				l.errorf(join(at, "token"), codeSecret, "%s.token must be printable ASCII without spaces", at)
			case len(text) < shortestToken:
				l.errorf(join(at, "token"), codeSecret, "%s.token must have at least %d characters: a shorter one can be guessed", at, shortestToken)
			case taken:
				l.errorf(join(at, "token"), codeDuplicate, "%s.token is the same as that of %s", at, index("admin.tokens", other))
			default:
				first[token.Token] = i
			}
		}
		if l.required(join(at, "role"), token.Role) {
			l.oneOf(join(at, "role"), token.Role, admin.RoleViewer, admin.RoleOperator)
		}
	}
	l.names("admin.tokens", len(tokens), func(i int) string { return tokens[i].Name })
}

func (l *loader) checkLog() {
	l.oneOf("log.level", l.config.Log.Level, "debug", "info", "warn", "error")
	l.oneOf("log.format", l.config.Log.Format, LogAuto, LogText, LogJSON)
	l.between("shutdown_grace", l.config.ShutdownGrace, 0, time.Hour)
}

func (l *loader) checkState() {
	s := l.config.State
	l.required("state.path", s.Path)
	l.between("state.retention", s.Retention, time.Millisecond, longest)
	l.between("state.backup.every", s.Backup.Every, time.Minute, longest)
	l.within("state.backup.keep", s.Backup.Keep, 1, mostBackups)
	if dir := s.Backup.Dir; dir != "" && s.Path != "" && isBelow(dir, s.Path) {
		l.errorf("state.backup.dir", codeConflict, "state.backup.dir %s is the state file, or below it: name a directory, best on another disk", dir)
	}
	if s.Driver == state.DriverJetStream {
		l.errorf("state.driver", codeUnsupported, "state.driver jetstream is not supported yet by this version: use bbolt")
		return
	}
	l.oneOf("state.driver", s.Driver, state.DriverBolt)
}

const mostBackups = 10_000

// isBelow says whether a path is another one or below it, as written.
func isBelow(path, other string) bool {
	rest, err := filepath.Rel(other, path)
	return err == nil && filepath.IsLocal(rest)
}

// grace is how much longer than the longest schedule an event is kept, so that
// it can be looked up when its last attempt has failed.
const grace = 48 * time.Hour

// checkRetention refuses to forget what is still being watched or delivered.
func (l *loader) checkRetention() {
	retention := l.config.State.Retention
	tooShort := func(because string, least time.Duration) {
		if retention >= least || l.untouchable(because) {
			return
		}
		at := "state.retention"
		if _, given := l.places[at]; !given {
			at = because
		}
		l.errorf(at, codeConflict, "state.retention %s is shorter than %s asks for: at least %s",
			FormatDuration(retention), because, FormatDuration(least))
	}
	tooShort("poll.unpaid_for", l.config.Poll.UnpaidFor)
	for i, account := range l.config.Accounts {
		at := index("accounts", i) + ".poll.unpaid_for"
		if _, own := l.places[at]; own {
			tooShort(at, account.Poll.UnpaidFor)
		}
	}
	for i, d := range l.config.Destinations {
		var total time.Duration
		for _, pause := range d.Retry.Schedule {
			total += min(pause, longestSlot)
		}
		at := index("destinations", i) + ".retry.schedule"
		if !l.untouchable(at) && len(d.Retry.Schedule) <= mostOfASchedule && retention < total+grace {
			tooShort(at, total+grace)
		}
	}
}
