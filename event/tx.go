package event

import "time"

// Tx is what one page of looks changes. It is committed whole or not at all.
type Tx struct {
	Account    string
	Snapshots  []Snapshot
	Events     []Event    // in order; each is stored even if nobody hears of it
	Deliveries []Delivery // each of an event of this Tx
}

// Empty says whether there is nothing to commit.
func (t *Tx) Empty() bool {
	return len(t.Snapshots) == 0 && len(t.Events) == 0 && len(t.Deliveries) == 0
}

// DestinationState is what is remembered of a destination, whether the
// configuration names it or not.
type DestinationState struct {
	Name          string        `json:"name"`
	UpClock       time.Duration `json:"up_clock"` // time during which it could be reached
	Pending       int           `json:"pending"`
	Dead          int           `json:"dead"`
	OldestPending time.Time     `json:"-"` // filled in on reading
}
