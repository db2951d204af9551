// Package jobs runs what takes longer than whoever asks for it wants to wait.
//
// A job is on the disk before its start is acknowledged, and so is its
// cancellation. One that a stop or a crash cut short begins again with the next
// Run; a kind of job must therefore be able to begin again.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Status is how far a job is.
type Status string

// The statuses.
const (
	Running   Status = "running"
	Done      Status = "done"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Statuses lists them.
func Statuses() []Status { return []Status{Running, Done, Failed, Cancelled} }

// Job is one piece of work, as it is shown and stored.
type Job struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	Status  Status          `json:"status"`
	Actor   string          `json:"actor"` // who asked for it
	Params  json.RawMessage `json:"params"`
	Created time.Time       `json:"created"`
	Ended   time.Time       `json:"ended,omitzero"`
	// Restarts is how often it began again because its process ended.
	Restarts    int             `json:"restarts"`
	Progress    json.RawMessage `json:"progress,omitempty"` // of this process; stored when the job ends
	Result      json.RawMessage `json:"result,omitempty"`
	Error       string          `json:"error,omitempty"`
	CancelledBy string          `json:"cancelled_by,omitempty"`
}

// Kind is what jobs of one kind do.
type Kind struct {
	// Run works until it is done or ctx ends, and may be called again with the
	// same job after it was cut short; it goes by what is fixed at its start: ID,
	// Actor, Params, Created. report may be called at any time until Run returns;
	// it must not be given what changes afterwards.
	Run func(ctx context.Context, job Job, report func(progress any)) (result any, err error)
	// Conflicts says whether two jobs of the kind must not run at once; nil: never.
	Conflicts func(a, b json.RawMessage) bool
}

// Store keeps the rows of jobs by their ids, which sort by age.
type Store interface {
	SaveJob(ctx context.Context, id string, row []byte) error
	Job(ctx context.Context, id string) (row []byte, found bool, err error)
	Jobs(ctx context.Context, before string, limit int) (rows [][]byte, err error)
	DeleteJobs(ctx context.Context, ids []string) error
}

// Errors of a Runner.
var (
	// ErrNotFound: there is no such job, or it is no longer kept.
	ErrNotFound = errors.New("no such job")
	// ErrConflict: another job must end first; the message names it.
	ErrConflict = errors.New("another job is at work on this")
	// ErrEnded: the job cannot be cancelled any more.
	ErrEnded = errors.New("the job has ended already")
	// ErrStopped: the runner takes no more jobs.
	ErrStopped = errors.New("no more jobs are taken")
)

// idTime makes ids that can be read, and that sort by age.
const idTime = "20060102-150405.000"

func newID(t time.Time) string {
	text := []byte(t.UTC().Format(idTime))
	text[len("20060102-150405")] = '-'
	return "job_" + string(text)
}

// timeOf reads the time of an id.
func timeOf(id string) (time.Time, bool) {
	const prefix = "job_"
	if len(id) != len(prefix)+len(idTime) || id[:len(prefix)] != prefix {
		return time.Time{}, false
	}
	text := []byte(id[len(prefix):])
	if text[len("20060102-150405")] != '-' {
		return time.Time{}, false
	}
	text[len("20060102-150405")] = '.'
	t, err := time.Parse(idTime, string(text))
	return t, err == nil
}

// IsID says whether a text has the form of an id.
func IsID(text string) bool {
	_, ok := timeOf(text)
	return ok
}
