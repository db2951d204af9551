//go:build !race

package rules_test

// raceEnabled says whether the binary is built with the race detector.
const raceEnabled = false
