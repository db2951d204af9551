package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestInitShipsNothingOld runs what init writes on an account that had orders
// today: they are recorded, and nobody is told of them.
func TestInitShipsNothingOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for range 3 {
		fields := paid()
		fields["created"] = ago(60e9)
		w.create(fields)
	}
	code, p := run(t, w.dir, nil, "init")
	wantExit(t, p, code, 0)
	text := strings.Replace(p.stdout.String(), "    start: now", "    base_url: "+w.apiURL+"\n    start: now", 1)
	if err := os.WriteFile(w.configPath(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"WOOSHPAY_SECRET_KEY=" + apiKey, "SHOP_WEBHOOK_URL=" + w.hookURL, "SHOP_WEBHOOK_SECRET=whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
	}
	code, p = run(t, w.dir, environ, "run", "--once", "-c", w.configPath())
	wantExit(t, p, code, 0)
	if got := w.receiver.Requests(); len(got) > 0 {
		t.Errorf("%d old orders were shipped", len(got))
	}
	code, p = run(t, w.dir, environ, "status", "-c", w.configPath(), "-o", "json")
	if code != 0 || !strings.Contains(p.stdout.String(), `"settled": 3`) {
		t.Errorf("the sessions were not recorded: %s", p.stdout)
	}
}
