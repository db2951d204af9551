package rules

import (
	"slices"
	"strings"

	"checkout-notifier/event"
)

// ends are the types of the program's own events that close an incident, by those
// that open it. Others have no end, or tell it themselves.
var ends = map[string]string{
	event.DestinationFailing: event.DestinationRecovered,
	event.DestinationPaused:  event.DestinationRecovered,
	event.AccountFailing:     event.AccountRecovered,
}

// Unclosed lists the ends, by their short names, of what a rule tells a destination that
// none of some rules, of which it is one, tells there: missing, for none has the type
// among its events; unheard, for no condition holds for it that has. A list of no rules
// is of a rule that opens nothing there.
func (s *Set) Unclosed(rule string, closing []string, destination string) (missing, unheard []string) {
	for _, t := range s.types[rule] {
		end := ends[t]
		if end == "" || len(closing) == 0 {
			continue
		}
		sends := func(name string) bool { return slices.Contains(s.types[name], end) }
		open := func(subject string) bool {
			closes := func(name string) bool { return s.hears(name, end, subject) }
			return s.hears(rule, t, subject) && !slices.ContainsFunc(closing, closes)
		}
		itself := func(name string) bool { return name == destination } // which is not told
		names := slices.DeleteFunc(slices.Clone(s.known.Destinations), itself)
		if t == event.AccountFailing {
			names = s.known.Accounts
		}
		short := strings.TrimPrefix(end, event.SystemPrefix)
		switch {
		case slices.Contains(missing, short) || slices.Contains(unheard, short):
		case !slices.ContainsFunc(closing, sends):
			missing = append(missing, short)
		case slices.ContainsFunc(names, open):
			unheard = append(unheard, short)
		}
	}
	return missing, unheard
}
