package admin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// anonymous is the actor where no tokens are set.
const anonymous = "local"

type actorKey struct{}

// actor names who makes a request: the token's name.
func actor(ctx context.Context) string {
	if name, ok := ctx.Value(actorKey{}).(string); ok {
		return name
	}
	return anonymous
}

// guard lets a request through that names a known host, was not sent by a
// foreign page, and whose token has the role.
func (s *Server) guard(role string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.knownHost(r.Host) {
			problem(w, http.StatusForbidden, "this Host is not known: add it to admin.hosts")
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && !s.ownOrigin(origin, r.Host) {
			problem(w, http.StatusForbidden, "requests of another Origin are refused")
			return
		}
		name, ok := s.authenticate(w, r, role)
		if !ok {
			return
		}
		if err := inPath(r); err != nil {
			problem(w, http.StatusBadRequest, err.Error())
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, name)))
	})
}

// inPath refuses a path that names what nothing can be called.
func inPath(r *http.Request) error {
	return cmp.Or(
		wellFormed(CheckID, map[string]string{"id": r.PathValue("id")}),
		wellFormed(CheckName, map[string]string{"name": r.PathValue("name")}),
	)
}

// guardMetrics asks for a token only where metrics are not public.
func (s *Server) guardMetrics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.cfg.MetricsPublic {
			if _, ok := s.authenticate(w, r, RoleViewer); !ok {
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate returns whose token the request carries; without tokens in the
// configuration everybody who can connect is let in.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, role string) (name string, ok bool) {
	if len(s.cfg.Tokens) == 0 {
		return anonymous, true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	for _, t := range s.cfg.Tokens {
		if !strings.EqualFold(scheme, "Bearer") || !equalSecrets(given, t.Token.Reveal()) {
			continue
		}
		if role == RoleOperator && t.Role != RoleOperator {
			problem(w, http.StatusForbidden, "this needs a token with the role operator")
			return "", false
		}
		return t.Name, true
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="notifier"`)
	problem(w, http.StatusUnauthorized, "a token of admin.tokens is needed: Authorization: Bearer …")
	return "", false
}

// equalSecrets compares in a time that tells nothing, lengths included.
func equalSecrets(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// knownHost refuses names that somebody else's DNS could point at us.
func (s *Server) knownHost(authority string) bool {
	name := host(authority)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(name) != nil {
		return true
	}
	return name != "" && (name == host(s.cfg.Listen) || slices.ContainsFunc(s.cfg.Hosts, func(h string) bool {
		return strings.EqualFold(host(h), name)
	}))
}

func (s *Server) ownOrigin(origin, authority string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, authority)
}
