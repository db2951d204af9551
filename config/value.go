package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/secret"
)

// days splits off the unit that Go's durations do not have.
var days = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)d(.*)$`)

const day = 24 * time.Hour

// longest keeps sums of a few durations from overflowing.
const longest = 36500 * day

// ParseDuration reads a duration as configuration files write it: Go's form,
// days in front of it (7d, 1d12h), or a bare 0. It is never negative.
func ParseDuration(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if text == "0" {
		return 0, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, errors.New("needs a unit, as in 30s, 10m or 7d")
	}
	rest, whole := text, time.Duration(0)
	if m := days.FindStringSubmatch(text); m != nil {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil || n*float64(day) > float64(longest) {
			return 0, errors.New("is too long")
		}
		whole, rest = time.Duration(n*float64(day)), m[2]
		if rest == "" {
			return whole, nil
		}
	}
	part, err := time.ParseDuration(rest)
	switch {
	case err != nil:
		return 0, errors.New("must be a duration such as 200ms, 15s, 1h30m or 7d")
	case part < 0:
		return 0, errors.New("must not be negative")
	case part > longest-whole:
		return 0, errors.New("is too long")
	}
	return whole + part, nil
}

// FormatDuration writes a duration in the shortest form that ParseDuration reads.
func FormatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d%day == 0 && d > day:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// coerce reads a text as a value of the given kind; the error says what is
// expected without repeating the text.
func coerce(k kind, text string) (any, error) {
	switch k {
	case kindText:
		return text, nil
	case kindBoolean:
		switch strings.TrimSpace(text) {
		case "true", "True", "TRUE":
			return true, nil
		case "false", "False", "FALSE":
			return false, nil
		}
		return nil, errors.New("must be true or false")
	case kindInteger:
		n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(text), "_", ""), 10, 32)
		if err != nil {
			return nil, errors.New("must be a whole number")
		}
		return int(n), nil
	case kindNumber:
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, errors.New("must be a number")
		}
		return n, nil
	case kindDuration:
		d, err := ParseDuration(text)
		if err != nil {
			return nil, err
		}
		return d, nil
	default:
		return nil, fmt.Errorf("must be %s", k)
	}
}

// String names a kind as messages do.
func (k kind) String() string {
	switch k {
	case kindInteger:
		return "a whole number"
	case kindNumber:
		return "a number"
	case kindBoolean:
		return "true or false"
	case kindDuration:
		return "a duration"
	case kindSection:
		return "a section with keys"
	case kindList:
		return "a list"
	case kindMap:
		return "a map"
	default:
		return "text"
	}
}

// telling are beginnings and marks of texts that nobody wants to find in a log,
// even where they were written into the wrong key.
var telling = regexp.MustCompile(`sk_|rk_|whsec_|://|[\pL\pN][^\s"']*@|Bearer |Basic `)

// maxQuoted keeps messages on one line; a longer text is no misspelt word.
const maxQuoted = 40

// quote repeats a text of the operator's in a message, unless it may be secret.
func quote(text string) string {
	if telling.MatchString(text) {
		return secret.Redacted
	}
	if len(text) > maxQuoted {
		return strconv.Quote(strings.ToValidUTF8(text[:maxQuoted], "")) + "…"
	}
	return strconv.Quote(text)
}
