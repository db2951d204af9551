package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkout-notifier/config"
)

// withRule is a configuration with one rule, on lines 7 and 8.
func withRule(rule string) string {
	return minimal + shop + "rules:\n  - {name: ship, events: [paid], to: [shop]}\n  - name: r\n    events: [paid]\n    to: [shop]\n" + rule
}

// YAML takes a word that begins with ! away from its value: a condition would be
// the opposite of what was meant, or always hold.
func TestTagsAreRefused(t *testing.T) {
	const tag = " is read as a YAML tag and not as a part of the value: put the value in quotes"
	for source, want := range map[string]string{
		"    when: ! session.livemode\n":                 `test.yaml:11:11: "!"` + tag + ", or write `not session.livemode`",
		"    when: !session.livemode\n":                  `test.yaml:11:11: "!session.livemode"` + tag + ", or write `not session.livemode`",
		"    when: !session.livemode == true\n":          `test.yaml:11:11: "!session.livemode"` + tag + ", or write `not session.livemode == true`",
		"    when: !\n      session.livemode\n":          `test.yaml:11:11: "!"` + tag + ", or write `not session.livemode`",
		"    when: &a !session.livemode\n":               `test.yaml:11:14: "!session.livemode"` + tag + ", or write `not session.livemode`",
		"    when: ! |\n      session.livemode\n":        `test.yaml:11:11: "!"` + tag + ", or write `not session.livemode`",
		"    when: !event.async \"x\"\n":                 `test.yaml:11:11: "!event.async"` + tag + ", or write `not event.async x`",
		"    !when when: event.async\n":                  `test.yaml:11:5: "!when"` + tag,
		"    enabled: !off true\n":                       `test.yaml:11:14: "!off"` + tag,
		"    labels: {team: !shop a}\n":                  `test.yaml:11:20: "!shop"` + tag,
		"    labels: !team {a: b}\n":                     `test.yaml:11:13: "!team"` + tag,
		"    labels: ! {a: b}\n":                         `test.yaml:11:13: "!"` + tag,
		"    labels:\n      ! a: b\n":                    `test.yaml:12:7: "!"` + tag,
		"    template: !tpl '{{ json .Session.id }}'\n":  `test.yaml:11:15: "!tpl"` + tag,
		"    labels: {team: !!binary aGVsbG8=}\n":        "test.yaml:11:20: the YAML tag !!binary is not supported here: write the value without it",
		"    labels: !!set {a: b}\n":                     "test.yaml:11:13: the YAML tag !!set is not supported here: write the value without it",
		"    labels: {team: !!int shop}\n":               "test.yaml:11:20: the YAML tag !!int does not fit its value",
		"    enabled: !!str true\n":                      "test.yaml:11:14: rules[1].enabled must be true or false: write it without quotes",
		"    when: [event.async]\n":                      "test.yaml:11:11: rules[1].when must be text, not a list: put the text in quotes",
		"    when:\n      a: b\n":                        "test.yaml:12:7: rules[1].when must be text, not a map: put the text in quotes",
		"    when: !has(\"customer\")\n":                 `not valid YAML: did not find expected whitespace or line break (an expression that begins with a quote`,
		"    when: !event.async && event.inferred\n":     `not valid YAML: did not find expected alphabetic or numeric character (an expression that begins with a quote`,
		"    when: \"paid\" == session.payment_status\n": `not valid YAML: did not find expected key (an expression that begins with a quote`,
		"    when: event.async ? true : false\n":         `not valid YAML: mapping values are not allowed in this context (an expression that begins with a quote`,
		"    when:\n":                                    "test.yaml:11:10: rules[1].when has no value",
		"    when: ''\n":                                 "test.yaml:11:11: rules[1].when has no value",
		"    when: \" \\n\"\n":                           "test.yaml:11:11: rules[1].when has no value",
		"    when: |\n\n":                                "test.yaml:11:11: rules[1].when has no value",
		"    enabled: \"no\"\n":                          `test.yaml:11:14: rules[1].enabled must be true or false, not "no"`,
	} {
		if got := strings.TrimSpace(refused(t, withRule(source), config.Options{})); strings.Contains(got, "\n") || !strings.Contains(got, want) {
			t.Errorf("%s got %s\nwant %s", source, got, want)
		}
	}
}

