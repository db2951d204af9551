package checkout

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

var verbatimSeeds = []string{
	`{}`, `[]`, `null`, ``, ` {}`, `{"a":1}x`, `{"id":"cs_1","object":"checkout.session","metadata":{"a":"1","b":[{}]},"zz":1,"zzz":-1.50e+3}`,
	`{"object":"x","id":"1"}`, `{"id":"1","id":"2"}`, `{"zz":1,"id":"2"}`, `{"z":1,"a":2}`, `{"metadata":{"b":1,"a":2}}`,
	`{"id":"\u0041"}`, `{"id":"a\"b"}`, `{"id":"é"}`, "{\"id\":\"\xff\"}", "{\"id\":\"\u2028\"}", "{\"id\":\"a\tb\"}", `{"id":"\x"}`, `{"id":"\u12"}`,
	`{"id":01}`, `{"id":-}`, `{"id":1.}`, `{"id":tru}`, `{"id":1,}`, `{"id"1}`, `{"id":}`, `{,}`, `[1,]`, `[1 ,2]`, `{"":1}`, `{"":1,"":2}`, `{"a":{"":1,"":2}}`, "{\"\x7f\":\"\x7f<>&\"}",
	`"` + "abcdefgh\x1f" + `"`, `"abcdefgh"`, `"abcdefg\"`, `1`, `-0`, `1E5`, `true`,
}

func checkVerbatim(t interface {
	Helper()
	Fatalf(string, ...any)
}, raw []byte, fields []string) {
	t.Helper()
	var compact bytes.Buffer
	err := json.Compact(&compact, raw)
	if IsCompact(raw) && (err != nil || !bytes.Equal(compact.Bytes(), raw)) {
		t.Fatalf("%q is not compact: %v", raw, err)
	}
	got, ok := omitVerbatim(raw, fields)
	if !ok {
		return
	}
	want, err := omitDecoded(raw, fields)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%q without %q\n got %q\nwant %q, %v", raw, fields, got, want, err)
	}
}

func TestVerbatimIsWhatWritingAgainGives(t *testing.T) {
	for _, seed := range verbatimSeeds {
		checkVerbatim(t, []byte(seed), []string{"id", "zz", "a"})
	}
	rapid.Check(t, func(t *rapid.T) {
		members := anyMembers(4).Draw(t, "members")
		fields := rapid.SliceOfN(rapid.SampledFrom(append(Fields(), "a", "b", "")), 1, 3).Draw(t, "fields")
		var w writer
		w.object(members, sessionShape.fields)
		checkVerbatim(t, w.out, fields)
		checkVerbatim(t, encode(members), fields)
		// A byte of it changed is most often no JSON, and sometimes another one.
		broken := bytes.Clone(w.out)
		broken[rapid.IntRange(0, len(broken)-1).Draw(t, "at")] = rapid.SampledFrom([]byte("\"\\{}[]:, 0a\x00\xe2\n")).Draw(t, "byte")
		checkVerbatim(t, broken, fields)
	})
}

// What Parse writes takes the quick way: else it would be for nothing.
func TestWhatWeWriteIsVerbatim(t *testing.T) {
	s, err := Parse([]byte(`{"id":"cs_1","created":1773130522000,"status":"open","shipping":{"name":"Zoë","address":{"city":"K"}},
		"line_items":{"data":[{"price":{"unit_amount":1.0}}],"object":"list"},"metadata":{"b":"2","a":"1"},"zusatz":{"b":0.10,"a":null},"anderes":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	if !IsCompact(s.Object) {
		t.Errorf("not compact: %s", s.Object)
	}
	if rest, ok := omitVerbatim(s.Object, []string{"shipping"}); !ok || bytes.Contains(rest, []byte("shipping\":{\"")) {
		t.Errorf("%v: %s", ok, rest)
	}
}

func FuzzVerbatim(f *testing.F) {
	for _, seed := range verbatimSeeds {
		f.Add([]byte(seed), "id")
	}
	f.Fuzz(func(t *testing.T, raw []byte, field string) { checkVerbatim(t, raw, []string{field, "id"}) })
}

func BenchmarkOmit(b *testing.B) {
	var w writer
	members, err := decodeObject([]byte(`{"id":"cs_1","customer_details":{"email":"x@example.com","name":"n"},"metadata":{"a":"1","b":"2"},"status":"open","url":"https://pay.example/1"}`))
	if err != nil {
		b.Fatal(err)
	}
	w.object(members, sessionShape.fields)
	for name, omit := range map[string]func(json.RawMessage, []string) (json.RawMessage, error){"verbatim": Omit, "decoded": omitDecoded} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := omit(w.out, []string{"url", "customer_details"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
