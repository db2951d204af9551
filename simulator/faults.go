package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
)

// Chance says how often a fault strikes. The zero value means never. In JSON it
// is a probability (0.25), a boolean, or an object with these members.
type Chance struct {
	// Probability is between 0 and 1; if it is zero and Count is not, 1.
	Probability float64 `json:"probability,omitempty"`
	// Count is how often the fault strikes before it is over; 0 is for ever.
	Count int `json:"count,omitempty"`
	// Skip is how many requests that the fault could strike are spared first.
	Skip int `json:"skip,omitempty"`
}

// Always is the chance of a fault that strikes every time.
func Always() Chance { return Chance{Probability: 1} }

// Times is the chance of a fault that strikes the next n times.
func Times(n int) Chance { return Chance{Count: n} }

// Share is the chance of a fault that strikes with probability p.
func Share(p float64) Chance { return Chance{Probability: p} }

// Faults is a set of faults for API.SetFaults and POST /sim/faults. The zero
// value has none. Faults can be combined; of those that answer with an error
// only the first that strikes, in the order of the fields, is played.
type Faults struct {
	// Scope limits the set to one call: "list", "get", or "" for both. Late,
	// Vanished and NoExpiry hold whatever it says.
	Scope string `json:"scope,omitzero"`

	// Hang holds the request for HangMS milliseconds, or until the client
	// leaves or API.Run ends if HangMS is 0; then it goes on as if nothing was.
	Hang   Chance `json:"hang,omitzero"`
	HangMS int    `json:"hang_ms,omitzero"`

	// RateLimited answers 429 with Retry-After: RetryAfterS seconds (at least
	// 1); RateLimitedBare answers 429 without it.
	RateLimited     Chance `json:"rate_limited,omitzero"`
	RetryAfterS     int    `json:"retry_after_s,omitzero"`
	RateLimitedBare Chance `json:"rate_limited_bare,omitzero"`
	// ServerError answers 500 with an HTML page, Unavailable 503.
	ServerError Chance `json:"server_error,omitzero"`
	Unavailable Chance `json:"unavailable,omitzero"`
	// Unauthorized answers 401 and Forbidden 403 to a right key.
	Unauthorized Chance `json:"unauthorized,omitzero"`
	Forbidden    Chance `json:"forbidden,omitzero"`
	// Redirect answers 302 to RedirectTo, by default the same path on a host
	// that does not exist.
	Redirect   Chance `json:"redirect,omitzero"`
	RedirectTo string `json:"redirect_to,omitzero"`
	// RejectBody answers 400 to a request that carries a body.
	RejectBody Chance `json:"reject_body,omitzero"`

	// CutBody promises more bytes than it sends and closes the connection;
	// InvalidJSON sends a whole body that is no JSON; TruncatedJSON sends half
	// of one as if it were whole.
	CutBody       Chance `json:"cut_body,omitzero"`
	InvalidJSON   Chance `json:"invalid_json,omitzero"`
	TruncatedJSON Chance `json:"truncated_json,omitzero"`

	// RepeatPage ignores the cursor, IgnoreFilters the created filters,
	// IgnoreLimit the limit (the default of 10 holds); Ascending lists the
	// oldest first; EmptyPage shows nothing and says that there is more.
	RepeatPage    Chance `json:"repeat_page,omitzero"`
	IgnoreFilters Chance `json:"ignore_filters,omitzero"`
	IgnoreLimit   Chance `json:"ignore_limit,omitzero"`
	Ascending     Chance `json:"ascending,omitzero"`
	EmptyPage     Chance `json:"empty_page,omitzero"`
	// HasMoreNull and HasMoreTrue replace has_more.
	HasMoreNull Chance `json:"has_more_null,omitzero"`
	HasMoreTrue Chance `json:"has_more_true,omitzero"`

	// Seconds shows times in seconds, StringNumbers numbers as strings,
	// RotateURL another key in url each time, NullFlip empty fields missing,
	// null or "" at random each time.
	Seconds       Chance `json:"seconds,omitzero"`
	StringNumbers Chance `json:"string_numbers,omitzero"`
	RotateURL     Chance `json:"rotate_url,omitzero"`
	NullFlip      Chance `json:"null_flip,omitzero"`
	// These spoil one item of a page: it loses its id or its status, is
	// replaced by something that is no object, or stands there twice (then the
	// page is longer by one).
	ItemWithoutID     Chance `json:"item_without_id,omitzero"`
	ItemWithoutStatus Chance `json:"item_without_status,omitzero"`
	ItemNotObject     Chance `json:"item_not_object,omitzero"`
	DuplicateItem     Chance `json:"duplicate_item,omitzero"`

	// Stale answers with the state of between StaleMinMS and StaleMS
	// milliseconds ago: younger sessions are missing, older ones unchanged.
	Stale      Chance `json:"stale,omitzero"`
	StaleMS    int    `json:"stale_ms,omitzero"`
	StaleMinMS int    `json:"stale_min_ms,omitzero"`
	// Late is the share (0..1) of the sessions that the list shows only LateMS
	// milliseconds after they were made; it is the same sessions each time.
	Late   float64 `json:"late,omitzero"`
	LateMS int     `json:"late_ms,omitzero"`
	// Vanished are ids that are neither listed nor found.
	Vanished []string `json:"vanished,omitzero"`
	// NoExpiry keeps open sessions open beyond their expires_at.
	NoExpiry bool `json:"no_expiry,omitzero"`

	// ClockSkewS shifts the Date header by seconds.
	ClockSkewS int `json:"clock_skew_s,omitzero"`
	// Params is the channel that is honoured: ParamsBoth (also ""), ParamsBody
	// or ParamsQuery. FilterUnit is how created filters are read: UnitSeconds,
	// UnitMillis, or by magnitude if "".
	Params     string `json:"params,omitzero"`
	FilterUnit string `json:"filter_unit,omitzero"`
}

