package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"checkout-notifier/config"
)

const shop = `destinations:
  - {name: shop, type: http, url: "https://shop.example/hooks", secrets: ["${SECRET}"]}
`

const ship = `rules:
  - {name: ship, events: [fulfillable], to: [shop]}
`

const givenUpSoon = " is less than a day: bank transfers take days, and a payment that comes later, and more than 25 hours after the session was created, is not seen until a backfill reads it; leave the key out for the default of 14 days"

const older = `rules:
  - {name: old, events: [unresolved], when: now() - session.created > duration("5d"), to: [shop]}
`

func TestWarnings(t *testing.T) {
	twoModes := `accounts:
  - {name: main, secret_key: "${KEY}"}
  - {name: live, secret_key: "${LIVE}"}
`
	slack := `  - {name: ops, type: http, url: "https://hooks.slack.example/x", format: slack}
`
	stripe := `destinations:
  - {name: shop, type: http, url: "https://shop.example/hooks", secrets: ["${SECRET}"], format: stripe}
`
	paged := minimal + shop + `  - {name: pager, type: http, url: "https://events.pagerduty.com/v2/enqueue", format: pagerduty, routing_key: R0UT1NG}
` + ship + "  - {name: owner, events: [expired], to: [pager]}\n"
	for _, test := range []struct{ name, source, want string }{
		{"none", minimal + shop + ship, ""},
		{"one mode", strings.ReplaceAll(twoModes, "LIVE", "OTHER") + shop + ship, ""},
		{"two modes", twoModes + shop + ship, `test.yaml:7:45: rule "ship" can send test and live accounts to the same destination`},
		{"two modes apart", twoModes + shop + strings.Replace(ship, "to:", "accounts: [live], to:", 1), ""},
		{"two modes, live only", twoModes + shop + strings.Replace(ship, "to:", "when: session.livemode, to:", 1), ""},
		{"two modes, test only", twoModes + shop + strings.Replace(ship, "to:", "when: not session.livemode and session.id != '', to:", 1), ""},
		{"two modes, one account by condition", twoModes + shop + strings.Replace(ship, "to:", "when: event.account == 'live', to:", 1), ""},
		{"two modes, either", twoModes + shop + strings.Replace(ship, "to:", "when: session.livemode or event.async, to:", 1),
			`test.yaml:7:84: rule "ship" can send test and live accounts to the same destination`},
		{"unused destination", minimal + shop, `test.yaml:5:12: destination "shop" is used by no rule`},
		{"used by a rule that is off", minimal + shop + strings.Replace(ship, "to:", "enabled: false, to:", 1), `test.yaml:5:12: destination "shop" is used by no rule`},
		{"stripe", minimal + stripe + ship, ""},
		{"stripe, unknown type", minimal + stripe + strings.Replace(ship, "fulfillable", "updated, expired", 1),
			`test.yaml:7:26: rule "ship" sends destination "shop" types that Stripe does not know: updated`},
		{"stripe, a glob", minimal + stripe + strings.Replace(ship, "fulfillable", "'[eru]*ed', no_payment_required, fulfillable", 1),
			`test.yaml:7:26: rule "ship" sends destination "shop" types that Stripe does not know: no_payment_required, regressed, updated, unresolved`},
		{"stripe, by condition", minimal + stripe + strings.Replace(ship, "events: [fulfillable]", "when: event.type == 'checkout.session.fulfillable'", 1), ""},
		{"stripe, paid", minimal + stripe + strings.Replace(ship, "fulfillable", "paid", 1),
			`test.yaml:7:26: rule "ship" sends destination "shop" types that Stripe does not know: paid (it knows only what is paid after the checkout: a rule for paid alone, with when: event.async)`},
		{"stripe, paid after the checkout", minimal + stripe + strings.Replace(strings.Replace(ship, "fulfillable", "paid", 1), "to:", "when: event.async and session.livemode, to:", 1), ""},
		{"stripe, twice", minimal + stripe + strings.Replace(ship, "fulfillable", "fulfillable, completed", 1),
			`test.yaml:7:26: destination "shop" gets both fulfillable and completed in Stripe's format: a handler of Stripe's events would act twice`},
		{"stripe, twice by two rules", minimal + stripe + ship + "  - {name: done, events: [completed], to: [shop]}\n",
			`test.yaml:8:26: destination "shop" gets both fulfillable and completed in Stripe's format: a handler of Stripe's events would act twice`},
		{"stripe by the rule", minimal + shop + strings.Replace(ship, "fulfillable], ", "created], format: stripe, ", 1),
			`test.yaml:7:26: rule "ship" sends destination "shop" types that Stripe does not know: created`},
		{"stripe, completed alone", minimal + stripe + strings.Replace(ship, "fulfillable", "completed, expired", 1),
			`test.yaml:7:26: destination "shop" gets completed in Stripe's format, and nothing when an order is paid later, as by bank transfer: write fulfillable instead, which goes out as checkout.session.completed, or as checkout.session.async_payment_succeeded when it was paid later`},
		{"stripe, completed and what is paid later", minimal + stripe + strings.Replace(ship, "fulfillable", "completed", 1) + "  - {name: later, events: [paid], when: event.async, to: [shop]}\n", ""},
		{"stripe, paid by a rule that is off", minimal + stripe + strings.Replace(ship, "fulfillable", "completed", 1) + "  - {name: later, enabled: false, events: [fulfillable], to: [shop]}\n",
			`test.yaml:7:26: destination "shop" gets completed in Stripe's format, and nothing when an order is paid later, as by bank transfer: write fulfillable instead, which goes out as checkout.session.completed, or as checkout.session.async_payment_succeeded when it was paid later`},
		{"completed alone, in our own format", minimal + shop + strings.Replace(ship, "fulfillable", "completed", 1), ""},
		{"no retry", minimal + strings.Replace(shop, "]}", "], retry: {schedule: []}}", 1) + ship,
			`test.yaml:5:107: destinations[0].retry.schedule is empty: what is refused once, or cannot be sent, is a dead letter at once; leave the key out for the default of three days, or write pauses, such as [5s, 1m, 1h]`},
		{"given up within hours", minimal + shop + ship + "poll: {unpaid_for: 1h}\n",
			`test.yaml:8:20: poll.unpaid_for` + givenUpSoon},
		{"given up within hours, of one account", minimal + "    poll: {unpaid_for: 23h59m}\n" + shop + ship,
			`test.yaml:4:24: accounts[0].poll.unpaid_for` + givenUpSoon},
		{"an age after what is given up", minimal + "    poll: {unpaid_for: 3d}\n" + shop + older,
			"test.yaml:8:45: unresolved comes once, 3d (`poll.unpaid_for`) after the checkout was completed or expired, when a session is at most a day older than that, unless it was first seen late, and no event comes when it gets older; leave this out, or make `poll.unpaid_for` longer"},
		{"an age before what is given up", minimal + shop + older, ""},
		{"given up after a day", minimal + shop + ship + "poll: {unpaid_for: 24h}\n", ""},
		{"final statuses of passing trouble", minimal + strings.Replace(shop, "]}", "], retry: {final_statuses: [400, 429, 422]}}", 1) + ship,
			`test.yaml:5:119: destinations[0].retry.final_statuses[1]: a receiver that answers 429 is in trouble for a while, and what it refuses then would be a dead letter at once: leave 429 out, so that it is tried again`},
		{"a final status of a server's trouble", minimal + strings.Replace(shop, "]}", "], retry: {final_statuses: [503]}}", 1) + ship,
			`test.yaml:5:114: destinations[0].retry.final_statuses[0]: a receiver that answers 503 is in trouble for a while, and what it refuses then would be a dead letter at once: leave 503 out, so that it is tried again`},
		{"final statuses", minimal + strings.Replace(shop, "]}", "], retry: {final_statuses: [400, 404, 301]}}", 1) + ship, ""},
		{"public http", minimal + strings.Replace(shop, "https://", "http://", 1) + ship,
			`test.yaml:5:35: destinations[0].url sends customers' data over plain HTTP to a public network`},
		{"private http", minimal + strings.Replace(shop, "https://shop.example", "http://10.1.2.3:8080", 1) + ship, ""},
		{"http to a container", minimal + strings.Replace(shop, "https://shop.example", "http://shop", 1) + ship, ""},
		{"private, refused", minimal + strings.Replace(shop, "https://shop.example", "http://10.1.2.3:8080", 1) + ship + "network: {refuse_private: true}\n",
			`test.yaml:5:35: destinations[0].url names an address that network.refuse_private forbids: each delivery would be a dead letter at once, unless allow_networks has it`},
		{"private, allowed", minimal + strings.Replace(strings.Replace(shop, "https://shop.example", "http://10.1.2.3:8080", 1), "]}", "], allow_networks: [10.1.0.0/16]}", 1) + ship +
			"network: {refuse_private: true}\n", ""},
		{"public, private refused", minimal + shop + ship + "network: {refuse_private: true}\n", ""},
		{"allowed, nothing refused", minimal + strings.Replace(shop, "]}", "], allow_networks: [10.1.0.0/16]}", 1) + ship,
			`test.yaml:5:105: destinations[0].allow_networks restricts nothing: it lists exceptions of network.refuse_private, which is off`},
		{"unsigned", minimal + strings.Replace(shop, `, secrets: ["${SECRET}"]`, "", 1) + ship,
			`test.yaml:5:35: destination "shop" has no secrets: its receiver cannot tell our callbacks from others`},
		{"same port", minimal + shop + ship + "nats: {embedded: {enabled: true, listen: 0.0.0.0:8484}}\n",
			`test.yaml:8:42: nats.embedded.listen and admin.listen want the same port 8484`},
		{"other port", minimal + shop + ship + "nats: {embedded: {enabled: true}}\n", ""},
		{"same port, not enabled", minimal + shop + ship + "nats: {embedded: {listen: 0.0.0.0:8484}}\n", ""},
		{"named twice", minimal + shop + strings.Replace(ship, "[shop]", "[shop, shop]", 1), `test.yaml:7:52: rules[0].to names "shop" twice`},
		{"no rule file", minimal + shop + ship + "rule_files: [nowhere/*.yaml]\n", `test.yaml:8:14: no rule file matches "nowhere/*.yaml"`},
		{"key over http", strings.Replace(minimal, "${KEY}", "${KEY}\n    base_url: http://api.example", 1) + shop + ship,
			`test.yaml:4:15: accounts[0].base_url sends the secret key over plain HTTP`},
		{"a variable in a condition", minimal + shop + strings.Replace(ship, "to:", "when: 'session.metadata.shop == \"${SHOP}\"', to:", 1),
			`test.yaml:7:74: rules[0].when: a variable is not expanded here: when, template and subject are used as they are`},
		{"a variable in a template", minimal + shop + strings.Replace(ship, "to:", "content_type: text/plain, template: '{{.Session.id}} ${file:/run/x} ${{.Account}}', to:", 1),
			`test.yaml:7:94: rules[0].template: a variable is not expanded here: when, template and subject are used as they are`},
		{"no variable in a condition", minimal + shop + strings.Replace(ship, "to:", `when: 'session.metadata.shop matches "^a${3}$" or session.metadata.shop == "${amount}"', to:`, 1), ""},
		{"the owner", minimal + shop + ship + "  - {name: owner, on: system, to: [shop]}\n", ""},
		{"the owner, by a destination of its own", minimal + shop + slack + ship + "  - {name: owner, on: system, to: [ops]}\n", ""},
		{"the owner of two modes", twoModes + shop + strings.Replace(ship, "to:", "accounts: [live], to:", 1) + "  - {name: owner, on: system, to: [shop]}\n", ""},
		{"the owner in Stripe's format", minimal + stripe + ship + "  - {name: owner, on: system, to: [shop]}\n",
			`test.yaml:8:35: rule "owner" sends destination "shop" the program's own events, which Stripe's format has no place for`},
		{"the owner, told of a destination by itself", minimal + shop + ship + "  - {name: owner, on: system, events: ['destination.*', delivery.dead], to: [shop]}\n",
			`test.yaml:8:39: rule "owner" tells nobody: its events are about the only destination, and none is told of its own troubles`},
		{"incidents of good ends", paged + "  - {name: over, events: [fulfillable, paid], to: [pager]}\n", `test.yaml:10:26: rule "over" opens an incident at destination "pager" for each order, and closes none: a good end closes what the same rule opened; add its events to the rule that sends expired or unresolved there`},
		{"incidents of some good ends", paged + "  - {name: large, events: [fulfillable], when: session.amount_total > 100000, to: [pager]}\n", ""},
		{"incidents that a good end closes", paged + "  - {name: over, events: [unresolved, fulfillable], to: [pager]}\n", ""},
		{"incidents that nothing closes", paged + "  - {name: night, on: system, events: [account.failing, 'destination.[fp]*', store.low_space], to: [pager]}\n",
			`test.yaml:10:39: rule "night" opens incidents at destination "pager" that nothing closes: no rule sends it destination.recovered, account.recovered`},
		{"incidents that another rule closes", paged + "  - {name: night, on: system, events: [destination.paused], to: [pager]}\n  - {name: end, on: system, events: [destination.recovered], to: [pager]}\n", ""},
		{"incidents closed by a rule that is off", paged + "  - {name: night, on: system, events: [account.failing], to: [pager]}\n  - {name: end, on: system, enabled: false, to: [pager]}\n",
			`test.yaml:10:39: rule "night" opens incidents at destination "pager" that nothing closes: no rule sends it account.recovered`},
		{"incidents of a rule with its own rendering", paged + "  - {name: night, on: system, events: [account.failing], format: pagerduty, to: [pager]}\n  - {name: end, on: system, to: [pager]}\n",
			`test.yaml:10:39: rule "night" opens incidents at destination "pager" that nothing closes: its messages have incidents of their own, and it does not send account.recovered`},
		{"incidents whose end has no failures", paged + `  - {name: night, on: system, events: ['destination.*'], when: 'raw("failures", 0) > 5', to: [pager]}` + "\n", `test.yaml:10:64: rule "night" opens incidents at destination "pager" that nothing closes: the condition never holds for destination.recovered, whose data has other members, and no other rule sends it: add a rule for it without the condition`},
		{"incidents whose end has nothing pending", paged + `  - {name: night, on: system, events: [destination.failing, destination.recovered], when: 'raw("pending", 0) >= 5000', to: [pager]}` + "\n", `test.yaml:10:91: rule "night" opens incidents at destination "pager" that nothing closes: the condition never holds for destination.recovered, whose data has other members, and no other rule sends it: add a rule for it without the condition`},
		{"incidents whose end has no reason", paged + `  - {name: night, on: system, events: ['destination.*', 'account.*'], when: 'raw("reason", "") contains "401"', to: [pager]}` + "\n", `test.yaml:10:77: rule "night" opens incidents at destination "pager" that nothing closes: the condition never holds for destination.recovered, whose data has other members, and no other rule sends it: add a rule for it without the condition`},
		{"incidents whose end has no error", paged + `  - {name: night, on: system, events: ['account.*'], when: 'event.subject == "main" and has("error")', to: [pager]}` + "\n", `test.yaml:10:60: rule "night" opens incidents at destination "pager" that nothing closes: the condition never holds for account.recovered, whose data has other members, and no other rule sends it: add a rule for it without the condition`},
		{"incidents of one type by condition", paged + `  - {name: night, on: system, events: ['account.*'], when: 'event.type endsWith "failing"', to: [pager]}` + "\n", `test.yaml:10:60: rule "night" opens incidents at destination "pager" that nothing closes: the condition never holds for account.recovered, whose data has other members, and no other rule sends it: add a rule for it without the condition`},
		{"incidents of one destination, closed for another", paged + `  - {name: night, on: system, events: ['destination.*'], when: 'event.subject == "shop" and raw("failures", 0) > 5', to: [pager]}
  - {name: end, on: system, events: [destination.recovered], when: 'event.subject == "pager"', to: [pager]}` + "\n", `test.yaml:10:64: rule "night" opens incidents at destination "pager" that nothing closes: the condition never holds for destination.recovered, whose data has other members, and no other rule sends it: add a rule for it without the condition`},
		{"incidents of one destination", paged + `  - {name: night, on: system, events: ['destination.*'], when: 'event.subject == "shop"', to: [pager]}` + "\n", ""},
		{"incidents of failures, and their ends", paged + `  - {name: night, on: system, events: ['destination.*'], when: 'raw("failures", 0) > 5 or event.type endsWith "recovered"', to: [pager]}` + "\n", ""},
		{"incidents of failures where they are told", paged + `  - {name: night, on: system, events: ['destination.*'], when: 'raw("failures", 10) > 5', to: [pager]}` + "\n", ""},
		{"incidents of failures, closed by another rule", paged + `  - {name: night, on: system, events: ['destination.*'], when: 'raw("failures", 0) > 5', to: [pager]}
  - {name: end, on: system, events: [destination.recovered], when: 'event.subject != "pager"', to: [pager]}` + "\n", ""},
		{"incidents at night", paged + `  - {name: night, on: system, events: ['account.*'], when: 'event.time.Hour() < 7 or event.time.Hour() >= 19', to: [pager]}` + "\n", ""},
		{"incidents of refused deliveries", paged + `  - {name: night, on: system, events: ['destination.*'], when: 'raw("refused", 0) > 3 or raw("down_for", "") != ""', to: [pager]}` + "\n", ""},
		{"failures without an end", paged + `  - {name: night, on: system, events: [delivery.dead, rule.failing], when: 'raw("attempts", 0) + raw("failures", 0) > 5', to: [pager]}` + "\n", ""},
		{"incidents, all of them", paged + "  - {name: night, on: system, to: [pager]}\n", ""},
		{"incidents that have no end", paged + "  - {name: night, on: system, events: [delivery.dead, rule.failing, store.low_space], to: [pager]}\n", ""},
		{"no incidents", paged + "  - {name: night, on: system, events: [account.failing], format: slack, to: [pager]}\n", ""},
		{"everything", minimal + shop + "rules:\n  - {name: all, to: [shop]}\n", `test.yaml:7:12: rule "all" has neither events nor when: it matches every event; events: ['*'] says that this is meant`},
		{"everything, meant", minimal + shop + "rules:\n  - {name: all, events: ['*'], to: [shop]}\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded := load(t, test.source, config.Options{Environ: environ("LIVE="+liveKey, "OTHER=sk_test_another")})
			if got := strings.TrimSpace(lines(loaded.Warnings)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			for _, w := range loaded.Warnings {
				if w.Severity != config.SeverityWarning || w.Code == "" {
					t.Errorf("incomplete warning %+v", w)
				}
			}
		})
	}
}

