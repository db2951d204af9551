package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/jobs"
	"checkout-notifier/state"
)

// bench is a state file and a kind of job that works until it is told how to end.
type bench struct {
	t     *testing.T
	path  string
	store *state.Store
	begun chan string // the parameters of what began
	end   chan error
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "notifier.db"), begun: make(chan string, 10), end: make(chan error)}
	b.open()
	t.Cleanup(func() { b.store.Close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	store, err := state.Open(b.t.Context(), state.Config{Path: b.path}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = store
}

type params struct {
	What string `json:"what"`
}

func (b *bench) kinds() map[string]jobs.Kind {
	return map[string]jobs.Kind{"dig": {
		Run: func(ctx context.Context, job jobs.Job, report func(any)) (any, error) {
			report(map[string]int{"depth": 1})
			b.begun <- string(job.Params)
			select {
			case err := <-b.end:
				return map[string]int{"depth": 2}, err
			case <-ctx.Done():
				return map[string]int{"depth": 1}, ctx.Err()
			}
		},
		Conflicts: func(x, y json.RawMessage) bool { return string(x) == string(y) },
	}}
}

// run runs a runner until stop is called.
func (b *bench) run(kinds map[string]jobs.Kind) (r *jobs.Runner, stop func()) {
	b.t.Helper()
	r = jobs.New(b.store, kinds, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return r, func() {
		b.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run = %v", err)
		}
	}
}

func (b *bench) start(r *jobs.Runner, what string) jobs.Job {
	b.t.Helper()
	job, err := r.Start(b.t.Context(), "dig", params{what}, "ops")
	if err != nil {
		b.t.Fatal(err)
	}
	<-b.begun
	return job
}

// await waits until a job has a status.
func (b *bench) await(r *jobs.Runner, id string, want jobs.Status) jobs.Job {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		job, err := r.Get(b.t.Context(), id)
		if err != nil {
			b.t.Fatal(err)
		}
		if job.Status == want {
			return job
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("job %+v is not %s", job, want)
		}
	}
}

func TestAJobRunsToItsEnd(t *testing.T) {
	b := newBench(t)
	r, stop := b.run(b.kinds())
	defer stop()
	job := b.start(r, "a")
	if job.Status != jobs.Running || job.Actor != "ops" || string(job.Params) != `{"what":"a"}` || !jobs.IsID(job.ID) {
		t.Errorf("started: %+v", job)
	}
	if got, err := r.Get(t.Context(), job.ID); err != nil || string(got.Progress) != `{"depth":1}` {
		t.Errorf("at work: %+v, %v", got, err)
	}
	b.end <- nil
	if got := b.await(r, job.ID, jobs.Done); string(got.Result) != `{"depth":2}` || got.Ended.IsZero() || got.Error != "" {
		t.Errorf("done: %+v", got)
	}
	failed := b.start(r, "a")
	b.end <- errors.New("a stone")
	if got := b.await(r, failed.ID, jobs.Failed); got.Error != "a stone" {
		t.Errorf("failed: %+v", got)
	}
	if failed.ID <= job.ID {
		t.Errorf("the later id %s sorts before %s", failed.ID, job.ID)
	}
	if err := b.store.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestJobsThatWouldMeetAreRefused(t *testing.T) {
	b := newBench(t)
	r, stop := b.run(b.kinds())
	defer stop()
	first := b.start(r, "a")
	b.start(r, "b")
	if _, err := r.Start(t.Context(), "dig", params{"a"}, "ops"); !errors.Is(err, jobs.ErrConflict) {
		t.Errorf("a second one: %v, want ErrConflict", err)
	}
	if _, err := r.Cancel(t.Context(), first.ID, "ops"); err != nil {
		t.Fatal(err)
	}
	b.start(r, "a") // the cancelled one is out of the way
}

func TestCancelledJobsStayCancelled(t *testing.T) {
	b := newBench(t)
	r, stop := b.run(b.kinds())
	job := b.start(r, "a")
	got, err := r.Cancel(t.Context(), job.ID, "boss")
	if err != nil || got.Status != jobs.Cancelled || got.CancelledBy != "boss" || got.Ended.IsZero() || string(got.Progress) != `{"depth":1}` {
		t.Errorf("cancelled: %+v, %v", got, err)
	}
	if _, err := r.Cancel(t.Context(), job.ID, "boss"); !errors.Is(err, jobs.ErrEnded) {
		t.Errorf("again: %v, want ErrEnded", err)
	}
	if _, err := r.Cancel(t.Context(), "job_20260101-000000-000", "boss"); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("an unknown one: %v, want ErrNotFound", err)
	}
	stop()
	r, stop = b.run(b.kinds())
	defer stop()
	b.start(r, "b")
	if got := b.await(r, job.ID, jobs.Cancelled); got.Restarts != 0 {
		t.Errorf("after a restart: %+v", got)
	}
}

// A stop is not the end of a job: the next process begins it again, from a file
// that was closed in between.
func TestJobsSurviveAStop(t *testing.T) {
	b := newBench(t)
	r, stop := b.run(b.kinds())
	job := b.start(r, "a")
	stop()
	if _, err := r.Start(t.Context(), "dig", params{"c"}, "ops"); !errors.Is(err, jobs.ErrStopped) {
		t.Errorf("a start after the end: %v, want ErrStopped", err)
	}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.open()
	_, stop = b.run(b.kinds())
	<-b.begun
	stop()
	r, stop = b.run(b.kinds())
	if got := <-b.begun; got != `{"what":"a"}` {
		t.Errorf("it began again with %s", got)
	}
	if _, err := r.Start(t.Context(), "dig", params{"a"}, "ops"); !errors.Is(err, jobs.ErrConflict) {
		t.Errorf("a second one: %v, want ErrConflict", err)
	}
	b.end <- nil
	if got := b.await(r, job.ID, jobs.Done); got.Restarts != 2 {
		t.Errorf("done: %+v", got)
	}
	stop()
}

// A version that does not know the kind says so instead of letting the job seem
// to run for ever.
func TestUnknownKindsFail(t *testing.T) {
	b := newBench(t)
	r, stop := b.run(b.kinds())
	job := b.start(r, "a")
	stop()
	r, stop = b.run(nil)
	defer stop()
	if got := b.await(r, job.ID, jobs.Failed); got.Error == "" {
		t.Errorf("failed: %+v", got)
	}
}

// A start that cannot be stored is refused, and leaves no trace.
func TestWhatIsNotStoredDoesNotRun(t *testing.T) {
	b := newBench(t)
	full := &fullDisk{Store: b.store}
	r := jobs.New(full, b.kinds(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	full.err = state.ErrDiskFull
	if _, err := r.Start(ctx, "dig", params{"a"}, "ops"); !errors.Is(err, state.ErrDiskFull) {
		t.Errorf("Start = %v", err)
	}
	if items, _, err := r.List(ctx, jobs.Query{Limit: 10}); err != nil || len(items) != 0 {
		t.Errorf("list: %+v, %v", items, err)
	}
	full.err = nil
	if _, err := r.Start(ctx, "dig", params{"a"}, "ops"); err != nil {
		t.Errorf("a later start: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type fullDisk struct {
	*state.Store
	err error
}

func (f *fullDisk) SaveJob(ctx context.Context, id string, row []byte) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.SaveJob(ctx, id, row)
}

func TestListPagesAndFilters(t *testing.T) {
	b := newBench(t)
	r, stop := b.run(b.kinds())
	defer stop()
	var want []string
	for i := range 5 {
		job := b.start(r, fmt.Sprint(i))
		want = append([]string{job.ID}, want...)
		if i%2 == 0 {
			if _, err := r.Cancel(t.Context(), job.ID, "ops"); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	for q := (jobs.Query{Limit: 2}); ; {
		items, next, err := r.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, job := range items {
			got = append(got, job.ID)
		}
		if q.Before = next; next == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pages: %v, want %v", got, want)
	}
	for q, want := range map[jobs.Query]int{
		{Status: jobs.Running, Limit: 10}:  2,
		{Status: jobs.Cancelled, Limit: 3}: 3,
		{Kind: "dig", Limit: 10}:           5,
		{Kind: "fill", Limit: 10}:          0,
	} {
		if items, next, err := r.List(t.Context(), q); err != nil || len(items) != want || next != "" {
			t.Errorf("%+v: %d jobs, next %q, %v", q, len(items), next, err)
		}
	}
}

// What ended long ago goes, and what is too much; what runs stays.
func TestOldJobsAreRemoved(t *testing.T) {
	b := newBench(t)
	now := time.Now().UTC()
	save := func(created time.Time, status jobs.Status) {
		t.Helper()
		id := "job_" + created.Format("20060102-150405") + "-000"
		row, err := json.Marshal(jobs.Job{ID: id, Kind: "dig", Status: status, Created: created, Ended: created})
		if err == nil {
			err = b.store.SaveJob(t.Context(), id, row)
		}
		if err != nil {
			t.Error(err)
		}
	}
	old := now.Add(-31 * 24 * time.Hour)
	save(old, jobs.Done)
	save(old.Add(time.Second), jobs.Running)
	var saving sync.WaitGroup // writers that wait are committed together
	for i := range 1005 {
		saving.Go(func() { save(now.Add(-time.Hour-time.Duration(i)*time.Second), jobs.Done) })
	}
	saving.Wait()
	r, stop := b.run(b.kinds())
	defer stop()
	<-b.begun
	b.end <- nil
	b.await(r, "job_"+old.Add(time.Second).Format("20060102-150405")+"-000", jobs.Done)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		items, _, err := r.List(t.Context(), jobs.Query{Limit: 2000})
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 1000 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d jobs are kept", len(items))
		}
	}
}

// Ids are given once, also while the clock stands still.
func TestIDsAreGivenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r, stop := b.run(b.kinds())
		seen := make(map[string]bool)
		for i := range 20 {
			seen[b.start(r, fmt.Sprint(i)).ID] = true
		}
		if len(seen) != 20 {
			t.Errorf("20 jobs have %d ids", len(seen))
		}
		stop()
	})
}
