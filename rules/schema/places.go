package schema

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// OtherPlaces says where a session has a field of a name, or of one that is spelt like it,
// "" if nowhere. prefix stands before a path; inItem says that it is asked in the condition
// on a line item, whose fields begin with a dot.
func OtherPlaces(name, prefix string, inItem bool) string {
	const items, most = "line_items.data[].", 3
	var places []string
	for _, path := range Paths() {
		if path == name || strings.HasSuffix(path, "."+name) {
			places = append(places, path)
		}
	}
	if len(places) == 0 {
		places = PlacesOf(SessionType, name)
	}
	places = places[:min(len(places), most)]
	for i, path := range places {
		member, ofItem := strings.CutPrefix(path, items)
		if ofItem && inItem && !strings.Contains(member, "[]") {
			places[i] = "." + member
		} else {
			places[i] = Placed(path, prefix)
		}
	}
	if len(places) == 0 {
		return ""
	}
	return "; there is " + strings.Join(places, " and ")
}

// Placed is how a field of a session is asked for, inside of lists by any.
func Placed(path, prefix string) string {
	lists := strings.Split(path, "[].")
	last := len(lists) - 1
	if last == 0 {
		return prefix + path
	}
	asked := "." + lists[last] + " == …"
	switch t := TypesOfFields()["session."+path]; {
	case strings.HasPrefix(t, "list"):
		asked = "len(." + lists[last] + ") > 0"
	case t == "object" || strings.HasPrefix(t, "map"):
		asked = "." + lists[last] + ".… == …"
	}
	for i := last - 1; i > 0; i-- {
		asked = fmt.Sprintf("any(.%s, %s)", lists[i], asked)
	}
	return fmt.Sprintf("any(%s%s, %s)", cmp.Or(prefix, "session."), lists[0], asked)
}

// TypesOfFields are the types of the fields of a session, as the reference names them.
var TypesOfFields = sync.OnceValue(func() map[string]string {
	types := make(map[string]string)
	for _, f := range Fields() {
		types[f.Name] = f.Type
	}
	return types
})

var elementIndex = regexp.MustCompile(`\.[0-9]+\b`)

// SentAsText says whether the API sends a field as text, or may: what the reference
// calls a text, metadata, and the numbers of line items.
func SentAsText(path string) bool {
	name := "session." + elementIndex.ReplaceAllString(path, "[]")
	if object, _, inside := strings.Cut(name, ".metadata."); inside {
		return TypesOfFields()[object+".metadata"] != ""
	}
	t := TypesOfFields()[name]
	return t == "string" || t == "int" && strings.Contains(name, "[]")
}
