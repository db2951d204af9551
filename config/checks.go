package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/rules"
	"checkout-notifier/secret"
)

// namePattern is what accounts, destinations, rules and tokens may be called:
// names are part of ids, subjects, metrics and paths.
var namePattern = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// check looks at the whole configuration and reports all that is wrong with it.
// It returns the compiled rules, which are of use only without errors.
func (l *loader) check() *rules.Set {
	c := &l.config
	if c.Version != CurrentVersion {
		l.errorf("version", codeValue, "version %d is not known to this program, which reads version %d", c.Version, CurrentVersion)
	}
	l.checkPoll("poll", c.Poll, func(string) bool { return true })
	l.checkAccounts()
	l.checkState()
	l.checkNATS("nats", c.NATS.NATS, false)
	l.checkEmbedded()
	l.checkDestinations()
	l.checkAdmin()
	l.checkHeartbeat()
	l.checkLog()
	l.checkRules()
	set := l.compile()
	l.checkTemplates()
	l.checkRetention()
	l.warnPending()
	l.warnSameKey()
	l.warnModes(set)
	if len(l.of(SeverityError)) == 0 { // else a mistake in one rule would be told twice
		l.warnUnused()
		l.warnStripe(set)
		l.warnSelfReports()
		l.warnUnclosed()
	}
	l.warnPorts()
	l.build(set)
	return set
}

// index writes the path of a list's element.
func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// required reports a value that is empty; it says whether there is one.
func (l *loader) required(path, value string) bool {
	_, given := l.places[path]
	switch {
	case value != "" || l.untouchable(path):
	case given:
		l.errorf(path, codeRequired, "%s is empty, and a value is required", path)
	default:
		l.errorf(path, codeRequired, "%s is required", path)
	}
	return value != ""
}

// oneOf reports a word that is none of the allowed ones.
func (l *loader) oneOf(path, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	message := path + " must be " + alternatives(allowed)
	if value != "" && !l.places[path].expanded {
		message += ", not " + quote(value)
	}
	l.unknownName(path, codeValue, message, value, allowed)
}

func alternatives(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// names checks the names of a list's elements: their form, and that no two are
// the same.
func (l *loader) names(list string, n int, nameOf func(i int) string) {
	first := make(map[string]int)
	for i := range n {
		path, name := index(list, i)+".name", nameOf(i)
		switch {
		case !l.required(path, name):
		case !namePattern.MatchString(name):
			l.report(path, Problem{Severity: SeverityError, Code: codeName, Suggestion: asName(name),
				Message: fmt.Sprintf("%s %s must be 1 to 64 lower-case letters, digits and hyphens", path, quote(name))})
		default:
			if other, taken := first[name]; taken {
				l.errorf(path, codeDuplicate, "%s %q is taken: %s has it already", path, name, index(list, other))
				continue
			}
			first[name] = i
		}
	}
}

// asName turns a text into the name that was probably meant, "" if it is far from one.
func asName(text string) string {
	name := strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(strings.ToLower(text))
	if !namePattern.MatchString(name) || quote(text) == secret.Redacted {
		return ""
	}
	return name
}

// between reports a duration outside its bounds.
func (l *loader) between(path string, d, least, most time.Duration) {
	switch {
	case d < least:
		l.errorf(path, codeValue, "%s must be at least %s, not %s", path, FormatDuration(least), FormatDuration(d))
	case d > most:
		l.errorf(path, codeValue, "%s must be at most %s, not %s", path, FormatDuration(most), FormatDuration(d))
	}
}

// within reports a whole number outside its bounds.
func (l *loader) within(path string, n, least, most int) {
	if n < least || n > most {
		l.errorf(path, codeValue, "%s must be between %d and %d, not %d", path, least, most, n)
	}
}

func (l *loader) notNegative(path string, n float64) {
	if n < 0 {
		l.errorf(path, codeValue, "%s must not be negative", path)
	}
}

// webURL checks an absolute URL and returns it; nil after reporting.
func (l *loader) webURL(path, text string, schemes ...string) *url.URL {
	if l.untouchable(path) {
		return nil
	}
	u, err := url.Parse(text) // its error would print the URL
	problem := ""
	switch {
	case strings.ContainsAny(text, " \t\r\n") || text != strings.TrimSpace(text):
		problem = "contains white space"
	case err != nil:
		problem = "is not a URL"
	case !slices.Contains(schemes, u.Scheme):
		problem = "must be a URL that begins with " + alternatives(prefixes(schemes))
	case u.Hostname() == "":
		problem = "names no host"
	case !validPort(u.Port(), true):
		problem = "has a port outside 1 to 65535"
	default:
		return u
	}
	l.errorf(path, codeValue, "%s %s", path, problem)
	return nil
}

func prefixes(schemes []string) []string {
	all := make([]string, len(schemes))
	for i, scheme := range schemes {
		all[i] = scheme + "://"
	}
	return all
}

func validPort(port string, optional bool) bool {
	if port == "" {
		return optional
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (n > 0 || !optional)
}

// listenAddress checks host:port and returns the host; port 0 lets the system choose.
func (l *loader) listenAddress(path, text, example string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || !validPort(port, false) {
		l.errorf(path, codeValue, "%s must be host:port, such as %s", path, example)
		return "", false
	}
	return host, true
}

// loopback says whether only this machine reaches a listen host.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// privateEndings end the names that public name servers do not know.
var privateEndings = []string{
	".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".svc", ".test", ".cluster.local",
}

// private says whether a host is, or is most likely, in a network of the
// operator's own. Names are not looked up: a check must not need the network.
func private(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	if !strings.Contains(host, ".") {
		return true // localhost, a container, a service
	}
	return slices.ContainsFunc(privateEndings, func(ending string) bool { return strings.HasSuffix(host, ending) })
}
