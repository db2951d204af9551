package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"checkout-notifier/jobs"
	"checkout-notifier/poller"
)

const (
	// followEvery is how often a job is asked for.
	followEvery = 500 * time.Millisecond
	// lineEvery is how often its progress is a line where no terminal shows it.
	lineEvery = 10 * time.Second
	// awayFor is how long a daemon may be away while a job is followed: it may be
	// restarted, and the job goes on then.
	awayFor = 30 * time.Second
)

const jobsPath = "/api/v1/jobs"

// follow shows a job's progress until it ends, and what came of it.
func (a *app) follow(ctx context.Context, c *client, job jobs.Job, output string) error {
	id := job.ID
	progress := &progressLine{app: a, shown: time.Now()}
	answered := time.Now()
	for job.Status == jobs.Running {
		select {
		case <-ctx.Done():
			progress.clear()
			return exit(exitFailure, fmt.Errorf("detached from %s, which goes on: notifier jobs get %s shows it, notifier jobs cancel %s ends it", id, id, id))
		case <-time.After(followEvery):
		}
		var next jobs.Job
		err := c.call(ctx, http.MethodGet, jobsPath+"/"+url.PathEscape(id), &next)
		switch {
		case err == nil:
			job, answered = next, time.Now()
			progress.show(&job)
		case ctx.Err() != nil: // said above
		case !errors.Is(err, errNoDaemon):
			progress.clear()
			return err
		case time.Since(answered) > awayFor:
			progress.clear()
			return exit(exitUnreachable, fmt.Errorf("%s goes on when the daemon is back: %w", id, err))
		}
	}
	progress.clear()
	return a.showEnd(output, &job)
}

// showEnd prints how a job ended; only a good end is exit code 0.
func (a *app) showEnd(output string, job *jobs.Job) error {
	err := a.show(output, job, func() { fmt.Fprintf(a.out, "%s %s: %s\n", job.ID, job.Status, jobText(job)) })
	switch {
	case err != nil:
		return err
	case job.Status == jobs.Cancelled:
		return exit(exitFailure, fmt.Errorf("%s was cancelled by %s; what it did stays", job.ID, job.CancelledBy))
	case job.Status != jobs.Done:
		return exit(exitFailure, fmt.Errorf("%s %s: %s; %s", job.ID, job.Status, job.Error, afterwards(job.Kind)))
	}
	return nil
}

// afterwards says what is to be known of another job in the place of one that failed.
func afterwards(kind string) string {
	switch kind {
	case jobRedrive:
		return "what is a dead letter still may be redriven again"
	case jobReplay:
		return "what it made due stays; another replay begins from the start"
	}
	return "it may be started again, what is known already raises nothing"
}

// jobText says what a job came to, or how far it is.
func jobText(job *jobs.Job) string {
	raw := job.Result
	if raw == nil {
		raw = job.Progress
	}
	if job.Kind != jobBackfill {
		return redeliveryText(job, raw)
	}
	var r poller.BackfillReport
	if raw == nil || json.Unmarshal(raw, &r) != nil {
		return "nothing yet"
	}
	text := reportText(&r, "announced")
	if job.Status != jobs.Done && !r.Reached.IsZero() {
		text += "; down to " + clock(r.Reached)
	}
	if r.Error != "" {
		text += "; it is tried again after: " + r.Error
	}
	return text
}

// progressLine keeps one line of a terminal up to date, or writes a line now and then.
type progressLine struct {
	*app
	shown time.Time // when the last line was written
	dirty bool      // the terminal's line is to be cleared
}

func (p *progressLine) show(job *jobs.Job) {
	if job.Status != jobs.Running || job.Progress == nil {
		return
	}
	if isTerminal(p.err) {
		fmt.Fprintf(p.err, "\r\x1b[K%s", jobText(job))
		p.dirty = true
		return
	}
	if time.Since(p.shown) >= lineEvery {
		p.shown = time.Now()
		fmt.Fprintf(p.err, "%s: %s\n", job.ID, jobText(job))
	}
}

func (p *progressLine) clear() {
	if p.dirty {
		fmt.Fprint(p.err, "\r\x1b[K")
	}
}
