package poller

import (
	"time"

	"checkout-notifier/poller/internal/index"
)

// hidden is the part of the list in which the API does not show known sessions, or does
// not go on from them, although it shows them by their ids.
type hidden struct {
	until time.Time // creation time of the newest of them; zero: there is none
	last  time.Time // that of the last such session; zero: a page has gone on since
	pass  uint32    // the last in which the list was asked for one of them all the same
}

// standsAlone says whether no page is expected to show a session.
func (a *account) standsAlone(e *index.Entry) bool { return a.inHole(e) || a.isGarbled(e) }

// isHidden says whether a session is asked for by its id because of where it stands.
func (a *account) isHidden(e *index.Entry) bool {
	return !e.Created().After(a.hidden.until) && e.Setbacks() == 0
}

// probesHidden says whether a hidden session is asked for by its page all the same, to find
// out whether the list shows such sessions again. Each pass does so with one of them.
func (a *account) probesHidden() bool {
	if a.hidden.pass == a.now.number {
		a.odd("unlisted", "the list does not show old sessions that are known, or does not go on from them; each is asked for by its id instead, which takes more requests")
		return false
	}
	a.hidden.pass = a.now.number
	return true
}

// noteListed notes that a page that was to begin with a session shows what stands there.
func (a *account) noteListed(wasHidden bool) {
	a.hidden.last = time.Time{}
	if wasHidden {
		a.hidden = hidden{}
	}
}

// noteHidden notes that a page that was to begin with a session shows nothing that stands
// there, although the API shows the session by its id. Once may be chance, or a cursor that
// is gone; after twice in a row all older ones are asked for by id: a page for each would
// cost as much again.
func (a *account) noteHidden(e *index.Entry) {
	if !a.hidden.until.IsZero() || !a.hidden.last.IsZero() {
		a.hidden.until = later(later(a.hidden.until, a.hidden.last), e.Created())
	}
	a.hidden.last = e.Created()
}
