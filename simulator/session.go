package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Fields are values of a session by API name, as a JSON object would carry
// them. Any field is accepted, documented or not. Three are read specially:
// created and expires_at may be RFC 3339 or a Unix time in seconds or
// milliseconds, and expires_in is a Go duration or a number of seconds, counted
// from created by Create and from now by Update.
type Fields map[string]any

// Session is the truth about one session.
type Session struct {
	ID            string    `json:"id"`
	Created       time.Time `json:"created"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	Status        string    `json:"status"`
	PaymentStatus string    `json:"payment_status"`
	// Object is the session as the API shows it now when no fault strikes.
	Object json.RawMessage `json:"object"`
	// History has the creation and every change since, oldest first.
	History []Change `json:"history"`
}

// Change is one entry of a session's history: the values from Time on.
type Change struct {
	Time          time.Time `json:"time"`
	Status        string    `json:"status"`
	PaymentStatus string    `json:"payment_status"`
	// Fields names the top-level fields that changed; none at creation.
	Fields []string `json:"fields,omitempty"`
}

// Create adds a session and returns it. Without fields it is an open, unpaid
// cart of a guest that expires after 24 hours. The errors are ErrInvalid.
func (a *API) Create(fields Fields) (Session, error) {
	given, err := normalise(fields)
	if err != nil {
		return Session{}, fmt.Errorf("creating a session: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.settled()
	r, err := a.newRecord(given, now)
	if err != nil {
		return Session{}, fmt.Errorf("creating a session: %w", err)
	}
	a.sessions.insert(r)
	return r.truth()
}

// Update merges fields into a session and returns it. A given field replaces
// the whole former value, null empties it. An update that changes nothing adds
// nothing to the history. The errors are ErrNotFound and ErrInvalid.
func (a *API) Update(id string, fields Fields) (Session, error) {
	given, err := normalise(fields)
	if err != nil {
		return Session{}, fmt.Errorf("changing session %s: %w", id, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.settled()
	r := a.sessions.byID[id]
	if r == nil {
		return Session{}, fmt.Errorf("changing session %s: %w", id, ErrNotFound)
	}
	if err := checkFields(given); err != nil {
		return Session{}, fmt.Errorf("changing session %s: %w", id, err)
	}
	if other, ok := given["id"]; ok && other != id {
		return Session{}, fmt.Errorf("changing session %s: %w id: it cannot change", id, ErrInvalid)
	}
	next, err := r.last().timed(given, now.UnixMilli())
	if err != nil {
		return Session{}, fmt.Errorf("changing session %s: %w", id, err)
	}
	next = next.with(latest(now, r.last().at), withoutTimes(given))
	next.changed = changedFields(r.last(), next)
	if len(next.changed) > 0 {
		a.sessions.replace(r, next)
	}
	return r.truth()
}

// Sessions returns every session, vanished ones included, oldest first.
func (a *API) Sessions() ([]Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled()
	all := make([]Session, 0, len(a.sessions.order))
	for _, r := range a.sessions.order {
		s, err := r.truth()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// settled lets due sessions expire and returns the time. Callers hold the lock.
func (a *API) settled() time.Time {
	now := a.now()
	if a.faults.NoExpiry {
		a.sessions.heldUntil = now
	} else {
		a.sessions.settle(now)
	}
	return now
}

// newRecord makes a session out of the given fields and defaults.
func (a *API) newRecord(given map[string]any, now time.Time) (*record, error) {
	if err := checkFields(given); err != nil {
		return nil, err
	}
	ms := now.UnixMilli()
	if v, ok := given["created"]; ok {
		var err error
		if ms, err = toMillis(v); err != nil {
			return nil, err
		}
	}
	id := text(given["id"])
	num := numberOf(id)
	if id == "" {
		num = a.sessions.nextNum(ms)
		id = sessionID(num)
	} else if a.sessions.byID[id] != nil {
		return nil, fmt.Errorf("%w id %q: it exists", ErrInvalid, id)
	}
	first := version{at: now, created: roundToSecond(ms), expires: ms + day.Milliseconds() + int64(num%3), usual: new(usual)}
	first, err := first.timed(given, ms)
	if err != nil {
		return nil, err
	}
	first.fields = a.newFields(id, num, ms, given)
	return &record{id: id, num: num, versions: []version{first}}, nil
}

const day = 24 * time.Hour

func roundToSecond(ms int64) int64 { return (ms + 500) / 1000 * 1000 }

// timed returns v with created and expires_at as given says; from is the Unix
// millisecond from which expires_in counts.
func (v version) timed(given map[string]any, from int64) (version, error) {
	if raw, ok := given["created"]; ok {
		ms, err := toMillis(raw)
		if err != nil {
			return v, fmt.Errorf("created: %w", err)
		}
		v.created = roundToSecond(ms)
	}
	if raw, ok := given["expires_in"]; ok {
		d, err := toDuration(raw)
		if err != nil {
			return v, fmt.Errorf("expires_in: %w", err)
		}
		v.expires = from + d.Milliseconds()
	}
	if raw, ok := given["expires_at"]; ok {
		if isEmpty(raw) {
			v.expires = 0
			return v, nil
		}
		ms, err := toMillis(raw)
		if err != nil {
			return v, fmt.Errorf("expires_at: %w", err)
		}
		v.expires = ms
	}
	return v, nil
}

// with returns a later state in which the given fields are replaced.
func (v version) with(at time.Time, given map[string]any) version {
	fields := maps.Clone(v.fields)
	maps.Copy(fields, given)
	return version{at: at, created: v.created, expires: v.expires, fields: fields,
		changed: slices.Sorted(maps.Keys(given)), usual: new(usual)}
}

// withoutTimes drops the fields that a version keeps outside its map.
func withoutTimes(given map[string]any) map[string]any {
	rest := maps.Clone(given)
	for _, name := range []string{"created", "expires_at", "expires_in"} {
		delete(rest, name)
	}
	return rest
}

// changedFields names the top-level fields in which two states differ; empty
// values are equal, because the API shows them at random.
func changedFields(old, next version) []string {
	var names []string
	for name, value := range next.fields {
		before := old.fields[name]
		if isEmpty(value) && isEmpty(before) || reflect.DeepEqual(value, before) {
			continue
		}
		names = append(names, name)
	}
	if old.created != next.created {
		names = append(names, "created")
	}
	if old.expires != next.expires {
		names = append(names, "expires_at")
	}
	slices.Sort(names)
	return names
}

// checkFields refuses values that the simulation itself could not work with.
func checkFields(given map[string]any) error {
	for _, name := range []string{"id", "status", "payment_status", "mode"} {
		if v, ok := given[name]; ok && v != nil {
			if _, ok := v.(string); !ok {
				return fmt.Errorf("%w %s %v: want a string", ErrInvalid, name, v)
			}
		}
	}
	return nil
}

// truth describes a record. Callers hold the lock.
func (r *record) truth() (Session, error) {
	v := r.last()
	object, err := shown{num: r.num, state: v}.usual()
	if err != nil {
		return Session{}, err
	}
	s := Session{
		ID:            r.id,
		Created:       time.UnixMilli(v.created).UTC(),
		Status:        text(v.fields["status"]),
		PaymentStatus: text(v.fields["payment_status"]),
		Object:        bytes.Clone(object),
		History:       make([]Change, 0, len(r.versions)),
	}
	if v.expires != 0 {
		s.ExpiresAt = time.UnixMilli(v.expires).UTC()
	}
	for _, v := range r.versions {
		s.History = append(s.History, Change{
			Time:          v.at.UTC(),
			Status:        text(v.fields["status"]),
			PaymentStatus: text(v.fields["payment_status"]),
			Fields:        v.changed,
		})
	}
	return s, nil
}
