package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"checkout-notifier/spelling"
)

// environmentPrefix begins the names of our variables.
const environmentPrefix = "NOTIFIER_"

// serviceName matches what Kubernetes sets in each container for a Service whose
// name begins with notifier: NOTIFIER_SERVICE_HOST, NOTIFIER_NATS_PORT,
// NOTIFIER_X_PORT_4222_TCP_ADDR and the like.
var serviceName = regexp.MustCompile(`^NOTIFIER(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// EnvNames returns the environment variables that set a key, with the key's
// path: every key that is in no list.
func EnvNames() map[string]string {
	names := make(map[string]string)
	for path := range leaves(document) {
		names[envName(path)] = path
	}
	return names
}

// Variable is an environment variable that sets a key.
type Variable struct {
	Name, Key string
	Type      string // what its value must be
	Default   string // "" for none
}

// Variables lists the environment variables that set a key, in the order of the
// keys in the reference.
func Variables() []Variable {
	var found []Variable
	var visit func(s *schema, defaults map[string]any, path string)
	visit = func(s *schema, defaults map[string]any, path string) {
		for _, f := range s.fields {
			at := join(path, f.name)
			switch f.kind {
			case kindSection:
				inner, _ := defaults[f.tag].(map[string]any)
				visit(f.schema, inner, at)
			case kindList, kindMap:
			case kindDuration:
				d, _ := defaults[f.tag].(time.Duration)
				found = append(found, Variable{Name: envName(at), Key: at, Type: f.kind.String(), Default: FormatDuration(d)})
			default:
				found = append(found, Variable{Name: envName(at), Key: at, Type: f.kind.String(), Default: fmt.Sprint(defaults[f.tag])})
			}
		}
	}
	visit(document, encodeSection(Default()), "")
	return found
}

func envName(path string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// leaves are the keys outside lists, by path.
func leaves(s *schema) map[string]*schema {
	found := make(map[string]*schema)
	var visit func(s *schema, path string)
	visit = func(s *schema, path string) {
		for _, f := range s.fields {
			at := join(path, f.name)
			switch f.kind {
			case kindSection:
				visit(f.schema, at)
			case kindList, kindMap:
			default:
				found[at] = f.schema
			}
		}
	}
	visit(s, "")
	return found
}

// lists are the paths that neither variables nor flags can set.
func lists(s *schema) []string {
	var found []string
	for _, f := range s.fields {
		switch f.kind {
		case kindList, kindMap:
			found = append(found, f.name)
		case kindSection:
			for _, inner := range lists(f.schema) {
				found = append(found, join(f.name, inner))
			}
		}
	}
	return found
}

// environment splits NAME=value pairs; the last of two wins, as in a process.
func environment(pairs []string) map[string]string {
	env := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// environmentLayer reads the variables that set a key.
func (l *loader) environmentLayer() map[string]any {
	layer := make(map[string]any)
	known, schemas := EnvNames(), leaves(document)
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if !strings.HasPrefix(name, environmentPrefix) || name == FileVariable {
			continue
		}
		path, ok := known[name]
		switch {
		case ok: // first: no key is given up because its name looks like that of others
		case l.used[name], serviceName.MatchString(name): // the operator's own, or those of Kubernetes
			continue
		default:
			l.unknownVariable(name, known)
			continue
		}
		l.set(layer, path, l.env[name], schemas[path], Origin{Source: SourceEnvironment, Name: name}, codeEnvironment)
	}
	return layer
}

func (l *loader) unknownVariable(name string, known map[string]string) {
	p := Problem{File: name, Severity: SeverityWarning, Code: codeEnvironment, Message: "this variable sets nothing"}
	for _, list := range lists(document) {
		if listName := envName(list); name == listName || strings.HasPrefix(name, listName+"_") {
			p.Message = fmt.Sprintf("this variable sets nothing: %s is a list, which only the file can set", list)
			l.add(p)
			return
		}
	}
	short := []string{strings.ToLower(strings.TrimPrefix(FileVariable, environmentPrefix))}
	for other := range known {
		short = append(short, strings.ToLower(strings.TrimPrefix(other, environmentPrefix)))
	}
	slices.Sort(short)
	if near := spelling.Suggest(strings.ToLower(strings.TrimPrefix(name, environmentPrefix)), short); near != "" {
		p.Severity, p.Message = SeverityError, "unknown variable"
		p.Suggestion = environmentPrefix + strings.ToUpper(near)
	}
	l.add(p)
}

// flagLayer reads the dotted keys that the command line sets.
func (l *loader) flagLayer() map[string]any {
	layer := make(map[string]any)
	schemas := leaves(document)
	for _, path := range slices.Sorted(maps.Keys(l.options.Flags)) {
		origin := Origin{Source: SourceFlag, Name: path}
		if s, ok := schemas[path]; ok {
			l.set(layer, path, l.options.Flags[path], s, origin, codeFlag)
			continue
		}
		p := Problem{File: origin.String(), Severity: SeverityError, Code: codeFlag, Message: "unknown key"}
		if slices.ContainsFunc(lists(document), func(list string) bool { return strings.HasPrefix(path, list) }) {
			p.Message = "lists can only be set in the file"
		} else {
			p.Suggestion = spelling.Suggest(path, slices.Sorted(maps.Keys(schemas)))
		}
		l.add(p)
	}
	return layer
}

// set writes one value of a layer under its path.
func (l *loader) set(layer map[string]any, path, text string, s *schema, origin Origin, code string) {
	delete(l.failed, path) // what the file says there no longer matters to anyone but its reader
	delete(l.missing, path)
	l.places[path] = place{origin: origin, expanded: true}
	value, err := coerce(s.kind, text)
	if err != nil {
		l.add(Problem{File: origin.String(), Severity: SeverityError, Code: code, Message: fmt.Sprintf("%s %v", path, err)})
		l.failed[path] = true
		return
	}
	steps := strings.Split(path, ".")
	at, in := document, layer
	for i, step := range steps {
		f, _ := at.field(step)
		if i == len(steps)-1 {
			in[f.tag] = value
			return
		}
		inner, ok := in[f.tag].(map[string]any)
		if !ok {
			inner = make(map[string]any)
			in[f.tag] = inner
		}
		at, in = f.schema, inner
	}
}
