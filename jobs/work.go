package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// work runs a job to its end, or to that of ctx.
func (r *Runner) work(ctx context.Context, w *work) {
	defer close(w.done)
	defer w.cancel()
	r.mu.Lock()
	begun := w.job
	r.mu.Unlock()
	if begun.Restarts > 0 {
		r.log.Info("job begins again", "job", begun.ID, "kind", begun.Kind, "restarts", begun.Restarts)
	}
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	var result any
	err := fmt.Errorf("this version of notifier knows no jobs of the kind %q", begun.Kind)
	if k, known := r.kinds[begun.Kind]; known {
		result, err = k.Run(working, begun, func(progress any) { r.progress(w, progress) })
	}
	if job, ended := r.end(ctx, w, result, err); ended {
		r.saveEnd(ctx, job)
		r.forget(begun.ID)
		r.trim(ctx)
	}
}

func (r *Runner) progress(w *work, progress any) {
	raw := r.encode(w, progress)
	r.mu.Lock()
	defer r.mu.Unlock()
	w.job.Progress = raw
}

// encode writes what a kind of job says of itself; what cannot be written is
// left out and said in the log.
func (r *Runner) encode(w *work, document any) json.RawMessage {
	if document == nil {
		return nil
	}
	raw, err := json.Marshal(document)
	if err != nil {
		r.log.Error("what a job reports cannot be written", "job", w.job.ID, "error", err)
		return nil
	}
	return raw
}

// end notes how a job ended. One that only the end of ctx cut short has not.
func (r *Runner) end(ctx context.Context, w *work, result any, err error) (job Job, ended bool) {
	raw := r.encode(w, result)
	r.mu.Lock()
	defer r.mu.Unlock()
	cancelled := w.job.Status == Cancelled
	if err != nil && ctx.Err() != nil && !cancelled {
		return Job{}, false
	}
	w.job.Result = raw
	if !cancelled {
		w.job.Status, w.job.Ended = Done, time.Now().UTC()
		if err != nil {
			w.job.Status, w.job.Error = Failed, err.Error()
		}
	}
	return w.job, true
}

// saveEnd stores the end of a job, again and again if it must: a job that is
// over must not seem to run. Left undone, it begins again with the next Run.
func (r *Runner) saveEnd(ctx context.Context, job Job) {
	for {
		// What was reached counts, also while the daemon stops.
		err := r.save(context.WithoutCancel(ctx), job)
		if err == nil {
			r.log.Info("job ended", "job", job.ID, "kind", job.Kind, "status", string(job.Status), "error", job.Error)
			return
		}
		r.log.Error("the end of a job could not be stored", "job", job.ID, "status", string(job.Status), "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(saveAgain):
		}
	}
}

func (r *Runner) save(ctx context.Context, job Job) error {
	row, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("encoding job %s: %w", job.ID, err)
	}
	return r.store.SaveJob(ctx, job.ID, row)
}

func decode(row []byte) (Job, error) {
	var job Job
	if err := json.Unmarshal(row, &job); err != nil {
		return Job{}, fmt.Errorf("reading a job: %w", err)
	}
	return job, nil
}

// each calls fn with every stored job, newest first.
func (r *Runner) each(ctx context.Context, fn func(Job) error) error {
	before := ""
	for {
		rows, err := r.store.Jobs(ctx, before, rowsAtOnce)
		if err != nil {
			return err
		}
		for _, row := range rows {
			job, err := decode(row)
			if err != nil {
				return err
			}
			if err := fn(job); err != nil {
				return err
			}
			before = job.ID
		}
		if len(rows) < rowsAtOnce {
			return nil
		}
	}
}

// trim removes what ended long ago, and what is too much. It goes by the end of
// jobs: one that ran for long must not be gone before anybody sees its end.
func (r *Runner) trim(ctx context.Context) {
	type end struct {
		id string
		at time.Time
	}
	var ends []end
	err := r.each(ctx, func(job Job) error {
		if job.Status != Running {
			ends = append(ends, end{job.ID, job.Ended})
		}
		return nil
	})
	slices.SortFunc(ends, func(a, b end) int { return b.at.Compare(a.at) })
	border := time.Now().Add(-keepFor)
	var old []string
	for i, e := range ends {
		if i >= keep || e.at.Before(border) {
			old = append(old, e.id)
		}
	}
	if err == nil {
		err = r.store.DeleteJobs(ctx, old)
	}
	if err != nil && ctx.Err() == nil {
		r.log.Error("old jobs could not be removed; it is tried again", "error", err)
	}
}

// Query chooses jobs.
type Query struct {
	Kind   string // "": any
	Status Status // "": any
	Before string // an id: only older ones; "": all
	Limit  int    // at least 1
}

// List returns jobs, newest first. next, if not "", is what the next Query
// begins before.
func (r *Runner) List(ctx context.Context, q Query) (items []Job, next string, err error) {
	// One more than is asked for tells whether there are more.
	for {
		rows, err := r.store.Jobs(ctx, q.Before, rowsAtOnce)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			job, err := decode(row)
			if err != nil {
				return nil, "", err
			}
			if live, ok := r.running(job.ID); ok {
				job = live
			}
			q.Before = job.ID
			if (q.Kind != "" && job.Kind != q.Kind) || (q.Status != "" && job.Status != q.Status) {
				continue
			}
			if len(items) == q.Limit {
				return items, items[len(items)-1].ID, nil
			}
			items = append(items, job)
		}
		if len(rows) < rowsAtOnce {
			return items, "", nil
		}
	}
}
