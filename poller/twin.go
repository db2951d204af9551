package poller

import "slices"

// noteTwin says so if another account was shown the same sessions, too: the newest one of
// this pass tells. Only what this process was shown counts, not what is stored of a former
// key. Of two accounts only one mu is held at a time.
func (a *account) noteTwin() {
	if len(a.neighbours) == 0 {
		return
	}
	id := ""
	for i := a.index.Len() - 1; i >= 0 && id == ""; i-- {
		if e := a.index.At(i); e.Pass == a.now.number && !e.IsVanished() {
			id = a.index.ID(e)
		}
	}
	a.mu.Unlock()
	at := slices.IndexFunc(a.neighbours, func(other *account) bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		e := other.index.Get(id)
		return e != nil && e.Pass > 0 && !e.IsVanished()
	})
	a.mu.Lock()
	if at >= 0 {
		a.odd("shared_sessions", "another account is shown the same sessions: both keys belong to one account of the API, so that each order is announced by both, under two ids; keep one of them, or give each a filter of its own",
			"detail", "account "+a.neighbours[at].cfg.Name+" has session "+id)
	}
}
