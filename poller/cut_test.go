package poller_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// ranged is an API that fails over each range of its list in which a session stands that
// it cannot show, on whatever page.
type ranged struct {
	*world
	l       *listing
	mu      sync.Mutex
	broken  map[string]bool
	ignores string // a bound of creation times that it ignores, gte or lte
	hangs   bool   // it does not answer instead of failing
	cut     bool   // it takes the range from its store and cuts the page later: no cursor leads past a broken one
	status  int    // of a failure; 0: 500
	pages   bool   // it fails only over pages that hold the session
	ms      bool   // it takes bounds of creation times for milliseconds
	listing bool   // the key may list sessions only, and gets a 403 for a single one
	away    bool
	hiccup  string               // the next question with this in it is not answered
	n       int                  // of sessions
	paid    map[string]time.Time // when the others were ordered
	waited  map[string]time.Duration
}

var (
	limits  = regexp.MustCompile(`"limit":\d+`)
	bounds  = regexp.MustCompile(`"(gte|lte)":"(\d+)\d\d\d"`)
	cursors = regexp.MustCompile(`"starting_after":"[^"]*"`)
)

func (w *world) ranged() *ranged {
	r := &ranged{world: w, l: newListing(), broken: make(map[string]bool), paid: make(map[string]time.Time), waited: make(map[string]time.Duration), n: 1000}
	w.cfg.Poll.RateLimit = 5
	w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
		status, body := r.answer(req)
		if status == 0 {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		w.mu.Lock()
		w.requests++
		w.mu.Unlock()
		return (&recorder{header: make(http.Header), status: status, body: []byte(body)}).response(req)
	})
	for range 30 {
		r.order()
		time.Sleep(time.Minute)
	}
	clear(r.paid) // they are older than the account's start
	return r
}

// answer is the answer to a request, 0 is none.
func (r *ranged) answer(req *http.Request) (status int, answer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return http.StatusServiceUnavailable, "away"
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	if r.hiccup != "" && bytes.Contains(body, []byte(r.hiccup)) {
		r.hiccup = ""
		return http.StatusInternalServerError, "boom"
	}
	if r.listing && !isList(req) {
		return http.StatusForbidden, "this key may list sessions only"
	}
	if r.ms {
		body = bounds.ReplaceAll(body, []byte(`"$1":"$2"`))
	}
	if r.ignores != "" {
		body = bytes.ReplaceAll(body, []byte(r.ignores), []byte("nothing"))
	}
	ask := func(body []byte) (int, string) {
		asked := req.Clone(req.Context())
		asked.Body = io.NopCloser(bytes.NewReader(body))
		return r.l.within(asked)
	}
	status, answer = ask(body)
	whole := limits.ReplaceAll(body, []byte(`"limit":100000`))
	if r.cut {
		whole = cursors.ReplaceAll(whole, []byte(`"nothing":""`))
	}
	_, all := ask(whole)
	if r.pages {
		all = answer
	}
	for id := range r.broken {
		if strings.Contains(all, fmt.Sprintf("%q", id)) {
			if r.hangs {
				return 0, ""
			}
			return cmp.Or(r.status, http.StatusInternalServerError), "boom"
		}
	}
	return status, answer
}

func (r *ranged) order() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	id := fmt.Sprintf("cs_%d", r.n)
	r.l.order(id, "complete", "paid")
	r.paid[id] = time.Now()
	return id
}

func (r *ranged) breaks() string {
	id := r.order()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken[id] = true
	delete(r.paid, id)
	return id
}

// heal lets sessions be shown from now on.
func (r *ranged) heal(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.broken, id)
		r.paid[id] = time.Now()
	}
}

// countAnew returns how many requests there were, and counts from zero.
func (r *ranged) countAnew() (n int) {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	n, r.requests = r.requests, 0
	return n
}

