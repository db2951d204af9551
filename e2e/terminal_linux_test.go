package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a process whose standard streams are a terminal of its own.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	keys   *os.File // what is typed goes there
	screen *capture
	ended  chan error
}

// onTerminal starts a command line at a terminal.
func (w *world) onTerminal(line string) *terminal {
	w.t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		w.t.Skipf("no terminal can be had: %v", err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		w.t.Fatalf("making a terminal: %v", err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		w.t.Fatalf("opening the terminal: %v", err)
	}
	defer screen.Close()
	p := &terminal{t: w.t, keys: keys, screen: newCapture(), ended: make(chan error, 1)}
	p.cmd = exec.Command(program(w.t), append(strings.Fields(line), "-c", w.configPath())...)
	p.cmd.Dir, p.cmd.Env = w.dir, cleanEnvironment()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = screen, screen, screen
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // so that Ctrl-C is a signal
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := keys.Read(buffer)
			_, _ = p.screen.Write(buffer[:n])
			if err != nil {
				return // the other end is closed
			}
		}
	}()
	go func() { p.ended <- p.cmd.Wait() }()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = keys.Close()
	})
	return p
}

// answers waits for a question and types.
func (p *terminal) answers(question, keys string) {
	p.t.Helper()
	eventually(p.t, patience, func() error {
		if text := p.screen.String(); !strings.Contains(text, question) {
			return fmt.Errorf("it does not ask %q: %s", question, text)
		}
		return nil
	})
	if _, err := p.keys.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *terminal) wantExit(want int) {
	p.t.Helper()
	select {
	case err := <-p.ended:
		var status *exec.ExitError
		if err != nil && !errors.As(err, &status) {
			p.t.Fatal(err)
		}
	case <-time.After(patience):
		p.t.Fatalf("it does not end: %s", p.screen)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != want {
		p.t.Errorf("exit code %d, want %d: %s", code, want, p.screen)
	}
}

// TestQuestionsOnATerminal asks before what cannot be undone. Ctrl-C ends it at
// once, with nothing started.
func TestQuestionsOnATerminal(t *testing.T) {
	t.Parallel()
	w, mended := operatorsWorld(t)
	d := w.daemon()
	w.create(paid())
	w.awaitLetters(d, 4)
	for line, question := range map[string]string{
		"deadletters purge --all":             "Purge 4 dead letters for good? [y/N] ",
		"deadletters redrive --all":           "Redrive 4 deliveries? [y/N] ",
		"replay --all --to other --all-types": "Replay 4 deliveries? [y/N] ",
		"poll backfill --since 1h --announce": "[y/N] ",
	} {
		for keys, code := range map[string]int{"\x03": 130, "\n": 1, "\x04": 1} {
			p := w.onTerminal(line)
			p.answers(question, keys)
			p.wantExit(code)
		}
	}
	if got := lines(t, w.asks(d, 0, "deadletters list -o jsonl")); len(got) != 4 {
		t.Errorf("%d are dead, want 4", len(got))
	}
	if got := lines(t, w.asks(d, 0, "jobs list -o jsonl")); len(got) != 0 {
		t.Errorf("jobs were started: %v", got)
	}
	mended.Store(true)
	p := w.onTerminal("deadletters redrive --all")
	p.answers("[y/N] ", "y\n")
	p.wantExit(0)
	w.awaitLetters(d, 0)
	d.stop()
}
