package checkout

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumberIsWrittenInOneWay(t *testing.T) {
	for want, spellings := range map[string][]string{
		"1":                     {"1", "1.0", "1e0", "1E+0", "10e-1", "0.1e1", "1.000"},
		"-1":                    {"-1", "-1.0", "-10e-1"},
		"0":                     {"0", "-0", "0.0", "0e99", "-0.00e-7"},
		"1.5":                   {"1.5", "1.50", "15e-1", "0.15e1"},
		"0.05":                  {"0.05", "5e-2", "0.050"},
		"100":                   {"100", "1e2", "1.00e2"},
		"9223372036854775807":   {"9223372036854775807", "9.223372036854775807e18"},
		"1e25":                  {"1e25", "10000000000000000000000000", "0.1e26"},
		"1e-30":                 {"1e-30", "0.000000000000000000000000000001"},
		"1e999999999":           {"1e999999999"},
		"1e99999999999999999":   {"1e99999999999999999"},
		"12345678901234567891":  {"12345678901234567891", "1.2345678901234567891e19"},
		"1234567890123456789e1": {"12345678901234567890", "1.234567890123456789e19"},
	} {
		for _, text := range spellings {
			if got := number(text); got != want {
				t.Errorf("%s is written %s, want %s", text, got, want)
			}
		}
	}
}

// Two numbers are written alike exactly if they are equal.
func TestNumberIsExact(t *testing.T) {
	digits := rapid.StringMatching("[0-9]{0,22}")
	text := rapid.Custom(func(t *rapid.T) string {
		whole := strings.TrimLeft(digits.Draw(t, "whole"), "0")
		if whole == "" {
			whole = "0"
		}
		text := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign") + whole
		if fraction := digits.Draw(t, "fraction"); fraction != "" {
			text += "." + fraction
		}
		if rapid.Bool().Draw(t, "scaled") {
			text += fmt.Sprintf("e%d", rapid.IntRange(-30, 30).Draw(t, "exponent"))
		}
		return text
	})
	value := func(t *rapid.T, text string) *big.Rat {
		r, ok := new(big.Rat).SetString(text)
		if !ok || !json.Valid([]byte(text)) {
			t.Fatalf("%s is no number", text)
		}
		return r
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if value(t, number(a)).Cmp(value(t, a)) != 0 {
			t.Fatalf("%s became %s", a, number(a))
		}
		if equal := value(t, a).Cmp(value(t, b)) == 0; equal != (number(a) == number(b)) {
			t.Fatalf("%s and %s are written %s and %s", a, b, number(a), number(b))
		}
	})
}
