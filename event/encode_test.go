package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reference is the body as encoding/json makes it.
func reference(e *Event, m Match, omit []string) (cloudEvent, data []byte, err error) {
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	m.Rules, m.Overtook = append([]string{}, m.Rules...), append([]string{}, m.Overtook...)
	if data, err = referenceData(e, m, omit); err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, a := range e.Attributes() {
		name, _ := Marshal(a.Name)
		value, _ := Marshal(a.Value)
		fmt.Fprintf(&b, "%s:%s,", name, value)
		if a.Name == "account" {
			fmt.Fprintf(&b, `"livemode":%t,`, e.Livemode)
		}
	}
	fmt.Fprintf(&b, `"data":%s}`, data)
	return b.Bytes(), data, nil
}

func referenceData(e *Event, m Match, omit []string) ([]byte, error) {
	if e.IsSystem() {
		match, err := Marshal(m)
		if err != nil {
			return nil, err
		}
		if string(e.System) == "{}" {
			return fmt.Appendf(nil, `{"match":%s}`, match), nil
		}
		return fmt.Appendf(nil, `%s,"match":%s}`, e.System[:len(e.System)-1], match), nil
	}
	object, previous, err := e.omit(omit)
	if err != nil {
		return nil, err
	}
	d := struct {
		Object             json.RawMessage `json:"object"`
		PreviousAttributes json.RawMessage `json:"previous_attributes"`
		Change             *Change         `json:"change"`
		Revision           int             `json:"revision"`
		Inferred           bool            `json:"inferred"`
		Unexpected         bool            `json:"unexpected"`
		Async              bool            `json:"async"`
		Reason             string          `json:"reason"`
		OccurredAfter      string          `json:"occurred_after,omitempty"`
		OccurredBefore     string          `json:"occurred_before"`
		Match              Match           `json:"match"`
	}{
		Object: object, PreviousAttributes: previous, Change: e.Change,
		Revision: e.Revision, Inferred: e.Inferred, Unexpected: e.Unexpected, Async: e.Async, Reason: e.Reason,
		OccurredBefore: FormatTime(e.OccurredBefore), Match: m,
	}
	if e.Change != nil && slices.Contains(omit, e.Change.Field) {
		d.Change = &Change{Field: e.Change.Field}
	}
	if !e.OccurredAfter.IsZero() {
		d.OccurredAfter = FormatTime(e.OccurredAfter)
	}
	return Marshal(d)
}

// raws are JSON values as they may be stored: compact, with white space, unusual
// and broken.
var raws = rapid.OneOf(
	rapid.SampledFrom([]json.RawMessage{
		nil, {}, json.RawMessage(`null`), json.RawMessage(`{}`), json.RawMessage(` { "id" : "a b" , "n":[1, 2]} `), json.RawMessage(`{"id":`),
		json.RawMessage(`{"id":"<&>\u2028\"\\"}`), json.RawMessage("{\"id\":\"\u2028\xff\"}"), json.RawMessage(`"x"`), json.RawMessage(`1 2`),
		json.RawMessage(`{"url":"https://pay.example/1","status":"open","id":"cs_1"}`), json.RawMessage(`{"id":"cs_1","status":"open","url":null,"x":1e5}`),
	}),
	rapid.Custom(func(t *rapid.T) json.RawMessage {
		members := rapid.MapOf(rapid.SampledFrom([]string{"id", "status", "url", "zz", "é"}), rapid.String()).Draw(t, "members")
		raw, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}),
)

// asStored says whether the JSON of an event is as the store keeps it.
func asStored(e *Event) bool {
	list := []json.RawMessage{e.Object, e.PreviousAttributes}
	if e.Change != nil {
		list = append(list, e.Change.From, e.Change.To)
	}
	return !slices.ContainsFunc(list, func(raw json.RawMessage) bool {
		var compact bytes.Buffer
		return raw != nil && (len(raw) == 0 || json.Compact(&compact, raw) != nil || !bytes.Equal(compact.Bytes(), raw))
	})
}

func TestAppendedBodiesAreThoseOfEncodingJSON(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "main", "<é>", "\xff", "\u2029\x7f"}))
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
		})
		e := &Event{
			ID: texts.Draw(t, "id"), Type: texts.Draw(t, "type"), Account: texts.Draw(t, "account"), Session: texts.Draw(t, "session"),
			Livemode: rapid.Bool().Draw(t, "livemode"), Time: moment.Draw(t, "time"), Revision: rapid.IntRange(0, math.MaxInt).Draw(t, "revision"),
			Position: rapid.IntRange(0, 200).Draw(t, "position"), Object: raws.Draw(t, "object"), PreviousAttributes: raws.Draw(t, "previous"),
			Inferred: rapid.Bool().Draw(t, "inferred"), Async: rapid.Bool().Draw(t, "async"), Reason: texts.Draw(t, "reason"), OccurredBefore: moment.Draw(t, "before"),
		}
		if rapid.Bool().Draw(t, "changed") {
			e.Change = &Change{Field: rapid.SampledFrom([]string{"status", "url"}).Draw(t, "field"), From: raws.Draw(t, "from"), To: raws.Draw(t, "to")}
		}
		if rapid.Bool().Draw(t, "seen") {
			e.OccurredAfter = moment.Draw(t, "after")
		}
		if rapid.Bool().Draw(t, "system") {
			e.Type, e.Subject, e.System = DestinationFailing, texts.Draw(t, "subject"), json.RawMessage(`{"summary":"x"}`)
		}
		m := Match{
			Rules: rapid.SliceOf(texts).Draw(t, "rules"), Overtook: rapid.SliceOf(texts).Draw(t, "overtook"),
			Labels: rapid.MapOf(texts, texts).Draw(t, "labels"),
		}
		omit := rapid.SliceOfN(rapid.SampledFrom([]string{"url", "status", "zz"}), 0, 2).Draw(t, "omit")
		body, data, wantErr := reference(e, m, omit)
		gotBody, err := e.CloudEvent(m, omit)
		gotData, dataErr := e.Data(m, omit)
		if (err != nil) != (wantErr != nil) || (dataErr != nil) != (wantErr != nil) {
			t.Fatalf("errors %v and %v, want %v", err, dataErr, wantErr)
		}
		if !bytes.Equal(body, gotBody) || !bytes.Equal(data, gotData) {
			t.Fatalf("\n got %s\nwant %s", gotBody, body)
		}
		if wantErr != nil || !asStored(e) {
			return
		}
		m.Stored = true
		gotBody, err = e.CloudEvent(m, omit)
		gotData, dataErr = e.Data(m, omit)
		if err := errors.Join(err, dataErr); err != nil || !bytes.Equal(body, gotBody) || !bytes.Equal(data, gotData) {
			t.Fatalf("as stored: %v\n got %s\nwant %s", err, gotBody, body)
		}
	})
}

func BenchmarkEncodingJSON(b *testing.B) {
	e := &Event{
		ID: "evt_1", Type: Paid, Account: "main", Session: "cs_1", Object: json.RawMessage(`{"id":"cs_1","note":"` + string(bytes.Repeat([]byte("a"), 3000)) + `"}`),
		PreviousAttributes: json.RawMessage(`{"payment_status":"unpaid"}`), Revision: 3, Position: 1,
	}
	for name, encode := range map[string]func() error{
		"appended":  func() error { _, err := e.CloudEvent(Match{}, nil); return err },
		"reference": func() error { _, _, err := reference(e, Match{}, nil); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := encode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
