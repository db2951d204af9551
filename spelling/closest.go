package spelling

import (
	"strings"
	"unicode/utf8"
)

// Closest returns the candidate that a misspelt word most likely means, or "":
// rather nothing than a word that was not meant. Candidates are tried in their
// order, so that the answer is stable.
func Closest(word string, candidates []string) string {
	return Nearest(MostEdits(len(word)), word, candidates)
}

// Nearest is Closest for another number of slips.
func Nearest(edits int, word string, candidates []string) string {
	best, bestDistance := "", edits+1
	for _, candidate := range candidates {
		a, b := strings.ToLower(word), strings.ToLower(candidate)
		d := Distance(a, b, bestDistance)
		if d < bestDistance && d < max(utf8.RuneCountInString(a), utf8.RuneCountInString(b)) && (d < 2 || a[0] == b[0]) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// MostEdits is how many slips of the keyboard a word of a length may have.
// Whoever makes two in a short word gets its first letter right.
func MostEdits(length int) int {
	switch {
	case length < 6:
		return 1
	case length < 9:
		return 2
	}
	return 3
}
