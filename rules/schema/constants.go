package schema

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var errDuration = errors.New("not a duration")

// ParseDuration reads Go durations and days, as in 7d or 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	sign := time.Duration(1)
	rest, negative := strings.CutPrefix(text, "-")
	if negative {
		sign = -1
	}
	days, rest2, hasDays := strings.Cut(rest, "d")
	if !hasDays {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil || n < 0 || strings.Trim(days, "0123456789.") != "" || n*24 > math.MaxInt64/float64(time.Hour) {
		return 0, errDuration
	}
	d := time.Duration(n * 24 * float64(time.Hour))
	if rest2 == "" {
		return sign * d, nil
	}
	more, err := time.ParseDuration(rest2)
	if err != nil || strings.ContainsAny(rest2[:1], "+-") || d+more < d {
		return 0, errDuration
	}
	return sign * (d + more), nil
}

// LoadZone knows no "Local": a rule means the same wherever it runs.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("unknown time zone %q", name)
	}
	return time.LoadLocation(name)
}

// DateLayouts are those of a date without a layout: the ones that expr tries.
var DateLayouts = []string{
	time.DateOnly, time.TimeOnly, time.DateTime, time.RFC3339, time.RFC822, time.RFC850, time.RFC1123,
}
