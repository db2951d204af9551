package secret

import (
	"html"
	"strconv"
	"unicode/utf8"
)

// escapes are the first bytes of escapes.
const escapes = `\%&`

// longestEscape is the length of the longest escape of a byte, &DiacriticalGrave;.
const longestEscape = 18

// unescape decodes one layer of the escapes of JSON, HTML and URLs: \/, \u002f,
// %2F, &#47;, &amp; and the like. Byte i of the result stands at places[i] of
// the original, whose length the last place is; at are the places of the text
// itself, nil when it is the original.
func unescape(text []byte, at []int, length int) (decoded []byte, places []int) {
	decoded = make([]byte, 0, len(text))
	places = make([]int, 0, len(text)+1)
	for i := 0; i < len(text); {
		place := i
		if at != nil {
			place = at[i]
		}
		c, n := escape(text[i:])
		if n == 0 {
			decoded, places = append(decoded, text[i]), append(places, place)
			i++
			continue
		}
		if text[i] == '%' || text[i+1] == 'x' { // of a byte
			decoded = append(decoded, byte(c))
		} else {
			decoded = utf8.AppendRune(decoded, c)
		}
		for len(places) < len(decoded) {
			places = append(places, place)
		}
		i += n
	}
	return decoded, append(places, length)
}

// escape decodes the escape that a text begins with; n is its length, 0 when
// there is none.
func escape(text []byte) (c rune, n int) {
	switch text[0] {
	case '\\':
		return jsonEscape(text)
	case '%':
		return number(text, 1, 3)
	case '&':
		return htmlEscape(text)
	}
	return 0, 0
}

func jsonEscape(text []byte) (c rune, n int) {
	switch {
	case len(text) < 2:
		return 0, 0
	case text[1] == 'u':
		return number(text, 2, 6)
	case text[1] == 'x':
		return number(text, 2, 4)
	case text[1] == '/' || text[1] == '"' || text[1] == '\\' || text[1] == '\'':
		return rune(text[1]), 2
	}
	return 0, 0
}

// htmlEscape decodes an escape of HTML, which need not end with a semicolon.
func htmlEscape(text []byte) (c rune, n int) {
	n = 1
	for n < min(len(text), longestEscape) && (text[n] == '#' || text[n] < utf8.RuneSelf && hostByte(text[n])) {
		n++
	}
	if n < len(text) && text[n] == ';' {
		n++
	}
	plain := html.UnescapeString(string(text[:n]))
	c, size := utf8.DecodeRuneInString(plain)
	n -= len(plain) - size // what follows the escape
	if n <= size {
		return 0, 0
	}
	return c, n
}

// number decodes the code of a character, or of a byte. That of half a character of
// UTF-16 is none: no secret has such.
func number(text []byte, from, to int) (c rune, n int) {
	if to > len(text) {
		return 0, 0
	}
	code, err := strconv.ParseUint(string(text[from:to]), 16, 32)
	if err != nil || code == 0 || code > utf8.MaxRune || !utf8.ValidRune(rune(code)) {
		return 0, 0
	}
	return rune(code), to
}
