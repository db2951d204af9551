package main

import (
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"checkout-notifier/config"
)

func deployFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(projectRoot, "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// manifest is what this test reads of a Kubernetes object.
type manifest struct {
	Kind       string
	StringData map[string]string `yaml:"stringData"`
	Data       map[string]string
	Spec       struct {
		Replicas int
		Template struct {
			Spec struct {
				Grace           int `yaml:"terminationGracePeriodSeconds"`
				SecurityContext struct {
					RunAsNonRoot bool `yaml:"runAsNonRoot"`
					RunAsUser    int  `yaml:"runAsUser"`
				} `yaml:"securityContext"`
				Containers []container
			}
		}
	}
}

type probe struct {
	HTTPGet struct{ Path string } `yaml:"httpGet"`
}

type container struct {
	Args  []string
	Ports []struct {
		ContainerPort int `yaml:"containerPort"`
	}
	Startup         probe `yaml:"startupProbe"`
	Liveness        probe `yaml:"livenessProbe"`
	Readiness       probe `yaml:"readinessProbe"`
	SecurityContext struct {
		ReadOnly bool `yaml:"readOnlyRootFilesystem"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

// The manifests fit the program and the image. No cluster starts them here.
func TestKubernetesManifestsFit(t *testing.T) {
	byKind := make(map[string]manifest)
	decoder := yaml.NewDecoder(strings.NewReader(deployFile(t, "kubernetes.yaml")))
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		byKind[m.Kind] = m
	}
	secrets := map[string]string{
		"WOOSHPAY_SECRET_KEY": "sk_test_4f9c2a7be1d04c33", "FULFILMENT_SECRET": "whsec_Q2FuYXJ5U2lnbmluZ1NlY3JldDEyMzQ1Njc4OTA=", "ADMIN_TOKEN": "5d0c3f7a9be1d04c33f2",
	}
	load := func(as map[string]string) (*config.Loaded, error) {
		var environ []string
		for name, value := range as {
			environ = append(environ, name+"="+value)
		}
		return config.Load(config.Options{Source: []byte(byKind["ConfigMap"].Data["notifier.yaml"]), Name: "notifier.yaml", Environ: environ})
	}
	for name, as := range byKind["Secret"].StringData { // a placeholder that nobody replaces is known to everybody
		forgotten := maps.Clone(secrets)
		forgotten[name] = as
		if _, err := load(forgotten); err == nil || secrets[name] == "" {
			t.Errorf("with %s=%s it starts", name, as)
		}
	}
	loaded, err := load(secrets)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range loaded.Warnings {
		t.Errorf("warning: %s", w)
	}
	pod := byKind["StatefulSet"].Spec.Template.Spec
	if byKind["StatefulSet"].Spec.Replicas != 1 || len(pod.Containers) != 1 {
		t.Fatalf("%d replicas of %d containers; a state file has one writer", byKind["StatefulSet"].Spec.Replicas, len(pod.Containers))
	}
	if pod.Grace <= int(loaded.Config.ShutdownGrace.Seconds()) {
		t.Errorf("%d s of grace do not cover shutdown_grace", pod.Grace)
	}
	c := pod.Containers[0]
	if err := checkCommand(append([]string{"notifier"}, c.Args...), nil); err != nil {
		t.Error(err)
	}
	if _, port, _ := net.SplitHostPort(loaded.Config.Admin.Listen); len(c.Ports) != 1 || port != strconv.Itoa(c.Ports[0].ContainerPort) {
		t.Errorf("the admin address %s is not port %v", loaded.Config.Admin.Listen, c.Ports)
	}
	dockerfile, err := os.ReadFile(filepath.Join(projectRoot, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	user := strconv.Itoa(pod.SecurityContext.RunAsUser)
	if !pod.SecurityContext.RunAsNonRoot || !c.SecurityContext.ReadOnly || !strings.Contains(string(dockerfile), "\nUSER "+user+":"+user+"\n") {
		t.Error("the pod runs as another user than the image, or may write its root")
	}
	for path, probes := range map[string][]probe{"/-/healthy": {c.Startup, c.Liveness}, "/-/ready": {c.Readiness}} {
		for _, p := range probes {
			if p.HTTPGet.Path != path {
				t.Errorf("a probe asks for %q, want %s", p.HTTPGet.Path, path)
			}
		}
	}
	temporary := false
	for _, mount := range c.VolumeMounts {
		temporary = temporary || mount.MountPath == "/tmp"
		if !strings.Contains(string(dockerfile), " "+mount.MountPath+"\n") {
			t.Errorf("the image has no %s", mount.MountPath)
		}
	}
	if !temporary {
		t.Error("the root is read-only, and there is no place for temporary files")
	}
}

// What the unit starts exists, and it does not start what cannot run.
func TestServiceUnitFits(t *testing.T) {
	unit := make(map[string][]string)
	for line := range strings.Lines(deployFile(t, "notifier.service")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			unit[name] = append(unit[name], value)
		}
	}
	command := strings.Fields(strings.Join(unit["ExecStart"], ""))
	if len(command) == 0 || filepath.Base(command[0]) != "notifier" {
		t.Fatalf("ExecStart %v", unit["ExecStart"])
	}
	if err := checkCommand(append([]string{"notifier"}, command[1:]...), nil); err != nil {
		t.Error(err)
	}
	want := []string{strconv.Itoa(exitUsage)} // of exitInvalid, a state file that is held or a full disk gets better
	if got := strings.Fields(strings.Join(unit["RestartPreventExitStatus"], " ")); !slices.Equal(got, want) {
		t.Errorf("RestartPreventExitStatus %v, want %v", got, want)
	}
}
