package state_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"checkout-notifier/state"
)

func TestJobRows(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "notifier.db")
	s, err := state.Open(ctx, state.Config{Path: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// A file that never had a job, as those of earlier versions.
	if rows, err := s.Jobs(ctx, "", 10); err != nil || len(rows) != 0 {
		t.Errorf("without jobs: %q, %v", rows, err)
	}
	if _, found, err := s.Job(ctx, "job_1"); err != nil || found {
		t.Errorf("an unknown job: found %v, %v", found, err)
	}
	if err := s.DeleteJobs(ctx, []string{"job_1"}); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	if err := s.SaveJob(ctx, "", nil); err == nil {
		t.Error("a job without an id was stored")
	}
	for i := range 5 {
		id := fmt.Sprintf("job_%d", i)
		if err := s.SaveJob(ctx, id, fmt.Appendf(nil, "%q", id)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		before string
		limit  int
		want   string
	}{
		{"", 2, `["\"job_4\"" "\"job_3\""]`},
		{"job_3", 2, `["\"job_2\"" "\"job_1\""]`},
		{"job_1", 2, `["\"job_0\""]`},
		{"job_0", 2, `[]`},
		{"job_9", 1, `["\"job_4\""]`},
		{"a", 1, `[]`},
	} {
		rows, err := s.Jobs(ctx, tt.before, tt.limit)
		if got := fmt.Sprintf("%q", rows); err != nil || got != tt.want {
			t.Errorf("%d before %q: %s, %v, want %s", tt.limit, tt.before, got, err, tt.want)
		}
	}
	if err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
	if err := s.DeleteJobs(ctx, []string{"job_3", "job_4"}); err != nil {
		t.Fatal(err)
	}
	if row, found, err := s.Job(ctx, "job_2"); err != nil || !found || string(row) != `"job_2"` {
		t.Errorf("job_2 = %q, %v, %v", row, found, err)
	}
	if _, found, _ := s.Job(ctx, "job_3"); found {
		t.Error("a removed job is still there")
	}
	if err := s.SaveJob(ctx, "job_2", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(ctx); err == nil {
		t.Error("an unreadable job went unnoticed")
	}
}
