package e2e

import (
	"os"
	"path/filepath"
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
	elsewhere := t.TempDir() // its state stays beside the file
	code, p = run(t, elsewhere, environ, "run", "--once", "-c", w.configPath())
	wantExit(t, p, code, 0)
	path := filepath.Join(filepath.Dir(w.configPath()), "data", "notifier.db")
	if text := p.stderr.String(); !strings.Contains(text, `"level":"WARN","msg":"a new state file was made`) || !strings.Contains(text, `"state":"`+path+`"`) {
		t.Errorf("it does not say that it made %s: %s", path, text)
	}
	code, p = run(t, t.TempDir(), environ, "run", "--once", "-c", w.configPath())
	wantExit(t, p, code, 0)
	if text := p.stderr.String(); strings.Contains(text, "a new state file") || !strings.Contains(text, `"state":"`+path+`"`) {
		t.Errorf("the second time it says %s", text)
	}
	if got := w.receiver.Requests(); len(got) > 0 {
		t.Errorf("%d old orders were shipped", len(got))
	}
	code, p = run(t, w.dir, environ, "status", "-c", w.configPath(), "-o", "json")
	if code != 0 || !strings.Contains(p.stdout.String(), `"settled": 3`) {
		t.Errorf("the sessions were not recorded: %s", p.stdout)
	}
}
