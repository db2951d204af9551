package personal_test

import (
	"encoding/json"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/personal"
)

func TestMasks(t *testing.T) {
	for text, want := range map[string]string{
		"mail a.b@x.example now":               "mail a***@x.example now",
		"see https://pay.example/cs_1?k=2, ok": "see https://pay.example/*** ok",
		"at http://127.0.0.1:80/ and no more":  "at http://127.0.0.1:80/ and no more",
		"nothing":                              "nothing",
		"+a@x.example, %@x.example":            "+***@x.example, %@x.example", // the second is nobody's
	} {
		if got := personal.Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	c := personal.Change(&event.Change{Field: "customer_email", From: json.RawMessage(`null`), To: json.RawMessage(`"joe@x.example"`)})
	if string(c.From) != "null" || string(c.To) != `"j***@x.example"` {
		t.Errorf("change from %s to %s", c.From, c.To)
	}
	if got := personal.Session(json.RawMessage(`{"amount_total":9007199254740993,"a":[{"url":"http://x.example/1"}]}`)); string(got) != `{"a":[{"url":"http://x.example/***"}],"amount_total":9007199254740993}` {
		t.Errorf("session %s", got)
	}
}
