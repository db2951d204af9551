package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"

	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// overlay lays sections over one another; lists are replaced, never joined.
func overlay(layers ...map[string]any) (map[string]any, error) {
	k := koanf.New(".")
	for _, layer := range layers {
		// No delimiter: keys with dots, such as header names, stay whole.
		if err := k.Load(confmap.Provider(layer, ""), nil); err != nil {
			return nil, fmt.Errorf("laying configuration layers over one another: %w", err)
		}
	}
	return k.Raw(), nil
}

// decode turns a section into the type that it was derived from.
func decode(section map[string]any, into any) error {
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(section, ""), nil); err != nil {
		return fmt.Errorf("taking over the configuration: %w", err)
	}
	// Every value has its type already, so there is nothing to convert.
	if err := k.Unmarshal("", into); err != nil {
		return fmt.Errorf("taking over the configuration: %w", err)
	}
	return nil
}

// elements lists the sections of a list in a layer.
func elements(layer map[string]any, key string) []map[string]any {
	list, _ := layer[key].([]any)
	sections := make([]map[string]any, len(list))
	for i, element := range list {
		sections[i], _ = element.(map[string]any)
	}
	return sections
}

// effective lays the four layers over one another, then gives each element of a
// list its own defaults and what it inherits.
func (l *loader) effective(file map[string]any) (Config, error) {
	top, err := overlay(encodeSection(Default()), file, l.environmentLayer(), l.flagLayer())
	if err != nil {
		return Config{}, err
	}
	var config Config
	for _, finish := range []func(top, file map[string]any) error{l.accounts, l.nats, l.destinations, l.rules} {
		if err := finish(top, file); err != nil {
			return Config{}, err
		}
	}
	if err := decode(top, &config); err != nil {
		return Config{}, err
	}
	l.resolvePaths(&config)
	return config, nil
}

func (l *loader) accounts(top, file map[string]any) error {
	poll, _ := top["poll"].(map[string]any)
	var list []any
	for _, own := range elements(file, "accounts") {
		defaults := encodeSection(defaultAccount(Default().Poll))
		defaults["poll"] = poll
		account, err := overlay(defaults, own)
		if err != nil {
			return err
		}
		list = append(list, account)
	}
	top["accounts"] = list
	return nil
}

// nats finishes the section that destinations inherit: a default address gives
// way to a context's, and follows the embedded server's.
func (l *loader) nats(top, _ map[string]any) error {
	nats, _ := top["nats"].(map[string]any)
	if _, given := l.places["nats.url"]; given {
		return nil
	}
	embedded, _ := nats["embedded"].(map[string]any)
	listen, _ := embedded["listen"].(string)
	switch {
	case nats["context"] != "":
		nats["server"] = ""
	case embedded["enabled"] == true:
		if at := embeddedURL(listen); at != "" {
			nats["server"] = at
		}
	}
	return nil
}

// ofContext are the keys that a context of the nats CLI gives as well: one that
// a destination names brings its own server and credentials.
var ofContext = map[string]string{
	"url": "server", "creds": "creds", "nkey": "nkey", "user": "user", "password": "password", "token": "token",
}

// replaced are the keys that a destination does not inherit, because it says
// otherwise where it connects or who it is: credentials are taken whole or not
// at all, two halves of different ones open nothing.
func replaced(own map[string]any) []string {
	given := func(key string) bool { return own[key] != nil && own[key] != "" }
	if given("context") {
		return slices.Collect(maps.Keys(ofContext))
	}
	for way, others := range map[string][]string{
		"creds": {"nkey", "user", "password", "token"}, "nkey": {"creds", "user", "password", "token"},
		"user": {"creds", "nkey", "token"}, "token": {"creds", "nkey", "user", "password"},
	} {
		if given(way) {
			return others
		}
	}
	return nil
}

func (l *loader) destinations(top, file map[string]any) error {
	nats, _ := top["nats"].(map[string]any)
	nats = maps.Clone(nats)
	delete(nats, "embedded")
	var list []any
	for i, own := range elements(file, "destinations") {
		path := "destinations[" + strconv.Itoa(i) + "]"
		defaults := []map[string]any{encodeSection(publish.DefaultHTTP())}
		if own["type"] == publish.TypeNATS {
			inherited := maps.Clone(nats)
			for _, key := range replaced(own) {
				inherited[ofContext[key]] = ""
				l.detached[join(path, key)] = true
			}
			defaults = []map[string]any{encodeSection(publish.DefaultNATS()), inherited}
			own = maps.Clone(own)
			if url, ok := own["url"]; ok {
				own["server"] = url
				delete(own, "url")
			}
		}
		destination, err := overlay(append(defaults, own)...)
		if err != nil {
			return err
		}
		if _, given := l.places[join(path, "format")]; !given && own["template"] != nil && own["template"] != "" {
			destination["format"] = publish.FormatTemplate
		}
		list = append(list, destination)
	}
	top["destinations"] = list
	return nil
}

func (l *loader) rules(top, file map[string]any) error {
	var list []any
	for _, own := range elements(file, "rules") {
		rule, err := overlay(encodeSection(rules.Rule{On: rules.OnEvent, Enabled: true}), own)
		if err != nil {
			return err
		}
		list = append(list, rule)
	}
	top["rules"] = list
	return nil
}
