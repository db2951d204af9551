package checkout

// deepestItem is the first level of a list answer on which its items are nested too deeply
// for Parse. They stand on the third level, as in {"data":[{}]}.
const deepestItem = 3 + MaxDepth

// ShortenDeep puts a number in the place of what is nested in a list answer below
// deepestItem: encoding/json would refuse the whole answer because of it. Parse refuses the
// items all the same, and tells their ids. found says whether there was such a part.
func ShortenDeep(body []byte) (short []byte, found bool) {
	depth, kept, text := 0, 0, false // kept: what is copied so far
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth == deepestItem+1 {
				short, found = append(append(short, body[kept:i]...), '0'), true
			}
		case c == '}' || c == ']':
			if depth == deepestItem+1 {
				kept = i + 1
			}
			depth--
		}
	}
	return append(short, body[kept:]...), found
}
