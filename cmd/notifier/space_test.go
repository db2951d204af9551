package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A disk that fills within seconds takes no alert: what was measured counts all
// the same, for the heartbeat does not tell everything is well by a small write
// that still went through.
func TestFullDiskCountsThoughItCannotBeStored(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		var log bytes.Buffer
		w.owner.log = slog.New(slog.NewTextHandler(&log, nil))
		w.run(10*time.Second + time.Millisecond)
		w.free = 0
		for range 5 {
			w.fail = errors.New("no space left on device")
			w.run(ownerEvery / 2)
			w.expect()
			w.expectMeasured("store store")
		}
		w.free = roomAgain(w.size) - 1 // the alert is stored now, and says since when
		w.run(ownerEvery / 2)
		w.expect("store.low_space store")
		w.expectOpen("store store")
		w.free++
		w.run(ownerEvery + time.Millisecond)
		w.expectOpen()
		w.expectMeasured()

		w.free, w.fail = 0, errors.New("no space left on device")
		w.run(ownerEvery / 2)
		w.expectMeasured("store store")
		w.free = roomAgain(w.size)
		w.run(ownerEvery + time.Millisecond)
		w.expect("store.low_space store") // of which nobody needs to hear any more
		w.expectMeasured()
		if want := "there was too little, and the alert of it could not be stored: nobody was told"; !strings.Contains(log.String(), want) {
			t.Errorf("the log says %s\nwant %s", log.String(), want)
		}
	})
}

func (w *ownerWorld) expectMeasured(want ...string) {
	w.t.Helper()
	var got []string
	for _, c := range w.owner.open() {
		got = append(got, c.Kind+" "+c.Subject)
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		w.t.Errorf("open: %q, want %q", got, want)
	}
}