// Accounts with the same key and address poll the same sessions, wherever the key
// comes from. The key is not printed, and a key that is not known is not compared.
func TestAccountsWithOneKey(t *testing.T) {
	const warned = `test.yaml:3:31: accounts[1].secret_key is the key of accounts[0] as well: both poll the same sessions, so that each order is announced once by each; keep one of them, or give each a filter of its own` + "\n"
	for _, test := range []struct{ name, first, second, want string }{
		{"a variable", `"${KEY}"`, `"${KEY}"`, warned},
		{"a file", `"${KEY}"`, `"${file:key}"`, warned},
		{"the address spelt out", `"${KEY}"`, `"${KEY}", base_url: "https://APItest.wooshpay.com/"`, warned},
		{"another address", `"${KEY}"`, `"${KEY}", base_url: "http://127.0.0.1:9"`, ""},
		{"another key", `"${KEY}"`, `"${OTHER}"`, ""},
		{"keys that are not known", `"${UNSET}"`, `"${UNSET}"`, ""},
		{"filters apart", `"${KEY}", filter: {customer: cus_1}`, `"${KEY}", filter: {customer: cus_2}`, ""},
		{"one filter", `"${KEY}"`, `"${KEY}", filter: {customer: cus_2}`, warned},
		{"filters of two kinds", `"${KEY}", filter: {payment_intent: pi_1}`, `"${KEY}", filter: {customer: cus_2}`, warned},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := fmt.Sprintf("accounts:\n  - {name: main, secret_key: %s}\n  - {name: other, secret_key: %s}\n", test.first, test.second) + shop + ship
			loaded := load(t, source, config.Options{Environ: environ("OTHER=sk_test_another"), AllowMissingSecrets: true,
				ReadFile: func(string) ([]byte, error) { return []byte(testKey + "\n"), nil }})
			if got := lines(loaded.Warnings); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// What has no effect yet is said once, and only where it was changed.
func TestSettingsWithoutEffect(t *testing.T) {
	defaults := "state: {backup: {dir: '', every: 24h, keep: 7}}\n"
	if loaded := load(t, minimal+defaults, config.Options{}); len(loaded.Warnings) > 0 {
		t.Errorf("defaults are warned of:\n%s", lines(loaded.Warnings))
	}
	loaded := load(t, minimal+"admin: {external_url: 'https://notifier.example'}\nstate: {backup: {dir: /backup, keep: 3}}\nheartbeat: {url: 'https://ping.example/x'}\n"+
		`destinations:
  - {name: shop, type: http, url: "https://shop.example/hooks", secrets: ["${SECRET}"], retry: {on_gone: pause}}
`+ship, config.Options{Environ: environ("NOTIFIER_STATE_BACKUP_EVERY=2h")})
	want := "test.yaml:4:23: accepted, but without effect in this version: admin.external_url\n"
	if got := lines(loaded.Warnings); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Only what the rule says itself is warned of, not what became of it when a
// part was refused.
func TestRefusedEventsAreNotEveryEvent(t *testing.T) {
	_, err := config.Load(config.Options{Source: []byte(minimal + shop + "rules:\n  - {name: ship, events: paid, to: [shop]}\n"),
		Name: "test.yaml", Environ: environ()})
	if found := problemsOf(t, err); len(found.Errors) != 1 || len(found.Warnings) != 0 {
		t.Errorf("got\n%s%s", lines(found.Errors), lines(found.Warnings))
	}
}

func TestSnippetsPointIntoRules(t *testing.T) {
	_, err := config.Load(config.Options{Source: []byte(minimal + shop + `rules:
  - name: ship
    when: session.customer_email == "me@shop.example" && session.amount_totl > 5
    to: [shop]
`), Name: "test.yaml", Environ: environ()})
	if err == nil {
		t.Fatal("loaded without an error")
	}
	problems := problemsOf(t, err).Errors
	for _, p := range problems {
		if strings.Contains(p.Snippet, "me@shop") {
			t.Errorf("a snippet shows an e-mail address:\n%s", p.Snippet)
		}
		line, caret, ok := strings.Cut(p.Snippet, "\n")
		if at := strings.Index(line, "amount_totl"); p.Suggestion == "amount_total" && (!ok || at < 0 || strings.Index(caret, "^") != at) {
			t.Errorf("the caret is not under the name:\n%s", p.Snippet)
		}
	}
	if got := lines(problems); !strings.Contains(got, `test.yaml:8:66: session has no field amount_totl, did you mean "amount_total"?`) {
		t.Errorf("got\n%s", got)
	}
}

func TestRulesAreCompiled(t *testing.T) {
	loaded := load(t, minimal+shop+ship, config.Options{})
	if loaded.Rules == nil || loaded.Rules.ID() == "" {
		t.Error("no compiled rules")
	}
}

// Before a start in the future nothing is announced. Without the time of now nothing
// is said.
func TestStartInTheFuture(t *testing.T) {
	now := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	source := "accounts:\n  - {name: main, secret_key: \"${KEY}\", start: %s}\n" + shop + ship
	for _, test := range []struct {
		start string
		now   time.Time
		want  string
	}{
		{"2027-11-30T00:00:00Z", now, "test.yaml:2:47: accounts[0].start is in the future: no session that is created before then is announced, and the start of an account that was polled cannot be changed; write now, or a time that is past\n"},
		{"2026-12-01T07:59:00Z", now, ""},
		{"2025-11-30T00:00:00Z", now, ""},
		{"now", now, ""},
		{"2027-11-30T00:00:00Z", time.Time{}, ""},
	} {
		if got := lines(load(t, fmt.Sprintf(source, test.start), config.Options{Now: test.now}).Warnings); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", test.start, got, test.want)
		}
	}
}

// An event without api_version is refused by some SDKs, and not by all: this is a note.
func TestStripeWithoutAPIVersion(t *testing.T) {
	const noted = ": destinations[0].api_version is not set: SDKs such as stripe-go and Stripe.net refuse an event of another version than theirs, and one without; write the version that yours expects, such as 2025-08-27.basil\n"
	for _, test := range []struct{ name, keys, rule, want string }{
		{"none", ", format: stripe", ship, "test.yaml:5:5" + noted},
		{"empty", ", format: stripe, api_version: ''", ship, "test.yaml:5:118" + noted},
		{"by the rule", "", strings.Replace(ship, "to:", "format: stripe, to:", 1), "test.yaml:5:5" + noted},
		{"set", ", format: stripe, api_version: 2025-08-27.basil", ship, ""},
		{"another format", "", ship, ""},
	} {
		loaded := load(t, minimal+strings.Replace(shop, "]}", "]"+test.keys+"}", 1)+test.rule, config.Options{})
		if got := lines(loaded.Notes); got != test.want || len(loaded.Warnings) > 0 {
			t.Errorf("%s: got\n%s%s\nwant\n%s", test.name, got, lines(loaded.Warnings), test.want)
		}
		for _, n := range loaded.Notes {
			if n.Severity != config.SeverityNote {
				t.Errorf("%s is a %s", n, n.Severity)
			}
		}
	}
}
