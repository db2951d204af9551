package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"checkout-notifier/event"
)

// A snapshot's row is what encoding/json makes of the whole record, byte for byte,
// and an event comes back as it would from such a row, which schema 1 had.
func TestEncoderAgreesWithMarshal(t *testing.T) {
	shared := json.RawMessage(` {"object": 0, "id":"<&>\u2028", "a":[ 1 , 2 ]} `)
	rows := newEncoder()
	for name, object := range map[string]json.RawMessage{
		"shared": shared, "shared again": shared, "a part of it": shared[:len(shared)-1], "nil": nil, "null": json.RawMessage("null"),
		"hole": json.RawMessage("0"), "text": json.RawMessage(`"\"object\":0"`),
		"empty": {}, "broken": shared[:len(shared)-2], "two": json.RawMessage("{}{}"), "blank": json.RawMessage(" "),
	} {
		odd := `"object":0` // in what stands before it
		s := event.Snapshot{Account: odd, ID: odd, Status: odd, Mode: odd, Object: object, Counts: map[string]int{`"object":0`: 1}, Created: time.Unix(1, 5)}
		e := event.Event{ID: odd, Type: odd, Account: odd, Session: odd, Object: object, PreviousAttributes: json.RawMessage(`{ "object":0 }`), Reason: odd,
			Change: &event.Change{Field: odd, From: json.RawMessage("[ 1 ]"), To: json.RawMessage(" 2")}}
		check := func(what string, got []byte, err error, record any) {
			t.Helper()
			want, wantErr := event.Marshal(record)
			if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
				t.Errorf("%s of %s\n     %s, %v\nnot  %s, %v", what, name, got, err, want, wantErr)
			}
		}
		got, err := rows.snapshot(&s)
		check("snapshot", got, err, &s)
		var again, before event.Event
		row, err := rows.event(&e)
		whole, wantErr := event.Marshal(&e)
		if (err == nil) != (wantErr == nil) {
			t.Errorf("event of %s: %v, want %v", name, err, wantErr)
		}
		if err != nil {
			continue
		}
		if err := errors.Join(decodeEvent(row, &again), decodeEvent(whole, &before)); err != nil {
			t.Errorf("event of %s: %v", name, err)
		}
		got, err = event.Marshal(&again)
		check("event", got, err, &before)
		// A body quotes what was read as it is: see event.Match.Stored.
		for _, read := range []*event.Event{&again, &before} {
			for _, raw := range []json.RawMessage{read.Object, read.PreviousAttributes, read.Change.From, read.Change.To} {
				var compact bytes.Buffer
				if err := json.Compact(&compact, raw); raw != nil && (err != nil || !bytes.Equal(compact.Bytes(), raw)) {
					t.Errorf("event of %s has %s: %v", name, raw, err)
				}
			}
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	rows := newEncoder()
	row, err := rows.event(&event.Event{ID: "evt_1", Object: json.RawMessage(`{"id":"cs_1"}`)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte(`{"id":"evt_1"}`))
	f.Add([]byte{packed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(_ *testing.T, row []byte) {
		var e event.Event
		_ = decodeEvent(row, &e) // an error, never a panic
	})
}
