package backup

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// maker writes the number of the copy, and a part of it where it fails.
type maker struct {
	fail    error
	tried   []time.Time
	removed []string
}

func (m *maker) Backup(_ context.Context, path string) error {
	m.tried = append(m.tried, time.Now())
	if m.fail != nil {
		return errors.Join(m.fail, os.WriteFile(path+unfinished, nil, 0o600))
	}
	return os.WriteFile(path, []byte("copy"), 0o600)
}

func (m *maker) RemoveUnfinished(_ context.Context, path string) error {
	m.removed = append(m.removed, filepath.Base(path))
	return os.Remove(path + unfinished)
}

const id = "0a1b2c3d"

func newSchedule(dir string, m *maker, every time.Duration, keep int) *Schedule {
	return New(Config{Dir: dir, Every: every, Keep: keep, ID: id}, m, func() bool { return true }, slog.New(slog.DiscardHandler))
}

// runFor is one life of a daemon.
func runFor(t *testing.T, s *Schedule, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func put(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A daemon that is restarted each hour makes a copy each day all the same, and
// keeps as many as it was told.
func TestRestartsDoNotPutOffTheNextCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, m := filepath.Join(t.TempDir(), "made", "by", "it"), &maker{}
		for range 10 * 24 {
			runFor(t, newSchedule(dir, m, 24*time.Hour, 3), time.Hour)
		}
		if len(m.tried) != 10 {
			t.Errorf("%d copies in ten days: %v", len(m.tried), m.tried)
		}
		var want []string
		for _, at := range m.tried[7:] {
			want = append(want, Name(id, at))
		}
		if got := files(t, dir); !slices.Equal(got, want) {
			t.Errorf("kept %v, want %v", got, want)
		}
	})
}

// A copy that an operator makes in between is told of within a minute, and puts off the
// next one.
func TestACopyOfAnOperatorCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, m := t.TempDir(), &maker{}
		s := newSchedule(dir, m, time.Hour, 3)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		defer func() { cancel(); <-ended }() // before its folder is removed
		time.Sleep(30 * time.Minute)
		made := time.Now().UTC().Truncate(time.Second)
		put(t, dir, Name(id, made))
		time.Sleep(findEvery + lookEvery)
		if st := s.Status(); st.Copies != 2 || !st.Last.Equal(made) || !st.Next.Equal(made.Add(time.Hour)) {
			t.Errorf("the status is %+v", st)
		}
	})
}

func TestOnlyOurOwnFilesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, m := t.TempDir(), &maker{}
		others := []string{
			"notifier.db", "notifier-20200101T000000Z.db", "notifier-ffffffff-20200101T000000Z.db", "notifier-ffffffff-20200101T000000Z.db.new",
			"notifier-" + id + "-20209901T000000Z.db", "notifier-" + id + "-20200101T000000Z.db.gz", "keep-notifier-" + id + "-20200101T000000Z.db",
		}
		put(t, dir, others...)
		folder, link := "notifier-"+id+"-20200102T000000Z.db", "notifier-"+id+"-20200103T000000Z.db"
		if err := errors.Join(os.Mkdir(filepath.Join(dir, folder), 0o700), os.Symlink("notifier.db", filepath.Join(dir, link))); err != nil {
			t.Fatal(err)
		}
		ours, partial := "notifier-"+id+"-19990101T000000Z.db", "notifier-"+id+"-19990102T000000Z.db"
		put(t, dir, ours, partial+unfinished)
		s := newSchedule(dir, m, 24*time.Hour, 1)
		runFor(t, s, time.Minute)
		want := append(slices.Clone(others), folder, link, Name(id, m.tried[0]))
		slices.Sort(want)
		if got := files(t, dir); !slices.Equal(got, want) {
			t.Errorf("left\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if !slices.Equal(m.removed, []string{partial}) {
			t.Errorf("unfinished ones removed: %v", m.removed)
		}
		if st := s.Status(); st.Copies != 1 || !st.Last.Equal(m.tried[0].Truncate(time.Second)) || st.Made != 1 || st.Bytes != 4 {
			t.Errorf("status %+v", st)
		}
	})
}

// A copy that fails removes none of those that are there, and is tried again,
// less and less often.
func TestAFailureKeepsTheOlderOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, m := t.TempDir(), &maker{}
		runFor(t, newSchedule(dir, m, 24*time.Hour, 1), time.Minute)
		kept := files(t, dir)
		time.Sleep(24 * time.Hour)
		m.fail, m.tried = errors.New("verification failed"), nil
		began := time.Now()
		s := newSchedule(dir, m, 24*time.Hour, 1)
		runFor(t, s, 5*time.Hour)
		var minutes []int
		for _, at := range m.tried {
			minutes = append(minutes, int(at.Sub(began).Minutes()))
		}
		if want := []int{0, 1, 3, 7, 15, 31, 63, 123, 183, 243}; !slices.Equal(minutes, want) {
			t.Errorf("tried after %v minutes, want %v", minutes, want)
		}
		if got := files(t, dir); !slices.Contains(got, kept[0]) || len(got) != 2 {
			t.Errorf("kept %v", got)
		}
		st := s.Status()
		if st.Failures != 10 || st.Error != m.fail.Error() || st.Copies != 1 || st.Since.IsZero() || !st.Next.After(time.Now()) {
			t.Errorf("status %+v", st)
		}
		m.fail = nil
		runFor(t, s, time.Hour)
		if st := s.Status(); st.Failures != 0 || st.Error != "" || !st.Since.IsZero() || st.Copies != 1 || st.Failed != 10 {
			t.Errorf("after it succeeded: %+v", st)
		}
		if got := files(t, dir); len(got) != 1 || got[0] == kept[0] {
			t.Errorf("kept %v", got)
		}
	})
}

// Copies that a clock which ran ahead named neither put the next one off nor push
// out those that are made now.
func TestCopiesFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, m := t.TempDir(), &maker{}
		for i := range 3 {
			put(t, dir, Name(id, time.Now().AddDate(1, i, 0)))
		}
		s := newSchedule(dir, m, 24*time.Hour, 2)
		runFor(t, s, 49*time.Hour)
		if len(m.tried) != 3 {
			t.Errorf("%d copies in 49 hours", len(m.tried))
		}
		if got, want := files(t, dir), []string{Name(id, m.tried[1]), Name(id, m.tried[2])}; !slices.Equal(got, want) {
			t.Errorf("kept %v, want %v", got, want)
		}
	})
}

func TestNoCopyBeforeThereIsSomethingToCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, m, ready := t.TempDir(), &maker{}, false
		s := New(Config{Dir: dir, Every: time.Hour, Keep: 1, ID: id}, m, func() bool { return ready }, slog.New(slog.DiscardHandler))
		runFor(t, s, 3*time.Hour)
		if len(m.tried) > 0 {
			t.Errorf("a copy was made before: %v", m.tried)
		}
		ready = true
		runFor(t, s, time.Minute)
		if len(m.tried) != 1 {
			t.Errorf("%d copies", len(m.tried))
		}
	})
}

func TestADirectoryThatCannotBeUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := newSchedule(dir, &maker{}, time.Hour, 1)
		runFor(t, s, 90*time.Second)
		if st := s.Status(); st.Failures != 2 || !strings.Contains(st.Error, dir) {
			t.Errorf("status %+v", st)
		}
	})
}
