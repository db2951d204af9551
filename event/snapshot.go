package event

import (
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"checkout-notifier/checkout"
)

// Watch says why a session is, or is no longer, looked at on its own account.
type Watch string

// A session is watched until it is settled, given up (unresolved), or no longer
// shown by the list (vanished). Any later look at it is compared all the same.
const (
	Watched    Watch = "watched"
	Settled    Watch = "settled"
	GivenUp    Watch = "unresolved"
	Vanished   Watch = "vanished"
	watchedOld Watch = "" // reads as Watched
)

// Is compares, reading the zero value as Watched.
func (w Watch) Is(other Watch) bool {
	if w == watchedOld {
		w = Watched
	}
	return w == other
}

// Snapshot is a session as the last believed look showed it, with the memory
// that ids and confirmations need.
type Snapshot struct {
	Account       string          `json:"account"`
	ID            string          `json:"id"`
	Created       time.Time       `json:"created"` // at first sight: part of the store's key, never changed
	ExpiresAt     time.Time       `json:"expires_at,omitzero"`
	Status        string          `json:"status"`
	PaymentStatus string          `json:"payment_status"`
	Mode          string          `json:"mode"`
	Object        json.RawMessage `json:"object"`
	Hash          uint64          `json:"hash"`
	ScanHash      uint64          `json:"scan_hash,omitempty"` // see Tracked

	Revision int            `json:"revision"`
	Counts   map[string]int `json:"counts"` // events of each type in the session's life, silent ones included
	Watch    Watch          `json:"watch"`
	// Regressed is set by the first confirmed step back: transitions announced
	// after it are unexpected.
	Regressed bool `json:"regressed,omitempty"`

	// Silent is a session whose first sight was recorded without an announcement; an
	// earlier version does not say.
	Silent bool `json:"silent,omitempty"`
	// Withheld are the types of the events that the first sight would have raised if the
	// account's start, which clocks made, did not seem later than the session: they are
	// announced if a clock turns out to have been ahead.
	Withheld []string `json:"withheld,omitempty"`

	// FirstSeen is when the first look was, by the server's clock; zero where an
	// earlier version wrote the snapshot, or where the session was as old as its
	// first look.
	FirstSeen  time.Time `json:"first_seen,omitzero"`
	FirstOwn   time.Time `json:"first_own,omitzero"`   // the same by our own clock; zero where an earlier version wrote it
	LookedAt   time.Time `json:"looked_at"`            // when the last look that was committed was asked for
	LookedOwn  time.Time `json:"looked_own,omitzero"`  // the same by our own clock; where an earlier version wrote it, when that look had arrived
	CompleteAt time.Time `json:"complete_at,omitzero"` // the look that showed it complete, stepped back or revived it, by the later of the server's clock and ours
	Left       []Left    `json:"left,omitempty"`       // values left within confirm_after
	Held       Held      `json:"held,omitempty"`       // a step back that awaits confirmation
}

// Left is a value that a field had and left.
type Left struct {
	Field string    `json:"field"`
	Hash  uint64    `json:"hash"`
	At    time.Time `json:"at"`           // by the server's clock
	Own   time.Time `json:"own,omitzero"` // by ours; zero where an earlier version wrote it
}

// Held is a step back that is not believed yet: each field that returned, by name.
type Held map[string]HeldValue

// HeldValue is a value that every look since the first one of the row has shown.
type HeldValue struct {
	Hash  uint64    `json:"hash"`
	Since time.Time `json:"since"` // the first look of the unbroken row
	Pass  time.Time `json:"pass"`  // the pass of that look
	// Own is when the first look was by our own clock; zero where an earlier
	// version wrote it.
	Own time.Time `json:"own,omitzero"`
}

// Tracked is a snapshot's row in the poller's index: what is needed to decide
// when the session must be looked at and whether a look shows anything new.
type Tracked struct {
	ID            string
	Created       time.Time
	ExpiresAt     time.Time
	CompleteAt    time.Time
	LookedAt      time.Time
	ScanHash      uint64 // of the bytes of a look that showed exactly what is stored; 0 unknown
	Status        string
	PaymentStatus string
	Watch         Watch
	Held          bool // every look counts, changed or not
}

