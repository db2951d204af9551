package spelling

import "strings"

// Suggest returns the candidate that a name was probably meant to be, or "".
func Suggest(name string, candidates []string) string {
	limit := min(max(1, len(name)/3), 3)
	best, distance := "", limit+1
	for _, candidate := range candidates {
		if plain(candidate) == plain(name) && candidate != name || candidate == strings.TrimSuffix(name, "y")+"ies" {
			return candidate
		}
		a, b := strings.ToLower(name), strings.ToLower(candidate)
		d := Distance(a, b, distance+1)
		closer := d < distance || d == distance && strings.HasPrefix(b, a) && !strings.HasPrefix(strings.ToLower(best), a) // what is cut short
		if closer && d < len(candidate) && (d < 2 || sameInitials(a, b)) {
			best, distance = candidate, d
		}
	}
	if best == name {
		return ""
	}
	return best
}

// sameInitials says whether the words of two names begin with the same letters:
// who makes several slips gets these right, and nats_ports is no nats_cert.
func sameInitials(a, b string) bool {
	x, y := strings.FieldsFunc(a, separates), strings.FieldsFunc(b, separates)
	if len(x) != len(y) {
		return true // a separator is what is wrong
	}
	for i := range x {
		if x[i][0] != y[i][0] {
			return false
		}
	}
	return true
}

func separates(r rune) bool { return r == '_' || r == '-' || r == '.' || r == ' ' }

// plain makes rateLimit, rate-limit and RATE_LIMIT the same.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
}
