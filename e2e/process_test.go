package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that should happen soon.
const patience = 30 * time.Second

// capture keeps what a process writes and wakes those who wait for a line.
type capture struct {
	mu    sync.Mutex // guards both
	text  bytes.Buffer
	grown chan struct{} // closed and replaced when text grows
}

func newCapture() *capture { return &capture{grown: make(chan struct{})} }

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(p)
	close(c.grown)
	c.grown = make(chan struct{})
	return len(p), nil
}

func (c *capture) String() string {
	text, _ := c.read()
	return text
}

func (c *capture) read() (string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String(), c.grown
}

// process is one run of the binary. Its methods belong to the test's goroutine.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *capture
	stderr *capture
	done   chan struct{} // closed when it has ended and its output is complete
}

// start runs the binary. When the test fails, what it wrote is printed.
func start(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Dir, cmd.Env = dir, append(cleanEnvironment(), env...)
	return startCommand(t, cmd, args...)
}

// startCommand runs a command of the binary that was prepared otherwise.
func startCommand(t *testing.T, cmd *exec.Cmd, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, stdout: newCapture(), stderr: newCapture(), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", strings.Join(args, " "), err)
	}
	go func() {
		_ = p.cmd.Wait() // code says how it ended
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		p.sound()
		if t.Failed() {
			t.Logf("notifier %s\n--- stdout\n%s--- stderr\n%s", strings.Join(args, " "), tail(p.stdout.String()), tail(p.stderr.String()))
		}
	})
	return p
}

// raceOptions keep the race detector from sleeping a second at every exit.
const raceOptions = "GORACE=atexit_sleep_ms=0"

// cleanEnvironment is this process's environment without what the binary reads.
func cleanEnvironment() []string {
	env := []string{raceOptions}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "NOTIFIER_") && !strings.HasPrefix(name, "WOOSHPAY_") && name != "STATE_DIRECTORY" && name != "GORACE" {
			env = append(env, entry)
		}
	}
	return env
}

// tail shortens a long log to its end.
func tail(text string) string {
	const enough = 16 << 10
	if len(text) <= enough {
		return text
	}
	return fmt.Sprintf("(%d bytes left out)\n%s", len(text)-enough, text[len(text)-enough:])
}

// sound fails the test if the binary crashed or raced.
func (p *process) sound() {
	p.t.Helper()
	log := p.stderr.String()
	for _, sign := range []string{"WARNING: DATA RACE", "panic:", "fatal error:", "goroutine 1 ["} {
		if strings.Contains(log, sign) {
			p.t.Errorf("the binary wrote %q", sign)
		}
	}
}

// kill ends the process at once, as kill -9 does, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.done
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("sending %v: %v", s, err)
	}
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the binary did not end within %v", patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// alive is an error once the process is gone.
func (p *process) alive() error {
	select {
	case <-p.done:
		return errOver{fmt.Errorf("%w: %v", errEnded, p.cmd.ProcessState)}
	default:
		return nil
	}
}

// stop asks for an orderly end and demands exit code 0.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		p.t.Errorf("after SIGTERM: exit code %d, want 0", code)
	}
}

// run runs the binary to its end.
func run(t *testing.T, dir string, env []string, args ...string) (code int, p *process) {
	t.Helper()
	p = start(t, dir, env, args...)
	return p.wait(), p
}

// daemon is a running `notifier run`.
type daemon struct {
	*process
	admin string // URL of the admin server
}

// errEnded is a daemon that is gone while it was waited for.
var errEnded = errors.New("the daemon ended")

// awaitLine waits for a log line and returns its members.
func (p *process) awaitLine(message string) (map[string]any, error) {
	deadline := time.After(patience)
	for {
		text, grown := p.stderr.read()
		for line := range strings.Lines(text) {
			var members map[string]any
			if json.Unmarshal([]byte(line), &members) == nil && members["msg"] == message {
				return members, nil
			}
		}
		select {
		case <-grown:
		case <-p.done:
			if after, _ := p.stderr.read(); after == text {
				return nil, fmt.Errorf("%w before it said %q", errEnded, message)
			}
		case <-deadline:
			return nil, fmt.Errorf("it did not say %q within %v", message, patience)
		}
	}
}

// listening waits until the daemon says where its admin server is.
func (d *daemon) listening() error {
	line, err := d.awaitLine("started")
	if err != nil {
		return err
	}
	d.admin, _ = line["admin"].(string)
	return nil
}

// get asks the admin server.
func (d *daemon) get(path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	return d.do(req)
}

func (d *daemon) do(req *http.Request) (status int, body string, err error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// ready waits for /-/ready.
func (d *daemon) ready() {
	d.t.Helper()
	eventually(d.t, patience, func() error {
		if err := d.alive(); err != nil {
			return err
		}
		status, body, err := d.get("/-/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/-/ready answers %d: %s", status, body)
		}
		return err
	})
}

// status is what the tests read of /api/v1/status.
type status struct {
	Running  bool `json:"running"`
	Ready    bool `json:"ready"`
	Accounts []struct {
		Account  string `json:"account"`
		Healthy  bool   `json:"healthy"`
		Error    string `json:"error"`
		Passes   int    `json:"passes"`
		Foreign  string `json:"foreign"`
		Oddities []struct {
			Code  string `json:"code"`
			Count int    `json:"count"`
		} `json:"oddities"`
	} `json:"accounts"`
	Destinations []struct {
		Name    string `json:"name"`
		State   string `json:"state"`
		Why     string `json:"why"`
		Pending int    `json:"pending"`
		Dead    int    `json:"dead_letters"`
		Blocked []struct {
			Subject string `json:"subject"`
			Why     string `json:"why"`
		} `json:"blocked_subjects"`
	} `json:"destinations"`
	Conditions []struct {
		Kind    string `json:"kind"`
		Subject string `json:"subject"`
	} `json:"conditions"`
	FailedRules []struct {
		Rule    string `json:"rule"`
		Failing bool   `json:"failing"`
		InARow  int    `json:"failures_in_a_row"`
	} `json:"failed_rules"`
	Heartbeat *struct {
		State string `json:"state"`
		Why   string `json:"why"`
	} `json:"heartbeat"`
}

// waiting is the number of deliveries that are neither accepted nor dead.
func (s *status) waiting() (pending, dead int) {
	for _, d := range s.Destinations {
		pending, dead = pending+d.Pending, dead+d.Dead
	}
	return pending, dead
}

func (d *daemon) status() (*status, error) {
	code, body, err := d.get("/api/v1/status")
	if err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("the status answers %d: %s", code, body)
	}
	s := new(status)
	if err := json.Unmarshal([]byte(body), s); err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	return s, nil
}

// errOver ends a wait: asking again cannot help.
type errOver struct{ error }

// eventually asks until there is no error any more, and fails with the last one.
func eventually(t *testing.T, within time.Duration, ask func() error) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		var over errOver
		if errors.As(err, &over) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %v", within, err)
		}
	}
}
