package pipeline_test

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if raceEnabled { // it watches each byte of values that are large on purpose, which one goroutine reads
		if err := flag.Set("rapid.checks", "20"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
