package logic

import (
	"regexp/syntax"
	"slices"
)

// MaxPattern bounds the instructions of a regular expression.
const MaxPattern = 4096

// PatternSize estimates the instructions of a compiled regular expression.
func PatternSize(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	return instructions(parsed), nil
}

// instructions counts repetitions as written out, and no further than MaxPattern.
func instructions(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n = min(n+instructions(sub), MaxPattern+1)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return min(n, MaxPattern+1)
}

// RepeatsAnchor says whether a regular expression repeats, by +, * or ?, the beginning or the end of a
// text, or of a word.
func RepeatsAnchor(pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	return err == nil && repeatsAnchor(parsed)
}

func repeatsAnchor(re *syntax.Regexp) bool {
	repeats := slices.Contains([]syntax.Op{syntax.OpStar, syntax.OpPlus, syntax.OpQuest}, re.Op)
	for _, sub := range re.Sub {
		for repeats && sub.Op == syntax.OpCapture {
			sub = sub.Sub[0]
		}
		if repeats && sub.Op >= syntax.OpBeginLine && sub.Op <= syntax.OpNoWordBoundary || repeatsAnchor(sub) {
			return true
		}
	}
	return false
}
