package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// image is what the last stage of the Dockerfile says.
type image struct {
	copies      [][3]string // owner, source in the build stage, target
	environment []string
	user        uint32
	entrypoint  []string
	command     []string
	health      []string
}

var (
	copyLine = regexp.MustCompile(`^COPY --from=build (?:--chown=(\d+):\d+ )?(\S+) (\S+)$`)
	execForm = regexp.MustCompile(`\[.*\]$`)
)

// readImage reads the Dockerfile. An instruction that it does not know fails the
// test, so that none is left out here.
func readImage(t *testing.T) (i image) {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	builder, last, ok := strings.Cut(string(text), "\nFROM scratch\n")
	if !ok || !strings.Contains(builder, "\nRUN make build VERSION=$VERSION\n") {
		t.Fatal("the Dockerfile does not build with make, or does not begin its image from nothing")
	}
	words := func(line string) (list []string) {
		if err := json.Unmarshal([]byte(execForm.FindString(line)), &list); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return list
	}
	for line := range strings.Lines(last) {
		line = strings.TrimSpace(line)
		instruction, rest, _ := strings.Cut(line, " ")
		switch instruction {
		case "", "VOLUME", "EXPOSE":
		case "COPY":
			m := copyLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s: not a copy that this test knows", line)
			}
			i.copies = append(i.copies, [3]string{m[1], m[2], m[3]})
		case "ENV":
			i.environment = append(i.environment, strings.Fields(rest)...)
		case "USER":
			id, err := strconv.ParseUint(strings.Split(rest, ":")[0], 10, 32)
			if err != nil || id == 0 {
				t.Fatalf("%s: not the number of a user other than root", line)
			}
			i.user = uint32(id)
		case "HEALTHCHECK":
			i.health = words(line)
		case "ENTRYPOINT":
			i.entrypoint = words(line)
		case "CMD":
			i.command = words(line)
		default:
			t.Fatalf("%s: not an instruction that this test knows", line)
		}
	}
	return i
}

// unpack makes the root of the image: what it copies, and nothing else.
func (i *image) unpack(t *testing.T, version string) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "root")
	for _, c := range i.copies {
		owner, source, target := c[0], c[1], filepath.Join(root, c[2])
		var err error
		switch {
		case source == "/src/bin/notifier":
			var out []byte
			if out, err = exec.Command("make", "-C", "..", "build", "BIN="+target, "VERSION="+version).CombinedOutput(); err != nil {
				t.Fatalf("make build: %v: %s", err, out)
			}
		case strings.HasPrefix(source, "/rootfs/"):
			err = os.MkdirAll(target, 0o755)
		case strings.HasPrefix(source, "/etc/ssl/"):
			err = os.MkdirAll(filepath.Dir(target), 0o755) // the test speaks no TLS
		default:
			t.Fatalf("%s: not a source that this test knows", source)
		}
		if err == nil && owner != "" {
			var id int
			if id, err = strconv.Atoi(owner); err == nil {
				err = os.Chown(target, id, id)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// start runs a command in the image, as its user.
func (i *image) start(t *testing.T, root string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = "/", i.environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: i.user, Gid: i.user}}
	return startCommand(t, cmd, args...)
}

// TestImage runs what the Dockerfile makes as a container would: from nothing
// but what it copies, as a user who owns the state folder alone. No container
// engine is needed, but root to change the root and the user.
func TestImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("changing the root and the user needs root")
	}
	t.Parallel()
	i := readImage(t)
	root := i.unpack(t, "v9.8.7")
	version := i.start(t, root, append(i.entrypoint, "version")...)
	if code := version.wait(); code != 0 || !strings.Contains(version.stdout.String(), "v9.8.7") {
		t.Fatalf("version: exit code %d: %s%s", code, version.stdout, version.stderr)
	}

	w := newWorld(t, nil)
	w.rest["state"] = object{"retention": "60d"} // its path is the default
	id := w.create(paid())
	w.accounts[0]["start"] = "all"
	configure := func(listen string) {
		w.rest["admin"] = object{"listen": listen}
		w.configure()
		text, err := os.ReadFile(w.configPath())
		if err == nil {
			err = os.WriteFile(filepath.Join(root, "etc/notifier/notifier.yaml"), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	configure("127.0.0.1:0")
	d := &daemon{process: i.start(t, root, append(i.entrypoint, i.command...)...)}
	if err := d.listening(); err != nil {
		t.Fatal(err)
	}
	d.ready()
	configure(strings.TrimPrefix(d.admin, "http://"))
	if code := i.start(t, root, i.health...).wait(); code != 0 {
		t.Errorf("the health check: exit code %d", code)
	}
	eventually(t, patience, func() error {
		if got := w.told(hookPath)[id]; len(got) != 4 {
			return fmt.Errorf("told of %v", got)
		}
		return nil
	})
	for range 2 { // the second time without a directory for temporary files
		verify := i.start(t, root, append(i.entrypoint, "state", "verify")...)
		if code := verify.wait(); code != 0 || !strings.Contains(verify.stdout.String(), " is sound") {
			t.Errorf("state verify: exit code %d: %s%s", code, verify.stdout, verify.stderr)
		}
		if err := os.RemoveAll(filepath.Join(root, "tmp")); err != nil {
			t.Fatal(err)
		}
	}
	d.stop()

	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if owner, ok := info.Sys().(*syscall.Stat_t); err == nil && ok && owner.Uid == i.user &&
			!strings.HasPrefix(path, filepath.Join(root, "var/lib/notifier")+"/") {
			t.Errorf("it wrote %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/notifier/data/notifier.db")); err != nil {
		t.Error(err)
	}
}

// TestServiceUnit lets systemd read the unit, and starts nothing: that would need
// a running systemd.
func TestServiceUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	t.Parallel()
	text, err := os.ReadFile("../deploy/notifier.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "notifier.service")
	installed := strings.ReplaceAll(string(text), "/usr/local/bin/notifier", program(t))
	if err := os.WriteFile(unit, []byte(installed), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
}