// A comment ends a text without quotes for YAML, and what follows in the next line is
// told as a mistake in a language that nobody wrote: the error says what became of it.
func TestCommentsInsideConditions(t *testing.T) {
	const cut = "(a comment ends a text in YAML, so that this line is no part of the condition: write it under `when: |`, where // begins a comment)"
	for source, want := range map[string]string{
		"    when: session.livemode # no tests\n      && event.async\n":                                    "test.yaml:12:7: not valid YAML: did not find expected alphabetic or numeric character " + cut,
		"    when: session.livemode && # no tests\n      event.async\n":                                    "test.yaml:12:7: not valid YAML: did not find expected key " + cut,
		"    when: session.livemode # no tests\n      and event.async\n":                                   cut,
		"    when: session.livemode # note: no tests\n      and event.async\n":                             cut,
		"    when: session.livemode\n      && event.async # paid later\n      && event.inferred\n":         "test.yaml:13:7: not valid YAML: did not find expected alphabetic or numeric character " + cut,
		"    when: session.livemode\n      # paid later\n      or event.async\n":                           cut,
		"    when: session.livemode # no tests\n\n      # paid later\n      or event.async\n":              cut,
		"    when:\n      session.livemode # no tests\n      or event.async\n":                             cut,
		"    when: # no tests\n      session.livemode # paid later\n      or event.async\n":                cut,
		"    when: (session.livemode # no tests\n      || event.async)\n":                                  cut,
		"    when: \"session.livemode\" # no tests\n      && event.async\n":                                cut,
		"  - when: session.livemode # no tests\n      && event.async\n    name: x\n    to: [shop]\n":       cut,
		"    when: session.livemode # no tests\n      or session.amount_total > (event.async ? 5 : 6)\n":   cut,
		"    when: |\n      session.livemode # no tests\n      && event.async\n":                           "unexpected #; a comment begins with //",
		"    when: >\n      session.livemode # no tests\n      && event.async\n":                           "unexpected #; a comment begins with //",
		"    when: session.livemode // no tests\n      && event.async\n":                                   "the comment takes in the rest of the condition",
		"    when: session.livemode # no tests\n      to: [shop]\n":                                        "",
		"    when: # of customers\n      !has(\"customer\")\n":                                             "",
		"    # when: session.livemode # no tests\n     && event.async\n":                                   "",
		"    when: session.livemode # no tests\n    enabled: true\n    template: {{ .Session.id }} paid\n": "",
		"    when: session.livemode\n    labels: {a: b} # of ours\n      c\n":                              "",
		"    when: |\n      session.livemode // # no tests\n    template: {{ .Session.id }} paid\n":        "",
		"    when: any(session.line_items.data, #.quantity == \"1\")\n    template: {{ .Session.id }} x\n": "",
	} {
		got := strings.TrimSpace(refused(t, withRule(source), config.Options{}))
		if !strings.Contains(got, want) || want == "" && strings.Contains(got, "a comment") {
			t.Errorf("%s got %s\nwant %s", source, got, want)
		}
	}
}

// The place of a tag is found whatever ends the lines before it.
func TestTagsBehindOtherLineBreaks(t *testing.T) {
	for _, before := range []string{"\u2028", "\u2029", "\u0085", "\r"} {
		got := refused(t, withRule("    labels: {a: 'x"+before+" y'}\n    when: ! event.async\n"), config.Options{})
		if !strings.Contains(got, `:11: "!" is read as a YAML tag`) {
			t.Errorf("%q: %s", before, got)
		}
	}
	got := refused(t, strings.ReplaceAll(withRule("    when: ! event.async\n"), "\n", "\r\n"), config.Options{})
	if !strings.HasPrefix(got, `test.yaml:11:11: "!" is read`) {
		t.Errorf("CRLF: %s", got)
	}
	for source, want := range map[string]string{
		"--- !cfg\n" + minimal: "test.yaml:1:5: \"!cfg\"", "--- ! # a\n" + minimal: "test.yaml:1:5: \"!\"", "!k accounts: []\n": "test.yaml:1:1: \"!k\"",
		"rule_files: [!a x.yaml]\n" + minimal: "test.yaml:1:14: \"!a\"", "? !k accounts\n: []\n": "test.yaml:1:3: \"!k\"",
		"%TAG ! tag:example.com,2026:\n---\nlog: {level: !x info}\n" + minimal: "test.yaml:3:14: \"!x\"",
	} {
		if got := refused(t, source, config.Options{}); !strings.Contains(got, want+" is read as a YAML tag") {
			t.Errorf("%s got %s", source, got)
		}
	}
}

func TestTagsInRuleFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "more.yaml")
	if err := os.WriteFile(name, []byte("rules:\n  - {name: r, when: ! event.async, events: [paid], to: [shop]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := refused(t, minimal+shop+ship+"rule_files: ["+name+"]\n", config.Options{})
	if !strings.HasPrefix(got, name+`:2:21: "!" is read as a YAML tag`) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
}

// A standard tag says what the value is anyway; an alias stands for what is
// written elsewhere.
func TestWhatYAMLMayDoToAValue(t *testing.T) {
	for source, want := range map[string]string{
		"    when: !!str event.async\n":                               "event.async",
		"    when: !<tag:yaml.org,2002:str> event.async\n":            "event.async",
		"    when: &live session.livemode\n":                          "session.livemode",
		"    when: '!session.livemode'\n":                             "!session.livemode",
		"    when: \"! session.livemode\" # quoted\n":                 "! session.livemode",
		"    when: not session.livemode # fine\n":                     "not session.livemode",
		"    when: |\n      ! session.livemode // no tests\n":         "! session.livemode // no tests\n",
		"    when: |\n      event.async // late\n      && true\n":     "event.async // late\n&& true\n",
		"    when: >-\n      event.async\n      && true // both\n":    "event.async && true // both",
		"    when: event.async\n      && session.id != 'http://x'\n":  "event.async && session.id != 'http://x'",
		"    when: event.async /* // */\n      && session.livemode\n": "event.async /* // */ && session.livemode",
		"    enabled: !!bool true\n    labels: !!map {a: !!str 5}\n":  "",
		"    <<: {when: session.livemode}\n":                          "session.livemode",
		"    when: true\n":                                            "true",
		"    when: \"event.async // a\\n&& session.livemode\"\n":      "event.async // a\n&& session.livemode",
	} {
		loaded := load(t, withRule(source), config.Options{})
		if got := loaded.Config.Rules[1].When; got != want {
			t.Errorf("%s got %q, want %q", source, got, want)
		}
	}
}

// Outside `when: |` the lines of a text are one, and a comment ends with it.
func TestCommentsThatTakeInTheRestAreRefused(t *testing.T) {
	const message = "the comment takes in the rest of the condition, because YAML joins the lines to one: write `when: |`, or /* … */\n"
	for source, want := range map[string]string{
		"    when: >\n      event.async // late\n      && session.livemode\n":   "test.yaml:12:19: " + message,
		"    when: event.async // late\n      && session.livemode\n":            "test.yaml:11:23: " + message,
		"    when: \"event.async // late\n      && session.livemode\"\n":        "test.yaml:11:24: " + message,
		"    when: 'session.id != \"//\" // late\n      && session.livemode'\n": "test.yaml:11:31: " + message,
		"    when: session.metadata[\"order #5\"] == \"a\"\n":                   "test.yaml:11:28: this text has no closing quote; YAML takes what stands behind ` #` for a comment: put the expression in quotes\n",
		"    when: any(session.line_items.data, # != nil)\n":                    "test.yaml:11:14: unexpected end of the expression: this ( is not closed; YAML takes what stands behind ` #` for a comment: put the expression in quotes\n",
		"    when: session.livemode ==\n":                                       "test.yaml:11:29: unexpected end of the expression\n",
	} {
		if got := refused(t, withRule(source), config.Options{}); got != want {
			t.Errorf("%s got %swant %s", source, got, want)
		}
	}
}

func TestACommentThatTakesInTheRestIsShown(t *testing.T) {
	_, err := config.Load(config.Options{Source: []byte(withRule("    when: >\n      event.async // late\n      && session.livemode\n")), Name: "test.yaml", Environ: environ()})
	if got, want := problemsOf(t, err).Errors[0].Snippet, "event.async // late\n            ^"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDocumentMarks(t *testing.T) {
	for _, source := range []string{
		"---\n" + minimal, minimal + "---\n", minimal + "---", minimal + "...\n", minimal + "---\n# the end\n---\n", "---\n---\n" + minimal,
		"\xef\xbb\xbf---\n" + minimal + "---\n", strings.ReplaceAll(minimal+"---\n", "\n", "\r\n"),
	} {
		load(t, source, config.Options{})
	}
	for source, want := range map[string]string{
		minimal + "---\nversion: 1\n":      "test.yaml:4:1: the file holds more than one document: everything goes before the second `---`\n",
		minimal + "---\n---\nversion: 1\n": "test.yaml:5:1: the file holds more than one document: everything goes before the second `---`\n",
		"---\n---\n":                       "test.yaml:3:1: the file is empty\n",
		"\xff\xfev\x00:\x00":               "test.yaml:1:1: the file is written in UTF-16: save it as UTF-8\n",
		"\xfe\xff\x00v":                    "test.yaml:1:1: the file is written in UTF-16: save it as UTF-8\n",
	} {
		if got := refused(t, source, config.Options{}); got != want {
			t.Errorf("%q: got %swant %s", source, got, want)
		}
	}
}

// A comment of YAML's that reads like the rest of a condition is warned of, another
// one is not.
func TestACommentThatReadsLikeAConditionIsWarnedOf(t *testing.T) {
	for when, want := range map[string]bool{
		`session.amount_total > 1 # && session.livemode`: true,
		`session.amount_total > 1 # or session.livemode`: true,
		`session.amount_total > 1 #|| session.livemode`:  true,
		`session.amount_total > 1 # orders of any size`:  false,
		`session.amount_total > 1 # large ones`:          false,
		`"session.amount_total > 1" # && more`:           false,
		`session.amount_total > 1`:                       false,
	} {
		loaded := load(t, minimal+"destinations: [{name: shop, type: http, url: \"https://shop.example/hooks\", format: slack}]\n"+
			"rules:\n  - name: r\n    events: [paid]\n    to: [shop]\n    when: "+when+"\n", config.Options{})
		if got := strings.Contains(lines(loaded.Warnings), "reads like a part of the condition"); got != want {
			t.Errorf("%s: %q", when, lines(loaded.Warnings))
		}
	}
}
