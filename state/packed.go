package state

import (
	"bytes"
	"encoding/json"

	"checkout-notifier/event"
)

// packed is the first byte of a row in the binary form that a coder writes; a row of schema 1
// is JSON, and begins with a brace. A coder tells fields by their order alone: a new one needs
// another first byte, or must be a text at the very end, added by coder.last.
const packed = 0x01

// Room that suffices for most rows; a longer one grows.
const (
	deliverySize = 448
	attemptSize  = 192
)

// pack writes a record behind a beginning, which should have room for it.
func pack[T any](row []byte, record *T, fields func(*coder, *T)) ([]byte, error) {
	c := coder{writing: true, out: append(row, packed)}
	fields(&c, record)
	return c.out, c.err
}

// unpack reads a record in either form. What it returns is the caller's.
func unpack[T any](row []byte, record *T, fields func(*coder, *T)) error {
	if len(row) == 0 || row[0] != packed {
		return unmarshal(row, record)
	}
	c := coder{in: string(row[1:])}
	fields(&c, record)
	return c.end()
}

// unmarshal reads JSON. What it hands to encoding/json is its own, so that the
// caller's record can be on the stack.
func unmarshal[T any](row []byte, record *T) error {
	var read T
	err := json.Unmarshal(row, &read)
	*record = read
	return err
}

func deliveryFields(c *coder, d *event.Delivery) {
	c.text(&d.ID)
	c.text(&d.EventID)
	c.text(&d.EventType)
	c.text(&d.Account)
	c.text(&d.Session)
	c.text(&d.Destination)
	c.texts(&d.Rules)
	c.pairs(&d.Labels)
	c.text(&d.OwnRule)
	c.flag(&d.Ordered)
	c.moment(&d.Created)
	c.text(&d.Subject)
	c.text((*string)(&d.Status))
	c.moment(&d.Due)
	c.number(&d.Attempts)
	c.number(&d.Slots)
	c.optional(&d.HeldAt)
	c.texts(&d.Overtook)
	c.moment(&d.Finished)
	c.text(&d.Reason)
	c.text(&d.Actor)
	c.text(&d.Job)
	c.moment(&d.Reopened)
	c.last(&d.BlockedSubject)
}

func attemptFields(c *coder, a *event.Attempt) {
	c.text(&a.DeliveryID)
	c.number(&a.N)
	c.moment(&a.Started)
	c.span(&a.Duration)
	c.text((*string)(&a.Outcome))
	c.number(&a.StatusCode)
	c.text(&a.Class)
	c.text(&a.Error)
	c.bytes(&a.Answer)
	c.text(&a.Note)
	c.pairs(&a.Headers)
	c.text(&a.Actor)
	c.flag(&a.Probe)
}

// eventFields are all but the object, which stands apart: see encoder.event.
func eventFields(c *coder, e *event.Event) {
	c.text(&e.ID)
	c.text(&e.Type)
	c.text(&e.Account)
	c.text(&e.Session)
	c.flag(&e.Livemode)
	c.moment(&e.Time)
	c.number(&e.Revision)
	c.number(&e.Position)
	c.raw(&e.PreviousAttributes)
	changeFields(c, &e.Change)
	c.flag(&e.Inferred)
	c.flag(&e.Unexpected)
	c.flag(&e.Async)
	c.text(&e.Reason)
	c.moment(&e.OccurredAfter)
	c.moment(&e.OccurredBefore)
	c.text(&e.RuleSet)
	list(c, &e.RuleErrors, func(r *event.RuleError) {
		c.text(&r.Rule)
		c.text(&r.Error)
	})
	list(c, &e.Suppressed, func(s *event.Suppression) {
		c.texts(&s.Rules)
		c.text(&s.Destination)
		c.text(&s.Reason)
	})
	c.text(&e.Subject)
	c.raw(&e.System)
	c.text(&e.ReplayOf)
}

func changeFields(c *coder, change **event.Change) {
	set := *change != nil
	if c.flag(&set); !set {
		*change = nil
		return
	}
	if !c.writing {
		*change = new(event.Change)
	}
	c.text(&(*change).Field)
	c.raw(&(*change).From)
	c.raw(&(*change).To)
}

func list[T any](c *coder, items *[]T, fields func(*T)) {
	n := c.count(len(*items))
	if !c.writing && n > 0 {
		*items = make([]T, n)
	}
	for i := range *items {
		fields(&(*items)[i])
	}
}

// event writes an event: its object as it is, in front of the packed rest, so
// that whoever reads it copies the object and does not look through it.
func (e *encoder) event(x *event.Event) ([]byte, error) {
	var object []byte
	if x.Object != nil {
		var err error
		if object, err = e.compact(x.Object); err != nil {
			return nil, err
		}
	}
	c := coder{writing: true, out: make([]byte, 0, len(object)+512)}
	c.out = append(c.out, packed)
	c.size(uint64(len(object)))
	c.out = append(c.out, object...)
	eventFields(&c, x)
	return c.out, c.err
}

// decodeEvent reads a row of events. What it returns is the caller's.
func decodeEvent(row []byte, e *event.Event) error {
	if len(row) == 0 || row[0] != packed {
		return unmarshal(row, e)
	}
	head := coder{in: string(row[1:min(len(row), 1+10)])} // the length takes at most ten bytes
	size := head.size(0)
	at := min(len(row), 1+10) - len(head.in)
	if head.err != nil || size > uint64(len(row)-at) {
		return errUnreadable
	}
	if size > 0 {
		e.Object = bytes.Clone(row[at : at+int(size)])
	}
	c := coder{in: string(row[at+int(size):])}
	eventFields(&c, e)
	return c.end()
}
