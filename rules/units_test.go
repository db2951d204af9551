package rules_test

import (
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// .UnixMilli() of a time is a thousand times its .Unix(): a comparison of one with the
// other says nothing of the times.
func TestSecondsComparedWithMilliseconds(t *testing.T) {
	for when, meant := range map[string]string{
		`session.created.UnixMilli() > 1795341600`:                                "session.created.Unix()",
		`1795341600 <= session.created.UnixMilli()`:                               "session.created.Unix()",
		`session.created.UnixMilli() != 1795341600`:                               "session.created.Unix()",
		`session.created.UnixMilli() < 1795341600`:                                "session.created.Unix()",
		`session.created.UnixMilli() == 1795341600`:                               "session.created.Unix()",
		`session.created.Unix() > 1795341600000`:                                  "session.created.UnixMilli()",
		`session.created.Unix() < 1.7953416e12`:                                   "session.created.UnixMilli()",
		`session.created.Unix() in [1795341600000, 1795341700000]`:                "session.created.UnixMilli()",
		`session.created.Unix() in 1795341600000..1795341600100`:                  "session.created.UnixMilli()",
		`session.created.UnixMilli() > now().Unix()`:                              "session.created.Unix()",
		`session.expires_at.Unix() < now().UnixMilli()`:                           "now().Unix()",
		`session.created.UnixMilli() > now().Unix() - 3600`:                       "session.created.Unix()",
		`session.created.Unix() + 3600 > now().UnixMilli()`:                       "now().Unix()",
		`now().UnixMilli() - 3600_000 > session.created.Unix()`:                   "session.created.UnixMilli()",
		`now().UnixMilli() - session.created.Unix() > 3600`:                       "now().Unix()",
		`abs(session.created.Unix() - now().UnixMilli()) < 5`:                     "now().Unix()",
		`session.created.Unix() * 1000 > now().Unix()`:                            "now().UnixMilli()",
		`int(session.created.UnixMilli() / 1000) < now().UnixMilli()`:             "now().Unix()",
		`3600 + session.created.Unix() > now().UnixMilli()`:                       "now().Unix()",
		`floor(session.created.UnixMilli() / 1000) < float(now().UnixMilli())`:    "",
		`raw("created", 0) > 1795341600000`:                                       "",
		`session.created.UnixMilli() > date("2026-01-01").Unix()`:                 "session.created.Unix()",
		`event.async and not (raw("created", 0) > session.created.UnixMilli())`:   "session.created.Unix()",
		`any(session.line_items.data, .price.created.UnixMilli() > now().Unix())`: ".price.created.Unix()",
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, "milliseconds") || problems[0].Suggestion != meant {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
	for _, when := range []string{
		`session.created.Unix() > 1795341600`,
		`session.created.UnixMilli() > 1795341600000`,
		`session.created.UnixMilli() > now().UnixMilli() - 3600`,
		`now().Unix() - session.created.Unix() > 3600`,
		`now().UnixMilli() - session.created.UnixMilli() > 3600_000`,
		`session.created.Unix() * 1000 > now().UnixMilli() - 5`,
		`session.created.UnixMilli() / 1000 > now().Unix() - 5`,
		`int(session.metadata.deadline ?? "0") > now().Unix()`,
		`int(session.metadata.deadline ?? "0") > now().UnixMilli()`,
		`session.amount_total > 1795341600`,
		`session.amount_total > 1795341600000`,
		`session.amount_total + 1_795_341_600 > 1_795_341_600_000`,
		`raw("created", 0) > now().Unix() - 3600`,
		`session.created.Unix() % 1000 == 5`,
	} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}

// Whether it never holds or always does, if there is a time, is said.
func TestWhatSecondsAndMillisecondsAreToEachOther(t *testing.T) {
	for when, holds := range map[string]bool{
		`session.created.UnixMilli() > now().Unix()`:           true,
		`session.created.UnixMilli() >= now().Unix()`:          true,
		`session.created.UnixMilli() != now().Unix()`:          true,
		`session.created.UnixMilli() == now().Unix()`:          false,
		`session.created.UnixMilli() < now().Unix()`:           false,
		`session.created.UnixMilli() <= now().Unix()`:          false,
		`session.created.Unix() < now().UnixMilli()`:           true,
		`session.created.Unix() > now().UnixMilli()`:           false,
		`session.created.Unix() in [1795341600000]`:            false,
		`session.created.Unix() in 1795341600000..17953416001`: false,
	} {
		says, code := "holds at no time", rules.CodeNeverMatches
		if holds {
			says, code = "holds at all times", rules.CodeMisleading
		}
		problems := warningsOf(t, when)
		if len(problems) == 0 || !strings.Contains(problems[0].Message, says) || problems[0].Code != code {
			t.Errorf("%s: want %s, got %s", when, says, describe(problems))
		}
		e, previous := paid(t, nil)
		if result := compile(t, rule("r", when)).Match(e, previous, now); len(result.Targets) > 0 != holds {
			t.Errorf("%s: %+v", when, result)
		}
	}
}

// A time that is compared with the number of another is told to be compared with that
// time itself, so that nobody is led to another factor of a thousand.
func TestATimeComparedWithTheNumberOfATime(t *testing.T) {
	for when, says := range map[string]string{
		`session.created > now().Unix()`:                      "leave .Unix() out",
		`session.created > now().UnixMilli()`:                 "leave .UnixMilli() out",
		`session.expires_at.UnixMilli() <= now()`:             "leave .UnixMilli() out",
		`session.created > now().Unix() - 3600`:               `now() - duration("1h")`,
		`session.created.UnixMilli() + 3600_000 < event.time`: `now() - duration("1h")`,
		`session.created > date("2026-01-01").Unix()`:         "leave .Unix() out",
		`session.created > 2026-01-31`:                        `date("2026-01-31")`,
		`session.created > 1795341600000`:                     `date("2026-11-22T10:00:00Z")`,
	} {
		_, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, says) {
			t.Errorf("%s: want %s, got %s", when, says, describe(problems))
		}
	}
}

// A number has no leading zeros: what has some is a text.
func TestLeadingZeros(t *testing.T) {
	for when, meant := range map[string]string{
		`raw("zip") == 01067`:            `"01067"`,
		`raw("zip") in ["01067", 01069]`: `"01069"`,
		`00_7 != raw("order")`:           `"007"`,
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, "leading zero") || problems[0].Suggestion != meant {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
	for _, when := range []string{`session.amount_total > 0`, `session.amount_total > 0x10`, `session.amount_total > 010`, `int(session.metadata.zip ?? "0") == 01067`, `raw("a", 0.5) > 0.25`, `session.amount_total in 0..100`} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}
