package poller

import (
	"sync"
	"time"
)

// Status is how an account is doing.
type Status struct {
	Account     string        `json:"account"`
	Host        string        `json:"host"`
	Mode        string        `json:"mode"`
	Healthy     bool          `json:"healthy"` // the last request was answered and the last pass completed
	Error       string        `json:"error,omitempty"`
	ErrorSince  time.Time     `json:"error_since,omitzero"`
	Passes      int           `json:"passes"` // complete ones, of this process
	LastSuccess time.Time     `json:"last_success,omitzero"`
	LastPass    time.Duration `json:"last_pass_ns"`
	Requests    int           `json:"requests"`
	Tracked     int           `json:"tracked"` // sessions in memory
	Watched     int           `json:"watched"` // sessions that can still change
	Start       time.Time     `json:"start,omitzero"`
	Low         time.Time     `json:"low,omitzero"`
	ClockSkew   time.Duration `json:"clock_skew_ns"` // how far the server's clock is ahead of ours
	Foreign     string        `json:"foreign,omitempty"`
	Oddities    []Oddity      `json:"oddities,omitempty"`
}

// Oddity is something in the API's answers that is not as documented, said in
// the log when it is first met and counted since.
type Oddity struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Count   int       `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// statusBox guards an account's Status, which its goroutine writes and anybody reads.
type statusBox struct {
	mu     sync.Mutex
	status Status
}

func (b *statusBox) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Oddities = append([]Oddity(nil), s.Oddities...)
	return s
}

func (b *statusBox) update(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

// odd counts an oddity and says whether it is the first of its code.
func (b *statusBox) odd(code, message string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for i := range b.status.Oddities {
		if o := &b.status.Oddities[i]; o.Code == code {
			o.Count++
			o.Last, o.Message = now, message
			return false
		}
	}
	b.status.Oddities = append(b.status.Oddities, Oddity{Code: code, Message: message, Count: 1, First: now, Last: now})
	return true
}
