package spelling_test

import (
	"testing"

	"checkout-notifier/spelling"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b        string
		limit, want int
	}{
		{"status", "status", 3, 0},
		{"staus", "status", 3, 1},
		{"sttaus", "status", 3, 1}, // a swap is one slip
		{"mode", "node", 3, 1},
		{"größe", "grösse", 3, 2}, // letters count, not bytes
		{"", "ab", 3, 2},
		{"currency", "country", 3, 3},
		{"a", "abcdefgh", 3, 3},
	} {
		if got := spelling.Distance(c.a, c.b, c.limit); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := spelling.Distance(c.b, c.a, c.limit); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