// Shown notes the bytes of the look that led to the snapshot: they stand for
// what is stored only if they showed exactly that.
func (s *Snapshot) Shown(look *checkout.Session) {
	s.ScanHash = 0
	if s.Hash == look.Hash {
		s.ScanHash = look.ScanHash
	}
}

// Track returns the index row of a snapshot.
func (s *Snapshot) Track() Tracked {
	row := Tracked{
		ID: s.ID, Created: s.Created, ExpiresAt: s.ExpiresAt, CompleteAt: s.CompleteAt, LookedAt: s.LookedAt,
		ScanHash: s.ScanHash, Status: s.Status, PaymentStatus: s.PaymentStatus, Watch: s.Watch, Held: len(s.Held) > 0,
	}
	if len(s.Withheld) > 0 { // any look may have it announced
		row.ScanHash = 0
	}
	return row
}

// defaultLifetime is how long a session stays open when the API does not say.
const defaultLifetime = 24 * time.Hour

// Expiry returns when an open session expires, by the API's default if it did
// not say.
func (t *Tracked) Expiry() time.Time {
	if t.ExpiresAt.IsZero() {
		return t.Created.Add(defaultLifetime)
	}
	return t.ExpiresAt
}

// GiveUpAt returns when a session that shows no further change is no longer
// watched: unpaidFor after the look that showed it complete, or after it should
// have expired. One that stepped back or was revived later counts from then.
func (t *Tracked) GiveUpAt(unpaidFor time.Duration) time.Time {
	from := t.CompleteAt
	if t.Status != checkout.StatusComplete && from.Before(t.Expiry()) {
		from = t.Expiry()
	}
	return from.Add(unpaidFor)
}

// Account is what is remembered of an account.
type Account struct {
	Name string `json:"name"`
	Host string `json:"host"`
	Mode string `json:"mode"` // test or live
	// KeyHash tells when the key was changed; the key itself is never stored.
	KeyHash string `json:"key_hash"`
	// Start is the border between what is recorded silently (created before) and
	// what is announced; zero for `all`, fixed at the first successful answer.
	Start      time.Time `json:"start,omitzero"`
	StartFixed bool      `json:"start_fixed"`
	// ByClock is a start that clocks made, StartShown the creation time of the newest
	// session that existed then, and Polled for how long the account has been polled
	// since, at least, by the clock of the process, which nobody sets: by these a clock
	// that was ahead is found out. An earlier version wrote none of them.
	ByClock    bool          `json:"start_by_clock,omitempty"`
	StartShown time.Time     `json:"start_shown,omitzero"`
	Polled     time.Duration `json:"polled,omitempty"`
	// Restart asks that the start is fixed anew at the next answer, whatever the
	// configuration says: an operator accepted other sessions.
	Restart bool `json:"restart,omitempty"`
	// Accepted is when that was, by our clock; an earlier version did not write it.
	Accepted time.Time `json:"accepted,omitzero"`
	// Low is the newest creation time that the last complete walk down the head
	// showed: what was visible then and is older has been seen.
	Low time.Time `json:"low,omitzero"`
	// Reconciled is when the last complete pass over the whole window began, and
	// the rounds are such that all sessions of their tier were looked at since.
	Reconciled  time.Time `json:"reconciled,omitzero"`
	WarmRound   time.Time `json:"warm_round,omitzero"`
	UnpaidRound time.Time `json:"unpaid_round,omitzero"`
	// Reread is down to which creation time the next such pass reads, if that is
	// further than the window: the head was read there, and no later one does.
	Reread time.Time `json:"reread,omitzero"`
	// ForgottenBefore is the border below which sessions were pruned: an unknown
	// one created before it is recorded silently.
	ForgottenBefore time.Time `json:"forgotten_before,omitzero"`
	// TakenOverBy is the account that goes on with the sessions under another name, for the
	// same key; empty as soon as this one is polled with that key itself.
	TakenOverBy string `json:"taken_over_by,omitempty"`
	// Foreign says why the account stopped: its key shows other sessions than
	// the ones that were stored under its name.
	Foreign string `json:"foreign,omitempty"`
	// Holes are the parts of the list that were passed over, the newest first.
	Holes []Hole `json:"holes,omitempty"`
	// Unreadable are the rows of the list of which no sense was made.
	Unreadable []Unreadable `json:"unreadable,omitempty"`
}

