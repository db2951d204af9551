package diff

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// held are the fields of a look that step back, each with the first look of the
// unbroken row that shows it.
type held event.Held

// hold finds the fields in which a look steps back, down in rank or to a value that
// a stale replica would show, and those that changed soon after the first sight,
// before which they may have had that value. stepsBack says that there is one of the
// former.
func hold(prev *event.Snapshot, s *checkout.Session, changes []checkout.Change, look Look, p Policy) (back held, stepsBack bool, err error) {
	newer, err := advances(prev, s, look, p)
	if err != nil {
		return nil, false, err
	}
	young := lately(prev.FirstSeen, prev.FirstOwn, look, p)
	for _, c := range changes {
		hash, err := checkout.ContentHash(c.To)
		if err != nil {
			return nil, false, err
		}
		already, waits := prev.Held[c.Field]
		// What was held by a clock that was ahead begins anew.
		waits = waits && already.Hash == hash && !already.Since.After(look.At) && !already.Own.After(look.own())
		returns := leftLately(prev, c.Field, hash, look, p)
		past := waits || young || returns
		if !fell(c) && (newer || !past) {
			continue
		}
		if back == nil {
			back = make(held)
		}
		stepsBack = stepsBack || fell(c) || returns
		if !waits {
			already = event.HeldValue{Hash: hash, Since: look.At, Pass: look.Pass, Own: look.own()}
		}
		back[c.Field] = already
	}
	return back, stepsBack, nil
}

// advances says whether a look shows a state that is reached later than the stored
// one, and that was not left lately: then it is newer, and with it all that it
// shows. No payment waits because of what else the look shows. Sessions begin open
// and unpaid: what replaces these is later, known to this version or not.
func advances(prev *event.Snapshot, s *checkout.Session, look Look, p Policy) (bool, error) {
	from, to := prev.PaymentStatus, s.PaymentStatus
	pays := from != to && (from == checkout.PaymentUnpaid || paid(to) && !paid(from))
	ends := prev.Status != s.Status && (prev.Status == checkout.StatusOpen || s.Status == checkout.StatusComplete)
	for _, state := range []struct {
		field, value string
		reached      bool
	}{{checkout.FieldStatus, s.Status, ends}, {checkout.FieldPaymentStatus, to, pays}} {
		if !state.reached {
			continue
		}
		hash, err := checkout.ContentHash(text(state.value))
		if err != nil {
			return false, err
		}
		if !leftLately(prev, state.field, hash, look, p) {
			return true, nil
		}
	}
	return false, nil
}

// believed says whether every field has been shown long enough, by the server's
// clock and by ours, in two passes or more. That is so if no field is held.
func (h held) believed(look Look, p Policy) bool {
	for _, v := range h {
		if look.At.Sub(v.Since) < p.ConfirmAfter || look.own().Sub(v.Own) < p.ConfirmAfter || look.Pass.Equal(v.Pass) {
			return false
		}
	}
	return true
}

func (h held) same(stored event.Held) bool {
	return maps.EqualFunc(h, stored, func(a, b event.HeldValue) bool {
		return a.Hash == b.Hash && a.Since.Equal(b.Since) && a.Pass.Equal(b.Pass) && a.Own.Equal(b.Own)
	})
}

func fell(c checkout.Change) bool {
	switch c.Field {
	case checkout.FieldStatus:
		return fellStatus(unquote(c.From), unquote(c.To))
	case checkout.FieldPaymentStatus:
		return fellPayment(unquote(c.From), unquote(c.To))
	}
	return false
}

func leftLately(prev *event.Snapshot, field string, hash uint64, look Look, p Policy) bool {
	for _, l := range prev.Left {
		if l.Field == field && l.Hash == hash && lately(l.At, l.Own, look, p) {
			return true
		}
	}
	return false
}

// lately says whether a moment lies within ConfirmAfter of a look, by the server's
// clock or by ours: one of them may have been wrong then, or is now. A time that
// lies further in the future says nothing.
func lately(at, own time.Time, look Look, p Policy) bool {
	return look.At.Sub(at).Abs() < p.ConfirmAfter || look.own().Sub(own).Abs() < p.ConfirmAfter
}

// leave returns the values left within ConfirmAfter, those of this look included: what
// it changes, and what was held and is not shown any more, which was left once more.
func leave(prev *event.Snapshot, changes []checkout.Change, shown held, look Look, p Policy) ([]event.Left, error) {
	var left []event.Left
	note := func(field string, hash uint64) {
		left = append(left, event.Left{Field: field, Hash: hash, At: look.At, Own: look.own()})
	}
	for _, c := range changes {
		hash, err := checkout.ContentHash(c.From)
		if err != nil {
			return nil, err
		}
		note(c.Field, hash)
	}
	for field, v := range prev.Held {
		if shown[field].Hash != v.Hash {
			note(field, v.Hash)
		}
	}
	for _, l := range prev.Left {
		again := slices.ContainsFunc(left, func(n event.Left) bool { return n.Field == l.Field && n.Hash == l.Hash })
		if !again && lately(l.At, l.Own, look, p) {
			left = append(left, l)
		}
	}
	slices.SortFunc(left, func(a, b event.Left) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Hash, b.Hash))
	})
	return left, nil
}
