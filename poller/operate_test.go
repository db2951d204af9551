package poller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReportsOfAccountsAreAddedUp(t *testing.T) {
	later := time.Now()
	got := total([]BackfillReport{
		{Pages: 1, Sessions: 2, New: 1, Changed: 1, Events: 3, Silent: 1, Error: "gone", Found: make([]Found, 600)},
		{Pages: 2, Sessions: 3, Reached: later, Found: make([]Found, 600)},
	})
	if len(got.Found) != MostFound {
		t.Errorf("%d sessions are listed", len(got.Found))
	}
	got.Found = nil
	want := BackfillReport{Pages: 3, Sessions: 5, New: 1, Changed: 1, Events: 3, Silent: 1, Reached: later, Error: "gone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
