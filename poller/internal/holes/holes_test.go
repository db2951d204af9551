package holes_test

import (
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
)

func at(second int64) time.Time { return time.Unix(second, 0) }

// A hole is cut into exactly the seconds for which the API does not answer, with not many
// questions; the pieces between them are all the rest, and none is asked for with one of
// those seconds in its range.
func TestCutAndPieces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const from, to = 1000, 3000 // seconds
		broken := rapid.SliceOfNDistinct(rapid.Int64Range(from, to), 1, 8, rapid.ID).Draw(rt, "broken")
		lo, hi := slices.Min(broken), slices.Max(broken)
		answers := func(a, b time.Time) bool {
			return !slices.ContainsFunc(broken, func(s int64) bool {
				return (a.IsZero() || s >= a.Unix()) && (b.IsZero() || s <= b.Unix())
			})
		}
		asked := 0
		whole := event.Hole{AboveAt: at(hi), BelowAt: at(lo - 1), Error: "boom"}
		parts, _, err := holes.Cut(whole, func(a, b time.Time) (answered, shown bool, err error) {
			asked++
			return answers(a, b), false, nil
		}, func() bool { return false })
		if err != nil {
			rt.Fatal(err)
		}
		if most := 1 + 2*len(broken)*bits.Len64(uint64(to-from)); asked > most {
			rt.Errorf("%d questions for %d seconds", asked, len(broken))
		}
		for s := int64(from - 5); s < to+5; s++ {
			in := slices.ContainsFunc(parts, func(h event.Hole) bool { return s > h.BelowAt.Unix() && s <= h.AboveAt.Unix() })
			if in != slices.Contains(broken, s) {
				rt.Fatalf("second %d: in a part %t, parts %v", s, in, parts)
			}
		}
		all := holes.Replace([]event.Hole{whole}, whole, parts)
		if len(all) != len(parts) || !slices.EqualFunc(all, parts, func(x, y event.Hole) bool { return x == y }) {
			rt.Fatalf("%v became %v", parts, all)
		}
		below, above := at(rapid.Int64Range(from-50, to).Draw(rt, "lo")), time.Time{}
		if rapid.Bool().Draw(rt, "ends") {
			above = at(rapid.Int64Range(below.Unix(), to+50).Draw(rt, "hi"))
		}
		covered := make(map[int64]bool)
		pieces := holes.Pieces(all, below, above, true)
		for _, p := range pieces {
			a, b := holes.Ask(all, p.Lo, p.Hi)
			if !answers(a, b) && (len(pieces) > 1 || answers(below, above)) {
				rt.Errorf("a range from %d to %d is asked for, broken are %v", a.Unix(), b.Unix(), broken)
			}
			for s := a.Unix(); s < to+60 && (b.IsZero() || s <= b.Unix()); s++ {
				covered[s] = true
			}
		}
		for s := below.Unix(); s < to+60 && (above.IsZero() || s <= above.Unix()); s++ {
			if !covered[s] && !slices.Contains(broken, s) {
				rt.Fatalf("second %d is in no piece %v between %d and %d", s, pieces, below.Unix(), above.Unix())
			}
		}
	})
}

// The API is asked in whole seconds: a range that begins within the second above a hole, as the
// low mark does, must not ask for the second of the hole again.
func TestPiecesBeginAboveAHole(t *testing.T) {
	all := []event.Hole{{AboveAt: at(2000), BelowAt: at(1999)}, {AboveAt: at(1000), BelowAt: at(999)}}
	for _, lo := range []time.Duration{0, time.Millisecond, 400 * time.Millisecond, 999 * time.Millisecond, time.Second, 1400 * time.Millisecond, 1999 * time.Millisecond} {
		for _, p := range holes.Pieces(all, at(1000).Add(lo), at(3000), true) {
			from, to := holes.Ask(all, p.Lo, p.Hi)
			for _, broken := range []int64{1000, 2000} {
				if from.Unix() <= broken && broken <= to.Unix() {
					t.Errorf("from %s above the hole on: a range from %d to %d is asked for", lo, from.Unix(), to.Unix())
				}
			}
		}
	}
}