// late lists the orders that were not told within a time.
func (r *ranged) late(most time.Duration) (ids []string) {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	for id, at := range r.paid {
		if time.Since(at) > most && !slices.Contains(r.events[id], "fulfillable") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (r *ranged) once() {
	r.t.Helper()
	for id, types := range r.events {
		slices.Sort(types)
		if n := len(types); n != len(slices.Compact(slices.Clone(types))) {
			r.t.Errorf("%s was told more than once: %v", id, types)
		}
	}
}

// Each order is told within seconds that stands in another second than a session over
// which the API fails in whatever range it is asked for: those that came while nobody
// asked, between such sessions and above them, and those that come later. Each of these
// sessions is told when it can be shown, however long the others cannot.
func TestOrdersAroundSessionsThatNoRangeShows(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		broken  []int // of 60 orders, one each four seconds
		ignores string
		hangs   bool
		cut     bool
		found   time.Duration // until the others are told; 0: they are not before the broken ones can be shown
		kept    bool          // notifier runs meanwhile
		away    bool          // as long as the API is away
		restart bool
		known   bool          // the newest session that is known before is broken as well
		own     time.Duration // by how much our own clock is ahead
		most    int           // requests in a minute in the end
	}{
		"one":                                 {broken: []int{2}, found: 10 * time.Second, most: 24},
		"one, restarted":                      {broken: []int{2}, found: 10 * time.Second, restart: true, most: 24},
		"one, the last":                       {broken: []int{59}, found: 10 * time.Second, most: 24},
		"two":                                 {broken: []int{2, 40}, found: 20 * time.Second, most: 24},
		"three":                               {broken: []int{2, 3, 40}, found: 20 * time.Second, most: 24},
		"three, restarted":                    {broken: []int{2, 30, 58}, found: 20 * time.Second, restart: true, most: 24},
		"eight":                               {broken: []int{2, 5, 9, 20, 33, 40, 41, 58}, found: 60 * time.Second, most: 36},
		"three, after an outage":              {broken: []int{2, 30, 58}, found: 120 * time.Second, kept: true, away: true, most: 24},
		"three, while it is asked":            {broken: []int{2, 30, 58}, found: 20 * time.Second, kept: true, most: 24},
		"one that hangs":                      {broken: []int{2}, found: 80 * time.Second, hangs: true, most: 24},
		"two that hang":                       {broken: []int{2, 40}, found: 2 * time.Minute, hangs: true, most: 24},
		"one, created[lte] is ignored":        {broken: []int{2}, ignores: "lte", found: 20 * time.Second, most: 40},
		"one, created[gte] is ignored":        {broken: []int{2}, ignores: "gte", most: 60},
		"two, created[lte] is ignored":        {broken: []int{2, 40}, ignores: "lte", most: 40},
		"two, created[gte] is ignored":        {broken: []int{2, 40}, ignores: "gte", most: 60},
		"many, one after the other":           {broken: []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, found: 90 * time.Second, most: 60},
		"a known one and a later one":         {broken: []int{40}, known: true, found: 30 * time.Second, most: 24},
		"two, our clock is ahead":             {broken: []int{2, 40}, found: 30 * time.Second, own: 480 * time.Hour, most: 24},
		"two, our clock is behind":            {broken: []int{2, 40}, found: 90 * time.Second, own: -480 * time.Hour, most: 24},
		"one, whatever the cursor":            {broken: []int{2}, cut: true, found: 30 * time.Second, most: 24},
		"one, whatever the cursor, meanwhile": {broken: []int{2}, cut: true, kept: true, found: 10 * time.Second, most: 24},
		"two, whatever the cursor":            {broken: []int{2, 40}, cut: true, found: 30 * time.Second, most: 24},
		"one, and later many":                 {broken: []int{2}, found: 10 * time.Second, kept: true, most: 24},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.own = scene.own
				r := w.ranged()
				r.ignores = scene.ignores
				p := w.poller()
				stop := w.start(p)
				time.Sleep(time.Minute)
				if !scene.kept {
					stop()
				}
				r.mu.Lock()
				r.hangs, r.cut, r.away = scene.hangs, scene.cut, scene.away
				r.mu.Unlock()
				var broken []string
				if scene.known {
					broken = append(broken, fmt.Sprintf("cs_%d", r.n))
					r.mu.Lock()
					r.broken[broken[0]] = true
					r.mu.Unlock()
				}
				for i := range 60 {
					if slices.Contains(scene.broken, i) {
						broken = append(broken, r.breaks())
					} else {
						r.order()
					}
					time.Sleep(4 * time.Second)
				}
				r.mu.Lock()
				r.away = false
				below := make(map[string]time.Time)
				if last := r.l.created[broken[len(broken)-1]]; scene.ignores == "lte" { // nothing shows what is below
					for id, at := range r.paid {
						if at.Unix() < last {
							below[id] = at
							delete(r.paid, id)
						}
					}
				}
				r.mu.Unlock()
				if !scene.kept {
					p = w.poller()
					stop = w.start(p)
				}
				checks := func(what string, d, most time.Duration) {
					t.Helper()
					for end := time.Now().Add(d); time.Now().Before(end); {
						r.order()
						time.Sleep(10 * time.Second)
						if late := r.late(most); len(late) > 0 && scene.found > 0 {
							t.Fatalf("%s: of %d orders %d were not told within %s: %v; %+v", what, len(r.paid), len(late), most, late, p.Status()[0])
						}
					}
				}
				time.Sleep(scene.found)
				if late := r.late(0); len(late) > 0 && scene.found > 0 {
					t.Fatalf("of %d orders %d are not told: %v; %+v", len(r.paid), len(late), late, p.Status()[0])
				}
				checks("at first", 3*time.Minute, 35*time.Second)
				if scene.restart {
					stop()
					p = w.poller()
					stop = w.start(p)
				}
				checks("later", 12*time.Minute, 35*time.Second)
				r.countAnew()
				checks("in the end", 10*time.Minute, 35*time.Second)
				st, requests := p.Status()[0], r.countAnew()
				if requests/10 > scene.most || (scene.found > 0 && (!st.Healthy || len(st.Holes) == 0 || time.Since(st.Low) > time.Minute)) {
					t.Errorf("%d requests in a minute, healthy %t (%s), low mark %s, holes %+v", requests/10, st.Healthy, st.Error, st.Low, st.Holes)
				}
				t.Logf("%d requests in a minute, %d holes: %+v", requests/10, len(st.Holes), st.Holes)
				r.heal(broken[0])
				if scene.known { // it is older than the account's start
					delete(r.paid, broken[0])
				}
				checks("one is healed", 15*time.Minute, 12*time.Minute)
				r.heal(broken[1:]...)
				checks("all are healed", 20*time.Minute, 18*time.Minute)
				time.Sleep(30 * time.Second)
				stop()
				maps.Copy(r.paid, below)
				if late := r.late(0); len(late) > 0 {
					t.Errorf("%v are never told", late)
				}
				if st := p.Status()[0]; len(st.Holes) > 0 || !st.Healthy {
					t.Errorf("all can be shown again: healthy %t (%s), holes %+v", st.Healthy, st.Error, st.Holes)
				}
				r.once()
			})
		})
	}
}

