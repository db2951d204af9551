package rules_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

// Each member of the data of the program's own events is a text, a number or a list of
// texts: one that is compared with another kind is never equal to it.
func TestKindsOfTheDataOfSystemEvents(t *testing.T) {
	for when, want := range map[string]string{
		`raw("status_code") == "404"`:                             `raw("status_code") == 404`,
		`"404" == raw("status_code")`:                             `404 == raw("status_code")`,
		`raw("status_code", 0) in ["404", "503"]`:                 `raw("status_code", 0) in [404, 503]`,
		`raw("status_code") != "404"`:                             `raw("status_code") != 404`,
		`event.subject == "fulfilment" and raw("attempts")=="12"`: `raw("attempts") == 12`,
		`raw("attempts", 0) >= "3"`:                               `raw("attempts", 0) >= 3`,
		`raw("attempts") > "3"`:                                   `raw("attempts", 0) > 3`,
		`"3" < raw("attempts", 0)`:                                `3 < raw("attempts", 0)`,
		`raw("status_code") == ""`:                                ``,
		`raw("status_code") == "not found"`:                       ``,
		`raw("refused", 0) == true`:                               ``,
		`raw("status_code") startsWith "4"`:                       `string(raw("status_code")) startsWith "4"`,
		`raw("status_code", 0) matches "^4"`:                      `string(raw("status_code", 0)) matches "^4"`,
		`raw("rules") == "ship"`:                                  `"ship" in raw("rules")`,
		`"ship" == raw("rules")`:                                  `"ship" in raw("rules")`,
		`raw("rules", []) contains "ship"`:                        `"ship" in raw("rules", [])`,
		`raw("reason") == 404`:                                    ``,
		`raw("rules.0") == 5`:                                     ``,
		`raw("down_for", "") > 3600`:                              ``,
		`raw("since", "") > now()`:                                ``,
		`raw("attempts") == 3.5 or raw("failures") == "many"`:     ``,
		`raw("since") == 1796119200`:                              ``,
	} {
		_, problems := rules.Compile([]rules.Rule{system("r", when), rule("ship", "")}, known)
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || !problems[0].Warning || problems[0].Snippet == "" || problems[0].Suggestion != want {
			t.Errorf("%s: want %q:%s", when, want, describe(problems))
			continue
		}
		if want == "" {
			continue
		}
		set, problems := rules.Compile([]rules.Rule{system("r", want), rule("ship", "")}, known)
		sample := event.SampleEvent(event.DeliveryDead)
		holds := !strings.Contains(want, "!=")
		if len(problems) > 0 || (matched(set.MatchSystem(&sample, now)) == "r") != holds {
			t.Errorf("%s leads to %s:%s", when, want, describe(problems))
		}
	}
	for _, when := range []string{
		`raw("status_code") == 404`, `raw("status_code", "none") == "none"`, `raw("status_code") == nil`, `raw("pending", 0) + 0.5 > 3`, `raw("reason", "") + "x" == "yx"`, `raw("status_code") in 500..599`, `raw("attempts", 0) > 3.5`,
		`string(raw("status_code")) == "404"`, `"ship" in raw("rules")`, `raw("rules.0") == "ship"`, `raw("reason") == "deploy"`, `raw("reason", "") contains "404"`, `raw("since", "") < "2026"`,
		`raw("rules") == ["ship"]`, `raw("rule") == event.subject`, `raw("pending", 0) == raw("refused", 0)`, `raw("status_code") in [404, 410]`, `raw("reason") matches "40[34]"`,
	} {
		if _, problems := rules.Compile([]rules.Rule{system("r", when), rule("ship", "")}, known); len(problems) > 0 {
			t.Errorf("%s:%s", when, describe(problems))
		}
	}
}

// What the table of kinds says is what the data has: a member is of one kind in all types.
func TestEachMemberOfSystemEventsIsOfOneKind(t *testing.T) {
	kinds := make(map[string]string)
	for _, name := range event.SystemTypes() {
		e := event.SampleEvent(name)
		var data map[string]any
		if err := json.Unmarshal(e.System, &data); err != nil {
			t.Fatal(err)
		}
		for member, value := range data {
			kind := fmt.Sprintf("%T", value)
			if before := kinds[member]; before != "" && before != kind {
				t.Errorf("%s of %s is %s, elsewhere %s", member, name, kind, before)
			}
			kinds[member] = kind
			for _, constant := range []string{`"503"`, `503`} {
				set, problems := rules.Compile([]rules.Rule{system("r", fmt.Sprintf("raw(%q) != %s", member, constant))}, known)
				if told := len(problems) > 0; kind != "[]interface {}" && told && matched(set.MatchSystem(&e, now)) != "r" {
					t.Errorf("%s == %s can be:%s", member, constant, describe(problems))
				}
			}
		}
	}
}
