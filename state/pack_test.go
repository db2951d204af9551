package state

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/event"
)

// draw fills a value by chance, or, if every is set, each of its fields with
// something: a field that is not written shows then.
func draw(t *rapid.T, v reflect.Value, every bool) {
	some := func() bool { return every || rapid.Bool().Draw(t, "set") }
	switch v.Interface().(type) {
	case time.Time:
		if some() {
			at := time.Unix(rapid.Int64Range(-1e10, 1e11).Draw(t, "seconds"), rapid.Int64Range(1, 1e9-1).Draw(t, "ns"))
			v.Set(reflect.ValueOf(at.UTC()))
		}
		return
	case json.RawMessage:
		if some() {
			v.Set(reflect.ValueOf(json.RawMessage(rapid.SampledFrom([]string{`{"a":[1,"<\u2028>"]}`, `null`, `0`, `"x"`}).Draw(t, "json"))))
		}
		return
	case []byte:
		if some() {
			v.SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "bytes"))
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if some() {
			v.SetString(rapid.StringN(1, 200, 400).Draw(t, "text"))
		}
	case reflect.Bool:
		v.SetBool(some())
	case reflect.Int, reflect.Int64:
		if some() {
			v.SetInt(rapid.Int64().Filter(func(n int64) bool { return n != 0 }).Draw(t, "number"))
		}
	case reflect.Pointer:
		if some() {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem(), every)
		}
	case reflect.Slice:
		if some() {
			v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(1, 3).Draw(t, "length"), 3))
			for i := range v.Len() {
				draw(t, v.Index(i), every)
			}
		}
	case reflect.Map:
		if some() {
			v.Set(reflect.ValueOf(rapid.MapOfN(rapid.String(), rapid.String(), 1, 3).Draw(t, "map")))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i), every)
		}
	default:
		t.Fatalf("a field of kind %s is not drawn", v.Kind())
	}
}

// Every field of a record comes back, those that a later version adds too: or
// this fails until they are written.
func TestPackedRecordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := rapid.Bool().Draw(t, "every")
		var d, gotDelivery event.Delivery
		draw(t, reflect.ValueOf(&d).Elem(), every)
		row, err := pack([]byte("8 bytes."), &d, deliveryFields)
		if err == nil {
			err = unpack(row[8:], &gotDelivery, deliveryFields)
		}
		if diff := cmp.Diff(d, gotDelivery); diff != "" || err != nil {
			t.Fatalf("delivery: %v (-want +got):\n%s", err, diff)
		}
		var a, gotAttempt event.Attempt
		draw(t, reflect.ValueOf(&a).Elem(), every)
		if row, err = pack(nil, &a, attemptFields); err == nil {
			err = unpack(row, &gotAttempt, attemptFields)
		}
		if diff := cmp.Diff(a, gotAttempt); diff != "" || err != nil {
			t.Fatalf("attempt: %v (-want +got):\n%s", err, diff)
		}
		var e, gotEvent event.Event
		draw(t, reflect.ValueOf(&e).Elem(), every)
		rows := newEncoder()
		if row, err = rows.event(&e); err == nil {
			err = decodeEvent(row, &gotEvent)
		}
		if diff := cmp.Diff(e, gotEvent); diff != "" || err != nil {
			t.Fatalf("event: %v (-want +got):\n%s", err, diff)
		}
	})
}

// Spans are kept by builds for 32 bits too, whose int holds two seconds.
func TestPackedSpans(t *testing.T) {
	for _, span := range []time.Duration{0, -time.Nanosecond, 2 * time.Second, 3 * time.Second, 30 * 24 * time.Hour, math.MaxInt64, math.MinInt64} {
		want := event.Attempt{Duration: span}
		row, err := pack(nil, &want, attemptFields)
		if err != nil {
			t.Fatal(err)
		}
		var got event.Attempt
		if err := unpack(row, &got, attemptFields); err != nil || got.Duration != span {
			t.Errorf("%s comes back as %s (%v)", span, got.Duration, err)
		}
	}
}

// A file of schema 1 has them as JSON.
func TestRecordsInJSONAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d, got, want event.Delivery
		draw(t, reflect.ValueOf(&d).Elem(), false)
		row, err := event.Marshal(&d)
		if err != nil {
			t.Skip(err)
		}
		if err := json.Unmarshal(row, &want); err != nil {
			t.Fatal(err)
		}
		if err := unpack(row, &got, deliveryFields); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestTimesOutOfRangeAreNotPacked(t *testing.T) {
	d := event.Delivery{Due: time.Unix(1<<50, 0)}
	if _, err := pack(nil, &d, deliveryFields); err == nil {
		t.Error("it was packed")
	}
}

func FuzzUnpack(f *testing.F) {
	row, err := pack(nil, &event.Delivery{ID: "dlv_1", Rules: []string{"ship"}, Labels: map[string]string{"a": "b"}}, deliveryFields)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte{packed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, row []byte) {
		var d event.Delivery
		if unpack(row, &d, deliveryFields) == nil && len(row) > 0 && row[0] == packed {
			if again, err := pack(nil, &d, deliveryFields); err != nil {
				t.Errorf("what was read cannot be written: %v (%x)", err, again)
			}
		}
		var a event.Attempt
		_ = unpack(row, &a, attemptFields) // an error, never a panic
	})
}

func BenchmarkDeliveryRecord(b *testing.B) {
	at := time.Date(2026, 11, 26, 10, 0, 0, 123, time.UTC)
	d := event.Delivery{
		ID: event.DeliveryID("evt_x", "shop", ""), EventID: "evt_bxqe23r7okim5jee6swma7jlmt", EventType: event.Fulfillable, Account: "main",
		Session: "cs_2031282752732528640", Destination: "fulfilment", Rules: []string{"ship"}, Labels: map[string]string{"severity": "page"},
		Ordered: true, Created: at, Due: at, Status: event.StatusPending,
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := pack(nil, &d, deliveryFields); err != nil {
				b.Fatal(err)
			}
		}
	})
	row, _ := pack(nil, &d, deliveryFields)
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got event.Delivery
			if err := unpack(row, &got, deliveryFields); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read JSON", func(b *testing.B) {
		row, _ := event.Marshal(&d)
		for b.Loop() {
			var got event.Delivery
			if err := unpack(row, &got, deliveryFields); err != nil {
				b.Fatal(err)
			}
		}
	})
}