// SetFaults replaces the present set of faults. Counts start afresh. The errors
// are ErrInvalid; then the old set stays.
func (a *API) SetFaults(f Faults) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("setting faults: %w", err)
	}
	f.Vanished = slices.Clone(f.Vanished)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled() // under the old rules until now
	a.faults = f
	return nil
}

// Faults returns the present set, with the counts that are left.
func (a *API) Faults() Faults {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.faults
	f.Vanished = slices.Clone(f.Vanished)
	return f
}

// Struck returns how often each fault with a chance has struck so far, by its
// JSON name. The map is the caller's.
func (a *API) Struck() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[string]int, len(a.struck))
	for k, n := range a.struck {
		out[string(k)] = n
	}
	return out
}

// validate reports every value that makes no sense.
func (f *Faults) validate() error {
	var errs []error
	bad := func(name string, value any, want string) {
		errs = append(errs, fmt.Errorf("%w %s %v: want %s", ErrInvalid, name, value, want))
	}
	for _, c := range slices.Concat(f.delays(), f.refusals(), f.distortions()) {
		if !(c.Probability >= 0 && c.Probability <= 1) || c.Count < 0 || c.Skip < 0 {
			bad(string(c.kind), *c.Chance, "a probability between 0 and 1, counts from 0")
		}
	}
	if !(f.Late >= 0 && f.Late <= 1) {
		bad("late", f.Late, "a share between 0 and 1")
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"hang_ms", f.HangMS}, {"retry_after_s", f.RetryAfterS}, {"stale_ms", f.StaleMS},
		{"stale_min_ms", f.StaleMinMS}, {"late_ms", f.LateMS},
	} {
		if n.value < 0 {
			bad(n.name, n.value, "0 or more")
		}
	}
	for _, c := range []struct {
		name, value string
		known       []string
	}{
		{"scope", f.Scope, []string{"", scopeList, scopeGet}},
		{"params", f.Params, []string{"", ParamsBoth, ParamsBody, ParamsQuery}},
		{"filter_unit", f.FilterUnit, []string{"", UnitSeconds, UnitMillis}},
	} {
		if !slices.Contains(c.known, c.value) {
			bad(c.name, c.value, "one of "+strings.Join(c.known[1:], ", "))
		}
	}
	return errors.Join(errs...)
}

// UnmarshalJSON reads a set strictly: an unknown name is an error that lists
// the known ones.
func (f *Faults) UnmarshalJSON(raw []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return fmt.Errorf("reading faults: %w", err)
	}
	known := faultNames()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w fault %q: the known ones are %s", ErrInvalid, name, strings.Join(known, ", "))
		}
	}
	type plain Faults // without this method
	if err := json.Unmarshal(raw, (*plain)(f)); err != nil {
		return fmt.Errorf("reading faults: %w", err)
	}
	return nil
}

// UnmarshalJSON reads a number, a boolean or an object.
func (c *Chance) UnmarshalJSON(raw []byte) error {
	type plain Chance
	var on bool
	switch {
	case json.Unmarshal(raw, &on) == nil:
		*c = Chance{}
		if on {
			*c = Always()
		}
		return nil
	case bytes.HasPrefix(raw, []byte("{")):
		*c = Chance{}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		return dec.Decode((*plain)(c))
	}
	*c = Chance{}
	if err := json.Unmarshal(raw, &c.Probability); err != nil {
		return fmt.Errorf("%w chance %s: want a probability, a boolean or an object with probability, count, skip", ErrInvalid, raw)
	}
	return nil
}

// strikes decides about one request and counts down.
func (c *Chance) strikes(rng *rand.Rand) bool {
	if c.Probability == 0 && c.Count == 0 {
		return false
	}
	if c.Skip > 0 {
		c.Skip--
		return false
	}
	if p := c.Probability; p > 0 && p < 1 && rng.Float64() >= p {
		return false
	}
	if c.Count > 0 {
		if c.Count--; c.Count == 0 {
			*c = Chance{}
		}
	}
	return true
}

// faultNames are the JSON names of a set, in the order of the fields.
func faultNames() []string {
	var names []string
	for field := range reflect.TypeFor[Faults]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
