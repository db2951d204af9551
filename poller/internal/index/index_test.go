package index

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"checkout-notifier/event"
)

// naive is what the index must do, done simply.
type naive map[string]*naiveEntry

type naiveEntry struct {
	row    event.Tracked
	pass   uint32
	misses uint8
	ending bool
	tried  time.Time
}

func (n naive) byAge() []*naiveEntry {
	return slices.SortedFunc(maps.Values(n), func(a, b *naiveEntry) int {
		return compareAge(second(a.row.Created), a.row.ID, second(b.row.Created), b.row.ID)
	})
}

func (n naive) forget(before time.Time) {
	maps.DeleteFunc(n, func(_ string, e *naiveEntry) bool {
		return second(e.row.Created).Before(time.Unix(before.Unix(), 0)) && !e.revisited()
	})
}

func (e *naiveEntry) revisited() bool {
	if e.row.Watch == event.Vanished {
		return e.row.Status != "expired" && (e.row.Status != "complete" || e.row.PaymentStatus != "paid")
	}
	return e.row.Watch.Is(event.Watched) || e.row.Held
}

// second rounds down, also before 1970, and moves to what an entry can hold.
func second(t time.Time) time.Time {
	return time.Unix(min(max(t.Unix(), 0), 1<<32-1), 0).UTC()
}

func roundUp(t time.Time) time.Time {
	if t.Nanosecond() > 0 {
		t = t.Add(time.Second)
	}
	return second(t)
}

func drawID(t *rapid.T) string {
	digits := rapid.SampledFrom([]string{
		"0", "1", "7", "10", "00", "007", "2031282752732528640", "2031282752732528641", "18446744073709551615",
		"18446744073709551616", "99999999999999999999", "018446744073709551615", "340282366920938463463374607431768211456",
	})
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string { return "cs_" + digits.Draw(t, "digits") }),
		rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("cs_", rapid.IntRange(90, 120).Draw(t, "number")) }),
		digits,
		rapid.StringMatching(`cs_test_[a-zA-Z0-9]{1,3}`),
		rapid.StringMatching(`[a-h]{1,2}[0-9]{1,2}`), // more prefixes than are kept
		rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat("x", rapid.SampledFrom([]int{31, 32, 33, 254}).Draw(t, "length")) + "1"
		}),
		rapid.SampledFrom([]string{"", "é", "é1", "cs_٣", "cs_１２", "\xff1", "cs_-1", "cs_+1", "cs_ 1", "_"}),
		rapid.String(),
	).Draw(t, "id")
}

var somewhen = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func drawTime(t *rapid.T, what string) time.Time {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) time.Time {
			return somewhen.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "ms")) * time.Millisecond)
		}),
		rapid.SampledFrom([]time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(-1, 5).UTC(), time.Unix(1<<32, 1).UTC(), somewhen.Add(999_999_999)}),
	).Draw(t, what)
}

func drawRow(t *rapid.T) event.Tracked {
	word := rapid.SampledFrom([]string{"open", "complete", "expired", "paid", "unpaid", "", "a word of the future"})
	return event.Tracked{
		ID: drawID(t), Created: drawTime(t, "created"), ExpiresAt: drawTime(t, "expires"), CompleteAt: drawTime(t, "complete"),
		LookedAt: drawTime(t, "looked"), ScanHash: rapid.Uint64().Draw(t, "hash"), Status: word.Draw(t, "status"), PaymentStatus: word.Draw(t, "payment"),
		Watch: rapid.SampledFrom([]event.Watch{"", event.Watched, event.Settled, event.GivenUp, event.Vanished}).Draw(t, "watch"),
		Held:  rapid.Bool().Draw(t, "held"),
	}
}

func TestIndexIsAMapInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model := New(), make(naive)
		store := func(row event.Tracked) {
			e := model[row.ID]
			if e == nil {
				e = &naiveEntry{}
				model[row.ID] = e
			}
			e.row = row
			x.Put(&row)
		}
		pick := func(t *rapid.T) *naiveEntry {
			all := model.byAge()
			if len(all) == 0 {
				store(drawRow(t))
				all = model.byAge()
			}
			return all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) { // several, so that the order has a tail to merge
				for range rapid.IntRange(1, 30).Draw(t, "rows") {
					store(drawRow(t))
				}
			},
			"update": func(t *rapid.T) {
				row := drawRow(t)
				row.ID = pick(t).row.ID
				store(row)
			},
			"pass": func(t *rapid.T) {
				e := pick(t)
				e.pass, e.misses = rapid.Uint32().Draw(t, "pass"), rapid.Byte().Draw(t, "misses")
				e.ending, e.tried = rapid.Bool().Draw(t, "ending"), drawTime(t, "tried")
				e.row.LookedAt, e.row.Watch = drawTime(t, "looked"), event.Vanished
				got := x.Get(e.row.ID)
				got.Pass, got.Misses = e.pass, e.misses
				got.SetEnding(e.ending)
				got.SetTried(e.tried)
				got.SetLooked(e.row.LookedAt)
				x.SetWatch(e.row.ID, e.row.Watch)
			},
			"forget": func(t *rapid.T) {
				before := drawTime(t, "before")
				x.Forget(before)
				model.forget(before)
			},
			"miss": func(t *rapid.T) {
				if id := drawID(t); model[id] == nil && (x.Get(id) != nil || x.Find([]byte(id)) != nil) {
					t.Fatalf("%q is known", id)
				}
			},
			"look": func(t *rapid.T) { // before anything else sorts
				e := pick(t)
				checkEntry(t, x, x.Find([]byte(e.row.ID)), e)
			},
			"": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "check") {
					checkIndex(t, x, model)
				}
			},
		})
		checkIndex(t, x, model)
	})
}

func checkIndex(t *rapid.T, x *Index, model naive) {
	all := model.byAge()
	if x.Len() != len(all) {
		t.Fatalf("%d entries instead of %d", x.Len(), len(all))
	}
	checkRevisited(t, x, all)
	for i, want := range all {
		e := x.At(i)
		if got := x.Get(want.row.ID); got != e {
			t.Fatalf("at %d is %q instead of %q", i, x.ID(e), want.row.ID)
		}
		if got := x.Position(e); got != i {
			t.Fatalf("%q stands at %d, not at %d", want.row.ID, got, i)
		}
		checkEntry(t, x, e, want)
		for _, moment := range []time.Time{want.row.Created, second(want.row.Created), want.row.Created.Add(time.Millisecond)} {
			found := slices.IndexFunc(all, func(e *naiveEntry) bool { return !second(e.row.Created).Before(moment) })
			if found < 0 {
				found = len(all)
			}
			if got := x.Search(moment); got != found {
				t.Fatalf("search %v = %d, want %d", moment, got, found)
			}
		}
		neighbour := ""
		for _, newer := range all[i+1:] {
			if newer.row.Watch != event.Vanished && newer.misses == 0 {
				neighbour = newer.row.ID
				break
			}
		}
		if got := x.NewerNeighbour(e); got != neighbour {
			t.Fatalf("after %q comes %q, want %q", want.row.ID, got, neighbour)
		}
	}
}

func checkRevisited(t *rapid.T, x *Index, all []*naiveEntry) {
	var watched []uint32
	for slot := range x.Revisited() {
		watched = append(watched, slot)
	}
	entries := x.NewestFirst(watched)
	for _, want := range all {
		if !want.revisited() {
			continue
		}
		if len(entries) == 0 || x.ID(entries[len(entries)-1]) != want.row.ID {
			t.Fatalf("%q is looked at again, and is not in its place among those that are", want.row.ID)
		}
		entries = entries[:len(entries)-1]
	}
	if len(entries) > 0 {
		t.Fatalf("%q is not looked at again", x.ID(entries[0]))
	}
}

