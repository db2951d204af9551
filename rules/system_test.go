package rules_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

// dead is an event of the program's own.
func dead(t testing.TB) *event.Event {
	t.Helper()
	e, err := event.NewSystem(event.DeliveryDead, "fulfilment", "dlv_1", now, map[string]any{
		"summary": "a delivery is dead", "destination": "fulfilment", "attempts": 12, "rules": []string{"ship"}, "class": "status", "status_code": 503, "reason": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

func system(name, when string, events ...string) rules.Rule {
	return rules.Rule{Name: name, On: rules.OnSystem, When: when, Events: events, To: []string{"ops-slack"}, Enabled: true}
}

func matched(result rules.Result) string {
	var names []string
	for _, target := range result.Targets {
		names = append(names, target.Rules...)
	}
	for _, failed := range result.Errors {
		names = append(names, failed.Rule+": "+failed.Error)
	}
	return strings.Join(names, " ")
}

func TestEachKindOfRuleSeesItsOwnEvents(t *testing.T) {
	set := compile(t,
		rules.Rule{Name: "all-sessions", On: rules.OnEvent, To: []string{"bus"}, Enabled: true},
		rule("paid", ""),
		system("all", ""), system("every", "", "*"), system("whole", "", "notifier.delivery.dead"), system("glob", "", "notifier.delivery.*"),
		system("short", "", "delivery.dead"), system("short-glob", "", "d*"), system("other", "", "notifier.destination.*", "account.*"),
	)
	if got, want := matched(set.MatchSystem(dead(t), now)), "all every whole glob short short-glob"; got != want {
		t.Errorf("matched %q, want %q", got, want)
	}
	e, previous := paid(t, nil)
	if got, want := matched(set.Match(e, previous, now)), "all-sessions paid"; got != want {
		t.Errorf("of a session matched %q, want %q", got, want)
	}
	// One that this version does not know is for rules of all types.
	later := dead(t)
	later.Type = "notifier.backup.failing"
	if got, want := matched(set.MatchSystem(later, now)), "all every"; got != want {
		t.Errorf("of a later type matched %q, want %q", got, want)
	}
}

func TestOwnRenderingOfSystemRules(t *testing.T) {
	own := system("own", "", "delivery.dead")
	own.Template, own.Labels = "x", map[string]string{"severity": "page"}
	result := compile(t, system("shared", ""), own).MatchSystem(dead(t), now)
	if len(result.Targets) != 2 || result.Targets[0].OwnRule != "" || result.Targets[1].OwnRule != "own" || result.Targets[1].Labels["severity"] != "page" {
		t.Errorf("targets %+v", result.Targets)
	}
}

func TestSystemExpressions(t *testing.T) {
	for when, want := range map[string]bool{
		`event.type == "notifier.delivery.dead"`:                                   true,
		`event.type in ["notifier.delivery.dead"] && event.subject != "bus"`:       true,
		`event.subject == "main"`:                                                  false,
		`event.id startsWith "evt_" && event.time == now()`:                        true,
		`raw("status_code") == 503 && raw("attempts") > 10`:                        true,
		`has("class") && not has("reason") && not has("nothing")`:                  true,
		`raw("rules.0") == "ship" && "ship" in raw("rules")`:                       true,
		`raw("nothing") == nil && event.time + duration("1d") > now()`:             true,
		`any(raw("rules"), {# == "ship"}) && upper(event.subject) == "FULFILMENT"`: true,
	} {
		set, problems := rules.Compile([]rules.Rule{system("r", when)}, known)
		if set == nil {
			t.Errorf("%s: %s", when, describe(problems))
			continue
		}
		if got := matched(set.MatchSystem(dead(t), now)) == "r"; got != want {
			t.Errorf("%s: got %t, %s", when, got, matched(set.MatchSystem(dead(t), now)))
		}
	}
}

// System rules have the budget of the others, and fail as they do.
func TestSystemRulesFailAlone(t *testing.T) {
	set := compile(t, system("runaway", `all(1..20000, {# > 0})`), system("nonsense", `int(raw("class")) == 1`), system("sound", `has("class")`))
	result := set.MatchSystem(dead(t), now)
	want := "sound runaway: exceeded the budget of 10,000 steps, at 1:18 of when nonsense: int of a text that is no integer, at 1:1 of when"
	if got := matched(result); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for name, want := range map[string]bool{"runaway": false, "nonsense": false, "sound": true, "nobody": false} {
		if got := result.Passed(name); got != want {
			t.Errorf("%s passed: %t", name, got)
		}
	}
	broken := dead(t)
	broken.System = []byte("{")
	if got, want := matched(set.MatchSystem(broken, now)), "runaway: exceeded the budget of 10,000 steps, at 1:18 of when nonsense: the event's data cannot be read sound: the event's data cannot be read"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPassedIsWhatWasEvaluated(t *testing.T) {
	e, previous := paid(t, nil)
	set := compile(t, rule("false", `session.amount_total > 1_000_000`), rule("left-out", `session.currency == "EUR" && session.amount_total > 0`),
		rule("failed", `int(session.customer_email) == 1`))
	result := set.Match(e, previous, now)
	for name, want := range map[string]bool{"false": true, "left-out": false, "failed": false} {
		if got := result.Passed(name); got != want {
			t.Errorf("%s passed: %t", name, got)
		}
	}
}

func TestMistakesOfSystemRules(t *testing.T) {
	accounts := system("r", "", "account.*")
	accounts.Accounts = []string{"main"}
	for _, tt := range []struct {
		rule                  rules.Rule
		key, text, suggestion string
		line, column          int
		warning               bool
	}{
		{system("r", "", "paid"), "events", `"paid" is an event of a session, which a rule with on: system never sees`, "", 0, 0, false},
		{system("r", "", "checkout.session.*"), "events", `"checkout.session.*" is an event of a session`, "", 0, 0, false},
		{system("r", "", "delivery.ded"), "events", `no event type matches "delivery.ded"`, "delivery.dead", 0, 0, false},
		{system("r", "", "notifier.delivery.ded"), "events", `no event type matches`, "notifier.delivery.dead", 0, 0, false},
		{system("r", "", "dead"), "events", `no event type matches`, "delivery.dead", 0, 0, false},
		{system("r", "", "failing"), "events", `no event type matches`, "*.failing", 0, 0, false},
		{rules.Rule{Name: "r", To: []string{"bus"}, Events: []string{"notifier.delivery.dead"}}, "events",
			`"notifier.delivery.dead" is an event of the program itself, which only rules with on: system see`, "", 0, 0, false},
		{rules.Rule{Name: "r", To: []string{"bus"}, Events: []string{"destination.*"}}, "events", `"destination.*" is an event of the program itself`, "", 0, 0, false},
		{rules.Rule{Name: "r", On: "sistem", To: []string{"bus"}}, "on", `on must be event or system, not "sistem"`, "system", 0, 0, false},
		{accounts, "accounts", `accounts has no effect with on: system`, "", 0, 0, false},
		{system("r", `session.status == "open"`), "when", "there is no session here: a system event has no session", "", 1, 1, false},
		{system("r", `event.subject == "x" && previous.status == "open"`), "when", "there is no previous here", "", 1, 25, false},
		{system("r", `changed("status")`), "when", "there is no changed here", "", 1, 1, false},
		{system("r", `event.subjekt == "x"`), "when", "event has no field subjekt", "subject", 1, 7, false},
		{system("r", `event.account == "x"`), "when", `event has no field account; what the event's data holds is read with raw("account")`, "", 1, 7, false},
		{system("r", `event.data.attempts > 3`), "when", `is read with raw("attempts", 0)`, "", 1, 7, false},
		{system("r", `data.destination == "x"`), "when", "unknown name data", `raw("destination")`, 1, 1, false},
		{system("r", `attempts > 3`), "when", "unknown name attempts", `raw("attempts", 0)`, 1, 1, false},
		{system("r", `payload.subject == "x"`), "when", "unknown name payload", "event.subject", 1, 1, false},
		{system("r", `subject == "x"`), "when", "unknown name subject", "event.subject", 1, 1, false},
		{system("r", `has("a..b")`), "when", `"a..b" is no path`, "", 1, 5, false},
		{system("r", `event.type == "delivery.dead"`), "when", "it is the whole type", "notifier.delivery.dead", 1, 15, true},
		{system("r", `event.type == "notifier.delivery.ded"`), "when", `event.type is never "notifier.delivery.ded"`, "notifier.delivery.dead", 1, 15, true},
		{system("r", `event.type == "notifier.rule.failing"`, "account.*"), "when", "exclude each other", "", 1, 15, true},
	} {
		_, problems := rules.Compile([]rules.Rule{tt.rule}, known)
		found := slices.ContainsFunc(problems, func(p rules.Problem) bool {
			return p.Key == tt.key && strings.Contains(p.Message, tt.text) && p.Suggestion == tt.suggestion && p.Line == tt.line && p.Column == tt.column && p.Warning == tt.warning
		})
		if !found {
			t.Errorf("%v %q: %s", tt.rule.Events, tt.rule.When, describe(problems))
		}
	}
}

func TestIdentityOfOneRule(t *testing.T) {
	one, two := rule("one", `session.status == "open"`), rule("two", "")
	set := compile(t, one, two)
	if set.Identity("one") == "" || set.Identity("one") == set.Identity("two") || set.Identity("none") != "" {
		t.Error("rules have no identities of their own")
	}
	two.When = "event.async"
	changed := compile(t, two, one)
	if changed.Identity("one") != set.Identity("one") || changed.Identity("two") == set.Identity("two") {
		t.Error("a rule's identity is not its meaning")
	}
	ids := map[string]bool{}
	for _, on := range []string{"", rules.OnEvent, rules.OnSystem} {
		ids[compile(t, rules.Rule{Name: "r", On: on, To: []string{"bus"}, When: "event.id != ''", Enabled: true}).ID()] = true
	}
	if len(ids) != 2 {
		t.Errorf("the default and two values of on have %d identities: %v", len(ids), fmt.Sprint(ids))
	}
}

// What the program's own events are about are names of this configuration, and the
// types of events in their data are whole ones.
func TestNamesOfTheProgramsOwnEvents(t *testing.T) {
	compileAbout := func(when string) []rules.Problem {
		_, problems := rules.Compile([]rules.Rule{system("owner", when), rule("ship", "")}, known)
		return problems
	}
	for when, want := range map[string]string{
		`event.subject == "fulfillment"`:                                     "fulfilment",
		`event.subject in ["main", "shp"]`:                                   "ship",
		`event.subject != "bakup" and event.subject == "ops-slack"`:          "backup",
		`event.subject == "stor"`:                                            "store",
		`event.subject == "nobody"`:                                          "",
		`raw("event_type") == "fulfillable"`:                                 "checkout.session.fulfillable",
		`raw("event_type", "") in ["checkout.session.fulfilable"]`:           "checkout.session.fulfillable",
		`event.type == "notifier.delivery.dead" && raw("status") == "fired"`: "",
		`raw("destination") == "fulfillment"`:                                "fulfilment",
		`raw("account") == "mian"`:                                           "main",
		`raw("rule") == "shipp"`:                                             "ship",
		`"shipp" in raw("rules")`:                                            "ship",
	} {
		problems := compileAbout(when)
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || problems[0].Suggestion != want || !problems[0].Warning || problems[0].Column == 0 {
			t.Errorf("%s: want %q:%s", when, want, describe(problems))
		}
	}
	for _, when := range []string{
		`event.subject == "fulfilment" && raw("event_type") == "checkout.session.fulfillable"`, `event.subject in ["main", "ship", "store", "owner"]`,
		`event.subject startsWith "ful" or event.subject == ""`, `raw("reason") == "deploy" or raw("status") == "resolved"`, `"ship" in raw("rules")`,
		`raw("event_type") == "notifier.delivery.dead" or raw("account", "") != "main"`,
	} {
		if problems := compileAbout(when); len(problems) > 0 {
			t.Errorf("%s:%s", when, describe(problems))
		}
	}
}

// What an event is about is the name of what its type is about.
func TestSubjectsThatTheTypesOfTheRuleNeverHave(t *testing.T) {
	known := rules.Known{Destinations: []string{"bus", "ops-slack", "both"}, Accounts: []string{"main", "both"}}
	for _, c := range []struct{ events, when, want string }{
		{"destination.*", `event.subject == "main"`, "is then the name of a destination"},
		{"destination.failing delivery.dead", `has("destination") and event.subject in ["main", "r"]`, "is then the name of a destination"},
		{"account.*", `"bus" == event.subject and has("since")`, "is then the name of an account"},
		{"account.failing destination.*", `event.subject == "r" or event.subject == "store"`, "is then the name of a destination or the name of an account"},
		{"rule.failing", `event.subject == "main"`, "is then the name of a rule"},
		{"store.low_space", `event.subject == "main"`, `is then "store"`},
		{"", `event.type == "notifier.account.failing" and event.subject == "bus"`, "is then the name of an account"},
		{"destination.*", `event.subject == "bus"`, ""},
		{"destination.*", `event.subject == "both"`, ""},
		{"destination.* account.*", `event.subject == "main"`, ""},
		{"destination.*", `event.subject in ["main", "bus"]`, ""},
		{"destination.*", `event.subject != "main"`, ""},
		{"delivery.dead", `event.subject == "ops-slack" or raw("account", "") == "main"`, ""},
		{"rule.failing", `event.subject == "r"`, ""},
		{"*", `event.subject == "main"`, ""},
		{"", `event.subject == "main"`, ""},
	} {
		_, problems := rules.Compile([]rules.Rule{system("r", c.when, strings.Fields(c.events)...)}, known)
		told := func(p rules.Problem) bool {
			return p.Code == rules.CodeNeverMatches && p.Warning && p.Column > 0 && strings.Contains(p.Message, c.want)
		}
		if c.want == "" && len(problems) > 0 || c.want != "" && (len(problems) != 1 || !told(problems[0])) {
			t.Errorf("%s of %s: want %q:%s", c.when, c.events, c.want, describe(problems))
		}
	}
}

// The data of the program's own events has the members that are documented, and no others.
func TestMembersOfTheProgramsOwnEvents(t *testing.T) {
	for when, want := range map[string]string{
		`raw("atempts", 0) > 3`:                    "attempts",
		`raw("destinaton") == "shop"`:              "destination",
		`has("sesion")`:                            "session",
		`raw("statuscode", 0) == 404`:              "status_code",
		`raw("data.reason") == "x"`:                "reason",
		`raw("rule.name") == "ship"`:               "rule",
		`raw("customer_email") == "x"`:             "",
		`has("rules.0") && raw("livemode", false)`: "",
	} {
		_, problems := rules.Compile([]rules.Rule{system("r", when)}, known)
		if len(problems) != 1 || problems[0].Code != rules.CodeMisleading || problems[0].Suggestion != want || !problems[0].Warning || problems[0].Column == 0 ||
			want == "" && !strings.Contains(problems[0].Message, "; there are account, attempts, ") {
			t.Errorf("%s: want %q:%s", when, want, describe(problems))
		}
	}
	for _, name := range event.SystemTypes() {
		var data map[string]any
		if err := json.Unmarshal(event.SampleEvent(name).System, &data); err != nil {
			t.Fatal(err)
		}
		for member := range data {
			if _, problems := rules.Compile([]rules.Rule{system("r", fmt.Sprintf("has(%q) or raw(%[1]q) != nil", member))}, known); len(problems) > 0 {
				t.Errorf("%s: %s", member, describe(problems))
			}
		}
	}
	if _, problems := rules.Compile([]rules.Rule{system("r", `"ship" in raw("rules") and raw("rules.0") == "ship" and has("rules.1")`), rule("ship", "")}, known); len(problems) > 0 {
		t.Error(describe(problems))
	}
}
