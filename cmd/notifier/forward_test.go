package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/config"
)

// What is forwarded in Stripe's format has a name there, and by default makes a
// handler act once; who asks for more is warned as by check.
func TestForwardChoosesEvents(t *testing.T) {
	for _, tt := range []struct {
		format, asked string
		want          []string
		says          string // on stderr
		warns         bool   // of acting twice
	}{
		{"stripe", "", []string{"fulfillable", "expired"}, "", false},
		{"stripe", "checkout.session.fulfillable", []string{"fulfillable"}, "", false},
		{"stripe", "fulfillable,created,paid", []string{"fulfillable"}, "left out, for Stripe has no such event: created, paid", false},
		{"stripe", "fulfillable,completed", []string{"fulfillable", "completed"}, "", true},
		{"stripe", "*", []string{"completed", "expired", "fulfillable"}, "left out", true},
		{"stripe", "created", nil, "", false},
		{"cloudevents", "", nil, "", false},
		{"cloudevents", "created", []string{"created"}, "", false},
	} {
		var said bytes.Buffer
		a := &app{streams: streams{err: &said}}
		o := forwardOptions{to: "http://127.0.0.1:1/", key: "sk_test_1", interval: "5s", format: tt.format}
		if tt.asked != "" {
			o.events = strings.Split(tt.asked, ",")
		}
		err := a.chooseEvents(&o)
		var coded *exitError
		if nothing := tt.format == "stripe" && tt.want == nil; nothing {
			if !errors.As(err, &coded) || coded.code != exitUsage {
				t.Errorf("%s %q: %v", tt.format, tt.asked, err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, o.events); err != nil || diff != "" || !strings.Contains(said.String(), tt.says) || (tt.says == "" && said.Len() > 0) {
			t.Errorf("%s %q: %v, says %q (-want +got):\n%s", tt.format, tt.asked, err, said.String(), diff)
		}
		source, err := forwardConfig(o, forwardSecret(o.key), "n.db")
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := config.Load(config.Options{Source: source, Name: "forward"})
		if err != nil {
			t.Fatalf("%s %q: %v", tt.format, tt.asked, err)
		}
		warned := false
		for _, w := range loaded.Warnings {
			warned = warned || strings.Contains(w.Message, "act twice")
			if strings.Contains(w.Message, "Stripe does not know") {
				t.Errorf("%s %q: %s", tt.format, tt.asked, w.Message)
			}
		}
		if warned != tt.warns {
			t.Errorf("%s %q: warned %t, want %t: %v", tt.format, tt.asked, warned, tt.warns, loaded.Warnings)
		}
	}
}