// Where the filter is exact, a range up to a second has only the beginning of that second: a
// session in the rest of it is found all the same, and nothing else stays in the hole.
func TestCutByAnExactFilter(t *testing.T) {
	broken := at(2000).Add(700 * time.Millisecond)
	whole := event.Hole{AboveAt: at(2000), BelowAt: at(1000), Error: "boom"}
	parts, rest, err := holes.Cut(whole, func(a, b time.Time) (answered, shown bool, err error) {
		return broken.Before(a) || broken.After(b), false, nil
	}, func() bool { return false })
	want := []event.Hole{{AboveAt: at(2000), BelowAt: at(1999), Error: "boom"}}
	if diff := cmp.Diff(want, parts); diff != "" || !rest || err != nil {
		t.Errorf("the rest is to be read: %t; %v; -want +got:\n%s", rest, err, diff)
	}
}

// Of too many holes older ones become one, and no long one as long as others are shorter; the
// newest stay as they are. What was joined is told until it is cut to what cannot be shown.
func TestFew(t *testing.T) {
	const n = 3 * holes.Most
	var all []event.Hole
	for i := range int64(n) {
		all, _, _ = holes.With(all, event.Hole{AboveAt: at(1000 + 10*i), BelowAt: at(999 + 10*i)})
	}
	if len(all) != n {
		t.Fatalf("%d of %d holes are left", len(all), n)
	}
	few := holes.Few(all)
	if len(few) != holes.Most || !slices.Equal(few[:holes.Most/2], all[:holes.Most/2]) {
		t.Errorf("the newest of %d are %v", len(few), few[:holes.Most/2])
	}
	for i := range all {
		if !slices.ContainsFunc(few, func(h event.Hole) bool { return holes.Holds(&h, all[i].AboveAt) }) {
			t.Errorf("%v is in no hole", all[i])
		}
	}
	var joined *event.Hole
	for i := range few {
		if d := few[i].AboveAt.Sub(few[i].BelowAt); few[i].Joined != (d > time.Second) || d > 100*time.Second {
			t.Errorf("joined %t: %v", few[i].Joined, few[i])
		}
		if few[i].Joined && joined == nil {
			joined = &few[i]
		}
	}
	if err := holes.Apart(few, joined.AboveAt.Add(-time.Second)); err == nil {
		t.Error("it is not told that some were joined")
	}
	if err := holes.Apart(few, joined.AboveAt); err != nil {
		t.Errorf("some that are older were joined: %v", err)
	}
	broken := func(from, to time.Time) (answered, shown bool, err error) {
		return !slices.ContainsFunc(all, func(h event.Hole) bool { return !h.AboveAt.Before(from) && !h.AboveAt.After(to) }), false, nil
	}
	asked := 0
	for _, most := range []int{5, 1000} {
		parts, _, err := holes.Cut(*joined, broken, func() bool { asked++; return asked > most })
		left := holes.Apart(parts, time.Time{})
		if err != nil || (left == nil) != (most > 100) {
			t.Errorf("cut for %d steps into %v: %v, told %v", most, parts, err, left)
		}
	}
	if got := holes.Few(all[:holes.Most]); !slices.Equal(got, all[:holes.Most]) {
		t.Errorf("%d holes are not too many, and became %v", holes.Most, got)
	}
}

// A range tells the holes that it touches, and no others.
func TestUnread(t *testing.T) {
	all := []event.Hole{
		{Below: "cs_9", BelowAt: at(9000)},
		{AboveAt: at(7200), BelowAt: at(3600)},
		{Above: "cs_2", AboveAt: at(2000), Below: "cs_1", BelowAt: at(1999)},
		{Above: "cs_0", AboveAt: at(1000)},
	}
	texts := []string{
		"from the newest session down to cs_9 of 1970-01-01T02:30:00Z",
		"from 1970-01-01T02:00:00Z down to 1970-01-01T01:00:00Z (1h0m0s)",
		"from cs_2 of 1970-01-01T00:33:20Z down to cs_1 of 1970-01-01T00:33:19Z (1s)",
		"from cs_0 of 1970-01-01T00:16:40Z down to the end of the list",
	}
	for _, tt := range []struct {
		since, until time.Time
		want         []string
	}{
		{at(1), time.Time{}, texts},
		{at(1), at(8000), texts[1:]},
		{at(3000), at(4000), texts[1:2]},
		{at(7201), at(8999), nil},
		{at(2000), at(3000), texts[2:3]},
	} {
		if got := holes.Unread(all, tt.since, tt.until); !slices.Equal(got, tt.want) {
			t.Errorf("from %d to %d: %q, want %q", tt.since.Unix(), tt.until.Unix(), got, tt.want)
		}
	}
}
