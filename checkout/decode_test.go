package checkout

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// compareDecoders holds Decode to what encoding/json reads.
func compareDecoders(t interface {
	Helper()
	Fatalf(string, ...any)
}, raw []byte) {
	t.Helper()
	given := bytes.Clone(raw)
	got, err := Decode(raw)
	want, wantErr := decodeStandard(raw)
	if (err == nil) != (wantErr == nil) || (err != nil && err.Error() != wantErr.Error()) {
		t.Fatalf("%q: %v, not %v", raw, err, wantErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q\n     %#v\nnot  %#v", raw, got, want)
	}
	for i := range raw { // nothing of the result may lie in the answer's buffer
		raw[i] ^= 1
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q shares memory with what is read from it", given)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range oddValues {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { compareDecoders(t, raw) })
}

var oddValues = []string{
	` {"id" : "cs_1", "a":[ ],"o":{ },"n":[0,-0,1.5e+3,1E9,12345678901234567890], "t":true,"f":false,"z":null} `,
	`{"id":1,"id":2,"x":{"created":1},"\u0069d":"e\u00e9\ud83d\ude00\ud800","q":"\"\\\\\/\b"}`,
	"{\"a\":\"\x01\"}", "{\"a\":\"\xff\xc3\xa9\"}", "\"\xe2\x80\xa8\"", `"a\x"`, `"a`, `"a\`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`, `[1,]`, `[,1]`,
	`[1 2]`, `{"a" 1}`, `{"a":1 "b":2}`, `01`, `1.`, `.5`, `+1`, `-`, `1e`, `tru`, `nul`, `nulll`, `True`, `NaN`, ``, ` `, `{}{}`, `{}]`, `[}`, `{]`, `]`, `1 2`,
	`{"a":[{"b":[{}]}]}`, "\ufeff{}", "[1,\v2]", `""`, `{"":""}`,
}

func TestDecodeOddValues(t *testing.T) {
	for _, seed := range oddValues {
		compareDecoders(t, []byte(seed))
	}
	deep := func(n int) []byte {
		return append(bytes.Repeat([]byte("["), n), bytes.Repeat([]byte("]"), n)...)
	}
	for _, n := range []int{1, deepest, deepest + 1, deepest + 2, 9_999, 10_000, 10_001} {
		compareDecoders(t, deep(n))
	}
}

// What is read is what was written, also when bytes of it are lost or others.
func TestDecodeAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(encode(anyMembers(4).Draw(t, "members")))
		compareDecoders(t, bytes.Clone(raw))
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		compareDecoders(t, append(bytes.Clone(raw[:at]), raw[at+1:]...))
		other := rapid.SampledFrom([]byte("\"\\{}[],:0e. \n\x00\xff")).Draw(t, "byte")
		compareDecoders(t, append(append(bytes.Clone(raw[:at]), other), raw[at+1:]...))
	})
}
