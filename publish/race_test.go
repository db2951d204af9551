//go:build race

package publish_test

// raceEnabled says whether the binary is built with the race detector.
const raceEnabled = true
