package diff

import (
	"maps"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// held are the fields of a look that step back, each with the first look of the
// unbroken row that shows it.
type held event.Held

// hold finds the fields in which a look steps back: down in rank, or to a value
// that was left lately, which is what a stale replica would show.
func hold(prev *event.Snapshot, changes []checkout.Change, look Look, p Policy) (held, error) {
	var back held
	for _, c := range changes {
		hash, err := checkout.ContentHash(c.To)
		if err != nil {
			return nil, err
		}
		already, waits := prev.Held[c.Field]
		waits = waits && already.Hash == hash
		if !waits && !fell(c) && !leftLately(prev, c.Field, hash, look, p) {
			continue
		}
		if back == nil {
			back = make(held)
		}
		if !waits {
			already = event.HeldValue{Hash: hash, Since: look.At, Pass: look.Pass}
		}
		back[c.Field] = already
	}
	return back, nil
}

// believed says whether every field has been shown long enough, in two passes
// or more. Nothing held is believed.
func (h held) believed(look Look, p Policy) bool {
	for _, v := range h {
		if look.At.Sub(v.Since) < p.ConfirmAfter || look.Pass.Equal(v.Pass) {
			return false
		}
	}
	return true
}

func (h held) same(stored event.Held) bool {
	return maps.EqualFunc(h, stored, func(a, b event.HeldValue) bool {
		return a.Hash == b.Hash && a.Since.Equal(b.Since) && a.Pass.Equal(b.Pass)
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
		if l.Field == field && l.Hash == hash && look.At.Sub(l.At) < p.ConfirmAfter {
			return true
		}
	}
	return false
}

// leave returns the values left within ConfirmAfter, those of this look included.
func leave(prev *event.Snapshot, changes []checkout.Change, look Look, p Policy) ([]event.Left, error) {
	var left []event.Left
	for _, l := range prev.Left {
		if look.At.Sub(l.At) < p.ConfirmAfter {
			left = append(left, l)
		}
	}
	for _, c := range changes {
		hash, err := checkout.ContentHash(c.From)
		if err != nil {
			return nil, err
		}
		left = append(left, event.Left{Field: c.Field, Hash: hash, At: look.At})
	}
	return left, nil
}
