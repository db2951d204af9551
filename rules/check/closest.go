package check

import (
	"strings"
	"unicode/utf8"

	"checkout-notifier/spelling"
)

// Closest returns the candidate that a misspelt word most likely means, or "":
// rather nothing than a word that was not meant. Candidates are tried in their
// order, so that the answer is stable.
func Closest(word string, candidates []string) string {
	return nearest(mostEdits(len(word)), word, candidates)
}

// nearest is Closest for another number of slips.
func nearest(edits int, word string, candidates []string) string {
	best, bestDistance := "", edits+1
	for _, candidate := range candidates {
		a, b := strings.ToLower(word), strings.ToLower(candidate)
		d := spelling.Distance(a, b, bestDistance)
		if d < bestDistance && d < max(utf8.RuneCountInString(a), utf8.RuneCountInString(b)) && (d < 2 || a[0] == b[0]) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// mostEdits is how many slips of the keyboard a word of a length may have.
// Whoever makes two in a short word gets its first letter right.
func mostEdits(length int) int {
	switch {
	case length < 6:
		return 1
	case length < 9:
		return 2
	}
	return 3
}
