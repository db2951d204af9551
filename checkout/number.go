package checkout

import (
	"strconv"
	"strings"
)

const (
	longestInteger  = 19   // digits of an int64
	longestFraction = 18   // digits behind the point that are written out
	largestExponent = 5000 // larger ones stay as they are written
)

// number writes a JSON number in the one way that its value has: 1.0, 1e0 and
// 10e-1 are 1. It is exact.
func number(text string) string {
	if len(text) <= longestInteger && isShortInteger([]byte(text)) {
		return text
	}
	mantissa, exponent := text, 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		var err error
		if exponent, err = strconv.Atoi(text[at+1:]); err != nil || exponent < -largestExponent || exponent > largestExponent {
			return text
		}
		mantissa = text[:at]
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent -= len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent += len(digits)
	digits = strings.TrimRight(digits, "0")
	exponent -= len(digits)
	if digits == "" {
		return "0"
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + writeOut(digits, exponent)
}

// writeOut writes digits times a power of ten without an exponent, if it is short.
func writeOut(digits string, exponent int) string {
	point := len(digits) + exponent
	switch {
	case exponent == 0:
		return digits
	case exponent > 0 && point <= longestInteger:
		return digits + strings.Repeat("0", exponent)
	case exponent > 0 || exponent < -longestFraction:
		return digits + "e" + strconv.Itoa(exponent)
	case point > 0:
		return digits[:point] + "." + digits[point:]
	}
	return "0." + strings.Repeat("0", -point) + digits
}
