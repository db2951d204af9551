package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What a daemon was asked for may happen although its answer is late.
func TestALateDaemonMayStillAct(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	c := &client{base: server.URL}
	c.http.Timeout = 50 * time.Millisecond
	for method, still := range map[string]bool{http.MethodPost: true, http.MethodGet: false} {
		err := c.send(t.Context(), method, "/api/v1/destinations/shop/pause", nil, nil)
		if err == nil || exitCode(err) != exitUnreachable || !errors.Is(err, errNoDaemon) ||
			!strings.Contains(err.Error(), "did not answer within 50ms") || strings.Contains(err.Error(), "it may still do what was asked") != still {
			t.Errorf("%s: %v", method, err)
		}
	}
}
