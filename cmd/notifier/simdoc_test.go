package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The first example of docs/simulator.md forwards what the simulated API shows, at
// whose address it is said to be.
func TestForwardFromTheSimulatorAsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(projectRoot, "docs", "simulator.md"))
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	for line := range strings.Lines(blocks(string(page), "console")[0]) {
		line, _, _ = strings.Cut(strings.TrimPrefix(line, "$ notifier "), " #")
		commands = append(commands, strings.Fields(line))
	}
	sim, forward := strings.Join(commands[0], " "), strings.Join(commands[1], " ")
	if !strings.Contains(forward, "--base-url http://"+defaultSimListen) {
		t.Fatalf("%q does not ask the API that %q serves", forward, sim)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	start := func(line string, said io.Writer) {
		root := newRoot(streams{out: io.Discard, err: said})
		root.SetArgs(strings.Fields(line))
		group.Go(func() {
			if err := root.ExecuteContext(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", line, err)
				cancel()
			}
		})
	}
	said, says := io.Pipe()
	start(sim+" --rate 20 --listen 127.0.0.1:0", says)
	first, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	_, address, _ := strings.Cut(strings.Split(first, ",")[0], "http://")

	heard := make(chan struct{}, 1)
	handler := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case heard <- struct{}{}:
		default:
		}
	}))
	defer handler.Close()
	forward = strings.NewReplacer(defaultSimListen, address, "http://127.0.0.1:3000", handler.URL).Replace(forward)
	start(forward+" --interval 200ms", io.Discard)
	select {
	case <-heard:
	case <-ctx.Done():
	}
}
