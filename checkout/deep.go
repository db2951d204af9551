package checkout

import "strings"

// itemDepth is how deep an item of a list stands, as in {"data":[{}]}.
const itemDepth = 3

// tooDeep is an item that Parse refuses for its depth alone.
var tooDeep = `{"":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`

// ShortenDeep puts tooDeep in the place of each item of a list answer that is nested
// so deeply that encoding/json would refuse the whole answer because of it. found
// says whether there is one.
func ShortenDeep(body []byte) (short []byte, found bool) {
	depth, deep, text := 0, false, false
	item, kept := 0, 0 // where the present item begins, and what is copied so far
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth == itemDepth {
				item, deep = i, false
			}
			deep = deep || depth >= itemDepth+MaxDepth
		case c == '}' || c == ']':
			if depth == itemDepth && deep {
				short = append(append(short, body[kept:item]...), tooDeep...)
				kept, found = i+1, true
			}
			depth--
		}
	}
	return append(short, body[kept:]...), found
}