func checkEntry(t *rapid.T, x *Index, e *Entry, want *naiveEntry) {
	if e == nil {
		t.Fatalf("%q is not known", want.row.ID)
	}
	type facts struct {
		id, status, payment     string
		created, expiry, giveUp time.Time
		looked, tried           time.Time
		hash                    uint64
		pass                    uint32
		misses                  uint8
		held, ending            bool
		watch                   event.Watch
	}
	known := func(t time.Time, precision time.Duration) time.Time {
		if kept := second(t); kept.Unix() != t.Unix() {
			t = kept
		}
		if t = t.Truncate(precision); t.UnixMilli() == 0 {
			return time.Time{}
		}
		return t
	}
	const unpaidFor = 36 * time.Hour
	got := facts{
		x.ID(e), x.Status(e), x.Payment(e), e.Created(), e.Expiry(), e.GiveUpAt(unpaidFor), e.LookedAt(), e.TriedAt(),
		e.ScanHash, e.Pass, e.Misses, e.IsHeld(), e.IsEnding(), e.watch(),
	}
	row := &want.row
	wanted := facts{
		row.ID, row.Status, row.PaymentStatus, second(row.Created), roundUp(row.Expiry()), roundUp(row.GiveUpAt(0)).Add(unpaidFor),
		known(row.LookedAt, time.Millisecond), known(want.tried, time.Second),
		row.ScanHash, want.pass, want.misses, row.Held, want.ending, row.Watch,
	}
	if got != wanted {
		t.Fatalf("got  %+v\nwant %+v", got, wanted)
	}
}

// TestIndexGrowsAndShrinks keeps two kinds of ids through many sizes of the table.
func TestIndexGrowsAndShrinks(t *testing.T) {
	x := New()
	id := func(i int) string {
		if i%10 == 0 {
			return fmt.Sprintf("cs_test_%x", i*7919)
		}
		return fmt.Sprint("cs_", 2031282752732528640+int64(i)*37)
	}
	const n = 20_000
	for i := range n {
		x.Put(&event.Tracked{ID: id(i), Created: somewhen.Add(time.Duration(i) * time.Second), Watch: event.Settled})
	}
	known := func(from int) {
		t.Helper()
		if x.Len() != n-from {
			t.Fatalf("%d entries", x.Len())
		}
		for i := range n {
			e := x.Get(id(i))
			if (e != nil) != (i >= from) || (e != nil && (x.ID(e) != id(i) || x.At(i-from) != e)) {
				t.Fatalf("session %d of those from %d on is not found, or another", i, from)
			}
		}
	}
	known(0)
	aside := len(x.ids.aside)
	for _, from := range []int{1, 1000, n / 2, n - 300, n - 3, n} {
		x.Forget(somewhen.Add(time.Duration(from) * time.Second))
		known(from)
	}
	for _, s := range x.slabs.list {
		if s != nil {
			t.Fatal("memory of forgotten sessions is kept")
		}
	}
	for i := range n {
		x.Put(&event.Tracked{ID: id(i), Created: somewhen.Add(time.Duration(n-i) * time.Second)})
	}
	if x.Len() != n || x.ID(x.At(0)) != id(n-1) || len(x.ids.aside) != aside {
		t.Errorf("%d entries again, the oldest %q, %d ids aside", x.Len(), x.ID(x.At(0)), len(x.ids.aside))
	}
}

// TestIndexHasFewWords: a status beyond those that fit never looks unchanged.
func TestIndexHasFewWords(t *testing.T) {
	x := New()
	for i := range 1000 {
		row := event.Tracked{ID: fmt.Sprint("cs_", i), Status: fmt.Sprint("status", i), PaymentStatus: "paid"}
		if i == 999 {
			row.Status = "complete"
		}
		e := x.Put(&row)
		if got := x.Status(e); got != row.Status && got != "\xff" {
			t.Fatalf("%q became %q", row.Status, got)
		}
		if x.Payment(e) != "paid" {
			t.Fatalf("payment %q", x.Payment(e))
		}
	}
	if e := x.Get("cs_999"); x.Status(e) != "complete" {
		t.Errorf("a status that decisions depend on has no room")
	}
}

func TestEntriesAreSmall(t *testing.T) {
	if size := unsafe.Sizeof(Entry{}); size > 48 {
		t.Errorf("an entry has %d bytes", size)
	}
	x := New()
	row := event.Tracked{ID: "cs_2031282752732528640", Created: somewhen, Status: "open", PaymentStatus: "unpaid"}
	x.Put(&row)
	known, unknown := []byte(row.ID), []byte("cs_test_a1B2")
	x.Put(&event.Tracked{ID: string(unknown)})
	for name, work := range map[string]func(){
		"find":   func() { x.Find(known); x.Find(unknown); x.Find(known[:7]) },
		"get":    func() { x.Get(row.ID) },
		"update": func() { x.Put(&row) },
	} {
		if n := testing.AllocsPerRun(100, work); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
