package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// What ended is kept that long, and at most that many.
	keepFor = 30 * 24 * time.Hour
	keep    = 1000

	trimEvery = time.Hour
	// saveAgain is how long to wait when the end of a job cannot be stored.
	saveAgain = 5 * time.Second
	// rowsAtOnce is how many rows are read in one transaction.
	rowsAtOnce = 100
)

// Runner runs jobs while Run does. Its other methods may be called at any time
// and concurrently.
type Runner struct {
	store Store
	kinds map[string]Kind
	log   *slog.Logger

	loaded chan struct{} // closed when Run knows what is stored
	ended  chan struct{} // closed when Run takes nothing more
	begin  chan *work

	mu   sync.Mutex // guards live, the jobs in it, and last
	live map[string]*work
	last time.Time // of the newest id
}

// work is a job that runs, or is about to.
type work struct {
	job    Job // guarded by the runner
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when its end is stored
}

func newWork(job Job) *work {
	w := &work{job: job, done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// New returns a runner of some kinds of jobs. Nothing runs before Run does.
func New(store Store, kinds map[string]Kind, log *slog.Logger) *Runner {
	return &Runner{
		store: store, kinds: kinds, log: log, live: make(map[string]*work),
		loaded: make(chan struct{}), ended: make(chan struct{}), begin: make(chan *work),
	}
}

// Run takes up what an earlier process left, and runs jobs until the context
// ends. What is not done by then is left to the next Run. It is called once.
func (r *Runner) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
	defer close(r.ended)
	left, err := r.load(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for _, w := range left {
		working.Go(func() { r.work(ctx, w) })
	}
	close(r.loaded)
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	r.trim(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case w := <-r.begin:
			working.Go(func() { r.work(ctx, w) })
		case <-ticker.C:
			r.trim(ctx)
		}
	}
}

// load finds the jobs that were running when their process ended.
func (r *Runner) load(ctx context.Context) (left []*work, err error) {
	err = r.each(ctx, func(job Job) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if t, ok := timeOf(job.ID); ok && t.After(r.last) {
			r.last = t
		}
		if job.Status != Running {
			return nil
		}
		job.Restarts++
		w := newWork(job)
		r.live[job.ID] = w
		left = append(left, w)
		return nil
	})
	for _, w := range left {
		// Before anybody can cancel it, whose row must not be written over.
		if err := r.save(ctx, w.job); err != nil && ctx.Err() == nil {
			r.log.Error("that a job begins again could not be stored", "job", w.job.ID, "error", err)
		}
	}
	return left, err
}

// Start stores a job and lets it run. ErrConflict: one that is at work on the
// same must end first. The error is ErrStopped once Run has ended.
func (r *Runner) Start(ctx context.Context, kind string, params any, actor string) (Job, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return Job{}, fmt.Errorf("encoding the parameters of a job: %w", err)
	}
	if err := r.await(ctx, r.loaded); err != nil {
		return Job{}, err
	}
	w, job, err := r.admit(Job{Kind: kind, Status: Running, Actor: actor, Params: raw, Created: time.Now().UTC()})
	if err != nil {
		return Job{}, err
	}
	if err := r.save(ctx, job); err != nil {
		r.forget(job.ID)
		return Job{}, err
	}
	r.log.Info("job started", "job", job.ID, "kind", job.Kind, "actor", job.Actor, "params", string(job.Params))
	select {
	case r.begin <- w:
	case <-r.ended: // it is stored: the next Run takes it up
	}
	return job, nil
}

// admit gives a job its id and a place among those that run.
func (r *Runner) admit(job Job) (*work, Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, other := range r.live {
		conflicts := r.kinds[job.Kind].Conflicts
		if other.job.Kind == job.Kind && other.job.Status == Running && conflicts != nil && conflicts(job.Params, other.job.Params) {
			return nil, Job{}, fmt.Errorf("%w: %s", ErrConflict, id)
		}
	}
	// A clock that was set back must not give an id twice.
	at := job.Created.Truncate(time.Millisecond)
	if !at.After(r.last) {
		at = r.last.Add(time.Millisecond)
	}
	r.last, job.ID = at, newID(at)
	w := newWork(job)
	r.live[job.ID] = w
	return w, job, nil
}

// await waits for the runner to be that far.
func (r *Runner) await(ctx context.Context, reached <-chan struct{}) error {
	select {
	case <-r.ended:
		return ErrStopped
	default:
	}
	select {
	case <-reached:
		return nil
	case <-r.ended:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cancel ends a job and waits until it has ended. It stays cancelled whatever
// happens. Errors: ErrNotFound, ErrEnded.
func (r *Runner) Cancel(ctx context.Context, id, actor string) (Job, error) {
	if err := r.await(ctx, r.loaded); err != nil {
		return Job{}, err
	}
	r.mu.Lock()
	w := r.live[id]
	if w == nil || w.job.Status != Running {
		r.mu.Unlock()
		if _, err := r.Get(ctx, id); err != nil {
			return Job{}, err
		}
		return Job{}, fmt.Errorf("%w: %s", ErrEnded, id)
	}
	w.job.Status, w.job.CancelledBy, w.job.Ended = Cancelled, actor, time.Now().UTC()
	job := w.job
	r.mu.Unlock()
	if err := r.save(ctx, job); err != nil {
		r.mu.Lock()
		w.job.Status, w.job.CancelledBy, w.job.Ended = Running, "", time.Time{}
		r.mu.Unlock()
		return Job{}, err
	}
	r.log.Info("job cancelled", "job", id, "actor", actor)
	w.cancel()
	select {
	case <-w.done:
		return r.Get(ctx, id)
	case <-ctx.Done(): // it is cancelled all the same
		return job, nil
	}
}

// Get returns a job. ErrNotFound: there is none.
func (r *Runner) Get(ctx context.Context, id string) (Job, error) {
	if job, ok := r.running(id); ok {
		return job, nil
	}
	row, found, err := r.store.Job(ctx, id)
	if err != nil {
		return Job{}, err
	}
	if !found {
		return Job{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return decode(row)
}

// running returns a job as its work knows it.
func (r *Runner) running(id string) (Job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.live[id]; w != nil {
		return w.job, true
	}
	return Job{}, false
}

func (r *Runner) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, id)
}
