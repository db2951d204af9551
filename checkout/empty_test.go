package checkout

import "testing"

// Empty agrees with what counts as no change from a missing value.
func TestEmptyIsEqualToMissing(t *testing.T) {
	for text, want := range map[string]bool{
		`null`: true, `""`: true, `[]`: true, `{}`: true, `[null,"",[{}]]`: true, `{"a":null,"b":{"c":[""]}}`: true,
		`0`: false, `false`: false, `" "`: false, `[0]`: false, `{"a":{"b":[false]}}`: false, `{"a":null,"b":"x"}`: false,
	} {
		v, err := Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if Empty(v) != want || equal(v, nil) != want {
			t.Errorf("%s: empty %t, equal to a missing one %t, want %t", text, Empty(v), equal(v, nil), want)
		}
	}
}
