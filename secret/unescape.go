package secret

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// escapes are the first bytes of escapes.
const escapes = `\%&`

// longestEscape is the length of the longest escape that is decoded: a line
// feed in HTML may take more, a secret has none.
const longestEscape = 8

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
		for range utf8.RuneLen(c) {
			places = append(places, place)
		}
		decoded = utf8.AppendRune(decoded, c)
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
		return number(text, 1, 3, 16, 3)
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
		return number(text, 2, 6, 16, 6)
	case text[1] == 'x':
		return number(text, 2, 4, 16, 4)
	case text[1] == '/' || text[1] == '"' || text[1] == '\\' || text[1] == '\'':
		return rune(text[1]), 2
	}
	return 0, 0
}

var entities = map[string]rune{
	"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\'', "sol": '/', "equals": '=', "plus": '+', "commat": '@', "num": '#',
}

func htmlEscape(text []byte) (c rune, n int) {
	end := bytes.IndexByte(text[:min(len(text), longestEscape)], ';')
	switch {
	case end < 2:
		return 0, 0
	case text[1] != '#':
		c, ok := entities[string(text[1:end])]
		if !ok {
			return 0, 0
		}
		return c, end + 1
	case text[2] == 'x' || text[2] == 'X':
		return number(text, 3, end, 16, end+1)
	}
	return number(text, 2, end, 10, end+1)
}

// number decodes the code of a character. That of half a character of UTF-16,
// and of more than one byte in a URL, is none: no secret has such.
func number(text []byte, from, to, base, length int) (c rune, n int) {
	if to > len(text) || from >= to {
		return 0, 0
	}
	code, err := strconv.ParseUint(string(text[from:to]), base, 32)
	if err != nil || code == 0 || code > utf8.MaxRune || !utf8.ValidRune(rune(code)) || text[0] == '%' && code >= utf8.RuneSelf {
		return 0, 0
	}
	return rune(code), length
}
