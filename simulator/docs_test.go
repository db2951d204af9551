package simulator_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"checkout-notifier/simulator"
)

const docsKey = "sk_test_simulated"

var (
	shell   = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	example = regexp.MustCompile(`^curl (?:-d '([^']*)' |(-u ` + docsKey + `:) )?http://127\.0\.0\.1:12111(/\S+) +# (\d{3})(?:: .*)?$`)
	row     = regexp.MustCompile("(?m)^\\| ((?:`[a-z_]+`(?:, )?)+) \\|")
	word    = regexp.MustCompile("`([a-z_]+)`")
)

func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What docs/simulator.md tells to ask is answered as it says.
func TestDocumentedRequests(t *testing.T) {
	synctest.Test(t, testDocumentedRequests)
}

func testDocumentedRequests(t *testing.T) {
	api := simulator.NewAPI(simulator.Config{SecretKey: docsKey, Seed: 1})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.Run(ctx) }()
	synctest.Wait() // until it runs, no traffic can start
	n := 0
	for _, block := range shell.FindAllStringSubmatch(docs(t), -1) {
		for line := range strings.Lines(block[1]) {
			m := example.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil {
				t.Errorf("this is no request that the test knows: %s", line)
				continue
			}
			n++
			method := http.MethodGet
			if m[1] != "" {
				method = http.MethodPost
			}
			req := httptest.NewRequestWithContext(ctx, method, m[3], strings.NewReader(m[1]))
			if m[2] != "" {
				req.SetBasicAuth(docsKey, "")
			}
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, req)
			if want, _ := strconv.Atoi(m[4]); rec.Code != want {
				t.Errorf("%s is answered by %d: %s", strings.TrimSpace(line), rec.Code, rec.Body)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d requests found", n)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// docs/simulator.md has a row for each fault and each field of traffic, and for
// nothing else.
func TestDocumentedNames(t *testing.T) {
	_, text, _ := strings.Cut(docs(t), "\n## Faults\n")
	faults, traffic, _ := strings.Cut(text, "\n## Traffic\n")
	for text, want := range map[string][]string{
		faults:  jsonNames(reflect.TypeFor[simulator.Faults]()),
		traffic: {"seed", "rate_per_second", "duration", "scale"},
	} {
		var told []string
		for _, m := range row.FindAllStringSubmatch(text, -1) {
			for _, name := range word.FindAllStringSubmatch(m[1], -1) {
				told = append(told, name[1])
			}
		}
		for _, name := range want {
			if !slices.Contains(told, name) && name != "scope" {
				t.Errorf("%s is not documented", name)
			}
		}
		for _, name := range told {
			if !slices.Contains(want, name) {
				t.Errorf("%s is documented and does not exist", name)
			}
		}
	}
}

func jsonNames(of reflect.Type) (names []string) {
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