// StartOver makes the record one of an account whose present sessions were accepted
// now: nothing of those that were stored before holds for them.
func (a *Account) StartOver(now time.Time) {
	*a = Account{Name: a.Name, Host: a.Host, Mode: a.Mode, ForgottenBefore: a.ForgottenBefore, Restart: true, Accepted: now}
}

// Equal says whether two records of an account say the same.
func (a *Account) Equal(b *Account) bool { return reflect.DeepEqual(a, b) }

// Hole is a part of an account's list that the API could not show when it was
// read: what is older than the session above it, down to the session below it.
// A hole is never changed in place.
type Hole struct {
	// Above is the id of the session after which the list cannot be read. It is
	// empty for a hole that begins with the newest session, and where only its time
	// is known.
	Above   string    `json:"above,omitempty"`
	AboveAt time.Time `json:"above_at,omitzero"` // zero: it begins with the newest session
	// Below is the id of the session after which the list can be read again; if it
	// is empty the list can be read again from BelowAt on.
	Below   string    `json:"below,omitempty"`
	BelowAt time.Time `json:"below_at,omitzero"` // zero: it has no end
	Since   time.Time `json:"since"`
	Asked   time.Time `json:"asked"`           // for the last time
	Error   string    `json:"error,omitempty"` // what the API says instead
	// First tells that it was found before the account's start was final; Pruned that
	// sessions of its range may have been forgotten before.
	First  bool `json:"first,omitempty"`
	Pruned bool `json:"pruned,omitempty"`
	// Joined tells that it was put together from several, with what lies between them.
	Joined bool `json:"joined,omitempty"`
}

// Unreadable is a row of an account's list of which no sense was made, nor of the
// answer for its id. It is asked for again as a hole is; of it, the hole tells the
// neighbours, and in Error what is wrong with the row.
type Unreadable struct {
	Hole
	ID       string    `json:"id,omitempty"`       // "" if it has none that can be asked for
	Name     string    `json:"name,omitempty"`     // as it is shown, "" if it has none
	From     time.Time `json:"from,omitzero"`      // between this creation time
	To       time.Time `json:"to,omitzero"`        // and this it stands, at most; zero: above it stands nothing
	Existed  time.Time `json:"existed,omitzero"`   // a session created until then existed before the account's start
	Announce bool      `json:"announce,omitempty"` // a backfill that announces showed it
	Shown    time.Time `json:"shown"`              // for the last time; at most an hour later where it is stored
	Answer   string    `json:"answer,omitempty"`   // what is wrong with the answer for its id
}

// Key is what the row is known by.
func (u *Unreadable) Key() string { return cmp.Or(u.ID, u.Name, " "+u.Above) }

// Stored is the row as it is stored, with what is wrong with the answer for its id; nil:
// there was none.
func (u *Unreadable) Stored(answer error) Unreadable {
	row := *u
	row.Shown, row.Answer = u.Shown.Truncate(time.Hour).Add(time.Hour), "" // not with each pass that is shown it
	if answer != nil {
		row.Answer = answer.Error()
	}
	return row
}

// Failure is what Stored was given, as a text.
func (u *Unreadable) Failure() error {
	if u.Answer == "" {
		return nil
	}
	return errors.New(u.Answer)
}

// Newest says whether the hole begins with the newest session of the list.
func (h *Hole) Newest() bool { return h.AboveAt.IsZero() }

// Covers says whether a session that was created at a time may be in the hole,
// allowing for the API's rounding.
func (h *Hole) Covers(created time.Time) bool {
	return !created.Before(h.BelowAt.Add(-time.Second)) && (h.Newest() || !created.After(h.AboveAt.Add(time.Second)))
}