// A known session over which each range of the list fails from some moment on, in or below
// what each pass reads, holds nothing up either: neither orders, nor reconciliations and
// backfills, and what was known beside it is looked at in the list as before.
func TestKnownSessionThatNoRangeShows(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]int{"the newest": 1, "in what passes read": 5, "below that": 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.ranged()
				p := w.poller()
				stop := w.start(p)
				defer func() { stop() }()
				time.Sleep(time.Minute)
				for range 30 {
					r.order()
					time.Sleep(time.Minute)
				}
				r.mu.Lock()
				id := fmt.Sprintf("cs_%d", r.n-back)
				r.broken[id] = true
				r.l.set(id, time.Unix(r.l.created[id], 0), "open", "unpaid")
				r.mu.Unlock()
				for range 180 {
					r.order()
					time.Sleep(time.Minute)
					if late := r.late(35 * time.Second); len(late) > 0 {
						t.Fatalf("%v are not told; %+v", late, p.Status()[0])
					}
				}
				r.countAnew()
				time.Sleep(time.Hour)
				st, requests := p.Status()[0], r.countAnew()
				if n := requests / 60; n > 13 || !st.Healthy || time.Since(st.Reconciled) > 62*time.Minute {
					t.Errorf("%d requests in a minute, healthy %t (%s), reconciled %s", n, st.Healthy, st.Error, st.Reconciled)
				}
				for _, h := range st.Holes {
					if h.Session == "" && (h.AboveAt.IsZero() || h.AboveAt.Sub(h.BelowAt) > 2*time.Minute) {
						t.Errorf("the hole is %+v", h)
					}
				}
				t.Logf("%d requests in a minute, holes %+v", requests/60, st.Holes)
				if report, err := p.Backfill(t.Context(), poller.Backfill{Since: time.Now().Add(-5 * time.Hour)}, nil); err != nil {
					t.Errorf("backfill: %v, %+v", err, report)
				}
				r.mu.Lock()
				r.l.set(id, time.Unix(r.l.created[id], 0), "complete", "paid")
				r.mu.Unlock()
				r.heal(id)
				time.Sleep(2 * time.Hour)
				if st := p.Status()[0]; len(st.Holes) > 0 || !st.Healthy {
					t.Errorf("it can be shown again: healthy %t (%s), holes %+v", st.Healthy, st.Error, st.Holes)
				}
				r.once()
			})
		})
	}
}
