package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"checkout-notifier/secret"
)

const text = "whsec_canary"

// However a secret is printed, alone or inside something, its text stays out.
func TestNothingPrintsIt(t *testing.T) {
	s := secret.String(text)
	inside := struct {
		S secret.String
		M map[string]secret.String
		L []secret.String
	}{s, map[string]secret.String{"k": s}, []secret.String{s}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "inside", inside)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "inside", inside)
	encoded, err := json.Marshal(inside)
	if err != nil {
		t.Fatal(err)
	}
	for name, printed := range map[string]string{
		"%v": fmt.Sprintf("%v %v", s, inside), "%+v": fmt.Sprintf("%+v %+v", s, inside), "%#v": fmt.Sprintf("%#v %#v", s, inside),
		"%s": fmt.Sprintf("key=%s", s), "%q": fmt.Sprintf("%q", s), "log": log.String(), "JSON": string(encoded),
		"error": fmt.Errorf("refused: %v", s).Error(),
	} {
		if strings.Contains(printed, text) {
			t.Errorf("%s gives it away: %s", name, printed)
		}
		if !strings.Contains(printed, secret.Redacted) && name != "JSON" {
			t.Errorf("%s does not say that something is there: %s", name, printed)
		}
	}
	if s.Reveal() != text {
		t.Errorf("Reveal = %q", s.Reveal())
	}
	if got := secret.String("").String(); got != "" {
		t.Errorf("no secret prints as %q", got)
	}
}

func TestURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://shop.example":               "https://shop.example",
		"https://shop.example/":              "https://shop.example",
		"https://hooks.slack.example/T0/B/x": "https://hooks.slack.example/<redacted>",
		"https://shop.example/?token=x":      "https://shop.example/<redacted>",
		"https://user:pass@shop.example":     "https://shop.example/<redacted>",
		"no url":                             "<redacted>",
		"":                                   "",
	} {
		if got := secret.String(text).URL(); got != want {
			t.Errorf("URL of %q = %q, want %q", text, got, want)
		}
	}
}
