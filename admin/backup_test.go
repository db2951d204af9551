package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"checkout-notifier/admin"
	"checkout-notifier/secret"
)

// closing notes that it was closed.
type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error { *c.closed = true; return nil }

func (o *operator) Backup(_ context.Context, actor string) (io.ReadCloser, string, int64, error) {
	if o.broken != nil {
		return nil, "", 0, o.broken
	}
	closed := false
	o.actor, o.asked = actor, &closed
	return closing{strings.NewReader("the store"), &closed}, "notifier-0a1b2c3d-20261122T100000Z.db", 9, nil
}

func TestBackup(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.Tokens = []admin.Token{
		{Name: "look", Token: secret.String("viewer-token-123"), Role: admin.RoleViewer},
		{Name: "act", Token: secret.String("operator-token-1"), Role: admin.RoleOperator},
	}
	d := &daemon{}
	server := serve(t, cfg, d)
	for token, want := range map[string]int{"": 401, "viewer-token-123": 403} {
		if status, answer, _ := ask(t, server, request{path: "/api/v1/state/backup", token: token}); status != want || strings.Contains(answer, "the store") {
			t.Errorf("with the token %q: %d %s, want %d", token, status, answer, want)
		}
	}
	status, answer, header := ask(t, server, request{path: "/api/v1/state/backup", token: "operator-token-1"})
	if status != http.StatusOK || answer != "the store" || header.Get("Content-Length") != "9" || header.Get("Content-Type") != "application/octet-stream" ||
		header.Get("Content-Disposition") != `attachment; filename="notifier-0a1b2c3d-20261122T100000Z.db"` {
		t.Errorf("%d %q %v", status, answer, header)
	}
	if closed, ok := d.asked.(*bool); d.actor != "act" || !ok || !*closed {
		t.Errorf("actor %q, closed %v", d.actor, d.asked)
	}
	d.broken = fmt.Errorf("%w: a backup is being made", admin.ErrConflict)
	if status, answer, _ := ask(t, server, request{path: "/api/v1/state/backup", token: "operator-token-1"}); status != 409 || !strings.Contains(answer, "being made") {
		t.Errorf("while another is made: %d %s", status, answer)
	}
}
