package main

import (
	"log/slog"
	"strings"
	"testing"

	"checkout-notifier/config"
	"checkout-notifier/loglimit"
)

// What happens again and again is thinned out by the program's own logger, in each format.
func TestTheLogIsThinnedOut(t *testing.T) {
	for _, format := range []string{config.LogText, config.LogJSON} {
		var log strings.Builder
		logger := newLogger(config.Log{Format: format, Level: "info"}, &log)
		for n := range 100 {
			logger.Warn("refused", loglimit.Repeats("refused 503"), slog.Int("attempt", n))
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%s: 100 refusals are %d lines", format, n)
		}
	}
}
