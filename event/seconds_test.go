package event_test

import (
	"encoding/json"
	"testing"
	"time"

	"checkout-notifier/event"
)

func TestSecondsAreNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", time.Hour: "3600", 1500 * time.Millisecond: "1.5", -2 * time.Second: "-2", time.Nanosecond: "0.000000001",
		400 * 24 * time.Hour: "34560000",
	} {
		text, err := json.Marshal(event.Seconds(d))
		if err != nil || string(text) != want {
			t.Errorf("%v is written as %s, %v, want %s", d, text, err, want)
		}
		var back event.Seconds
		if err := json.Unmarshal(text, &back); err != nil || back.Duration() != d {
			t.Errorf("%s is read as %v, %v", text, back.Duration(), err)
		}
	}
	if err := json.Unmarshal([]byte(`"1s"`), new(event.Seconds)); err == nil {
		t.Error("a text is read as a number")
	}
}
