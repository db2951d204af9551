package checkout

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ContentText and Changes have the same idea of what is equal.
func TestContentTextAgreesWithChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"metadata", "customer_details", "shipping", "total_details", "line_items", "payment_method_types", "amount_total", "customer", "unknown"}).Draw(t, "name")
		from, to := drawField(t, name, "from"), drawField(t, name, "to")
		if rapid.Bool().Draw(t, "respelled") {
			to = parseField(t, name, respell(t, decodeField(t, from, name)))
		}
		changes, err := Changes(from.Object, to.Object)
		if err != nil {
			t.Fatal(err)
		}
		a, b := contentOf(t, from, name), contentOf(t, to, name)
		if (a == b) != (len(changes) == 0) {
			t.Fatalf("%s and %s, changes %v\n%s\n%s", a, b, changes, from.Object, to.Object)
		}
		if (from.Hash == to.Hash) != (len(changes) == 0) {
			t.Fatalf("equal hashes: %t, changes %v\n%s\n%s", from.Hash == to.Hash, changes, from.Object, to.Object)
		}
		previous, err := PreviousAttributes(changes)
		if err != nil {
			t.Fatal(err)
		}
		before, err := Previous(to.Object, previous)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Changes(from.Object, before); err != nil || len(back) > 0 {
			t.Fatalf("the earlier object is not given back by %s: %v, %v\n%s\n%s", previous, back, err, from.Object, to.Object)
		}
	})
}

// Content that is only written in another way is no change, at any depth.
func TestRespellingIsNoChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := anyMembers(3).Draw(t, "members")
		members["id"], members["created"] = "cs_1", json.Number("1709889908")
		delete(members, "status")
		delete(members, "payment_status")
		from, err := Parse(encode(members))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := decodeObject(from.Object)
		if err != nil {
			t.Fatal(err)
		}
		to, err := Parse([]byte(respell(t, stored)))
		if err != nil {
			t.Fatal(err)
		}
		changes, err := Changes(from.Object, to.Object)
		if err != nil || len(changes) > 0 || from.Hash != to.Hash {
			t.Fatalf("changes %v, %v, equal hashes: %t\n%s\n%s", changes, err, from.Hash == to.Hash, from.Object, to.Object)
		}
	})
}

func drawField(t *rapid.T, name, label string) Session {
	value := anyValue(3).Draw(t, label)
	if object, ok := value.(map[string]any); ok {
		delete(object, fieldCreated) // of which unequal texts may be the same time
	}
	return parseField(t, name, string(encode(value)))
}

func parseField(t *rapid.T, name, value string) Session {
	s, err := Parse(fmt.Appendf(nil, `{"id":"cs_1","created":1709889908,%q:%s}`, name, value))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decodeField(t *rapid.T, s Session, name string) any {
	members, err := decodeObject(s.Object)
	if err != nil {
		t.Fatal(err)
	}
	return members[name]
}

func contentOf(t *rapid.T, s Session, name string) string {
	text, err := ContentText(name, encode(decodeField(t, s, name)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ContentText(name, json.RawMessage(text))
	if err != nil || again != text {
		t.Fatalf("%s is written as %s, %v", text, again, err)
	}
	return text
}

// respell writes a value in another way that says the same.
func respell(t *rapid.T, v any) string {
	blank := rapid.SampledFrom([]string{"null", `""`, "[]", "{}", `{"x":null}`, `[{"y":""},[]]`})
	if empty := !new(writer).canonical(v); empty && v != nil {
		return blank.Draw(t, "blank")
	}
	pad := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, name := range rapid.Permutation(slices.Sorted(maps.Keys(v))).Draw(t, "order") {
			empty := !new(writer).canonical(v[name])
			if empty && rapid.Bool().Draw(t, "leave out") {
				continue
			}
			parts = append(parts, respellText(t, name)+":"+pad+respell(t, v[name]))
		}
		return "{" + strings.Join(parts, ","+pad) + "}"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = respell(t, v[i])
		}
		return "[" + pad + strings.Join(parts, ",") + "]"
	case string:
		if isInteger(v) && rapid.Bool().Draw(t, "as a number") {
			return v + rapid.SampledFrom([]string{"", ".0", "e0"}).Draw(t, "number")
		}
		return respellText(t, v)
	case json.Number:
		if isInteger(v.String()) {
			return rapid.SampledFrom([]string{v.String(), `"` + v.String() + `"`, v.String() + ".0", v.String() + "e0"}).Draw(t, "number")
		}
	}
	return string(encode(v))
}

// respellText writes some characters as escapes.
func respellText(t *rapid.T, text string) string {
	if text == "" || !rapid.Bool().Draw(t, "escaped") {
		return string(encode(text))
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if r < 0x10000 {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		inner := string(encode(string(r)))
		b.WriteString(inner[1 : len(inner)-1])
	}
	b.WriteByte('"')
	return b.String()
}

// Where a text is documented and a number is shown, the number is told as it is worth.
func TestRespelledNumbersInPlaceOfTexts(t *testing.T) {
	for _, item := range []string{
		`"line_items":{"data":[{"amount_total":%s}]}`, `"client_reference_id":%s`, `"metadata":{"n":%s}`, `"unknown":{"n":[%s]}`,
	} {
		show := func(number string) Session {
			s, err := Parse(fmt.Appendf(nil, `{"id":"cs_1","created":1709889908,`+item+`}`, number))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		first := show("20")
		for _, number := range []string{"20.0", "2e1", "200e-1", `"20"`} {
			later := show(number)
			if changes, err := Changes(first.Object, later.Object); err != nil || len(changes) > 0 || first.Hash != later.Hash {
				t.Errorf("%s for 20: %v, %v, equal hashes: %t", fmt.Sprintf(item, number), changes, err, first.Hash == later.Hash)
			}
		}
	}
}
