package poller

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/index"
)

// fewest is the least number of pages that show all due places of a list, of
// which hidden ones take no room: by trying every first page.
func fewest(due, listed []bool, size int) int {
	known := make(map[int]int)
	var from func(int) int
	from = func(place int) int { // all above are shown
		for place >= 0 && !due[place] {
			place--
		}
		if place < 0 {
			return 0
		}
		if n, ok := known[place]; ok {
			return n
		}
		best := len(due)
		for first := place; first < len(due); first++ { // a page may begin above
			end, left := first, size
			for ; end >= 0 && left > 0; end-- {
				if listed[end] {
					left--
				}
			}
			if end < place {
				best = min(best, 1+from(end))
			}
		}
		known[place] = best
		return best
	}
	return from(len(due) - 1)
}

// TestCoverIsTheFewestPages against a search through all covers.
func TestCoverIsTheFewestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &account{cfg: Account{Poll: DefaultPoll()}, index: index.New()}
		size := rapid.IntRange(1, 5).Draw(t, "page size")
		a.cfg.Poll.Tuning.PageSize = size
		n := rapid.IntRange(0, 24).Draw(t, "sessions")
		isDue, isListed := make([]bool, n), make([]bool, n)
		for i := range n {
			row := event.Tracked{ID: fmt.Sprint("cs_", i), Created: time.Unix(int64(1e9+i/3), 0), Status: "open", Watch: event.Watched}
			isListed[i] = rapid.IntRange(0, 4).Draw(t, "listed") > 0
			isDue[i] = isListed[i] && rapid.IntRange(0, 3).Draw(t, "due") == 0
			if !isListed[i] {
				row.Watch = event.Vanished
			}
			a.index.Put(&row)
		}
		var due []*index.Entry
		for i := n - 1; i >= 0; i-- {
			if isDue[i] {
				due = append(due, a.index.Get(fmt.Sprint("cs_", i)))
			}
		}
		r := &revisit{account: a, ctx: t.Context(), asked: make(map[*index.Entry]bool)}
		if r.cover(due) != (len(due) > 0) {
			t.Fatalf("cover of %d", len(due))
		}
		if want := fewest(isDue, isListed, size); len(r.pages) != want {
			t.Fatalf("%d pages, %d would do: due %v, listed %v", len(r.pages), want, isDue, isListed)
		}
		shown := make(map[int]bool)
		for _, e := range r.pages {
			for place, left := a.index.Position(e), size; place >= 0 && left > 0; place-- {
				if isListed[place] {
					left--
				}
				shown[place] = true
			}
		}
		for i, d := range isDue {
			if d && !shown[i] {
				t.Fatalf("place %d is on no page: due %v, listed %v", i, isDue, isListed)
			}
		}
		if !slices.IsSortedFunc(r.pages, func(x, y *index.Entry) int { return cmp.Compare(a.index.Position(y), a.index.Position(x)) }) {
			t.Fatal("the newest is not asked for first")
		}
	})
}
