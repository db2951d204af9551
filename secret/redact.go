package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

const (
	leastHidden  = 4  // shorter texts are no secrets, and turn up in every answer
	leastStart   = 12 // that many first bytes of a secret give it away,
	mostStart    = 16 // and of a longer one half, up to this many
	leastEncoded = 8  // the forms of a shorter text turn up by chance
	escapeDepth  = 5  // as in a request in a string of JSON on a page of HTML, and then some
)

// hidden is a text that must not be kept, and how many of its first bytes are
// enough to know it by where the rest was cut off.
type hidden struct {
	text  []byte
	start int
}

// A List is texts that Redact hides. It never changes.
type List []hidden

// NewList lists texts, each once; those that are too short are left out. One that
// looks escaped itself is listed as it would be decoded, too.
func NewList(texts ...string) List {
	list := make(List, 0, len(texts))
	for _, text := range texts {
		list = appendHidden(list, []byte(text))
		for strings.ContainsAny(text, escapes) {
			plain, _ := unescape([]byte(text), nil, len(text))
			if len(plain) == len(text) {
				break
			}
			list, text = appendHidden(list, plain), string(plain)
		}
	}
	return list
}

func appendHidden(list List, text []byte) List {
	text = spaced(text)
	known := slices.ContainsFunc(list, func(h hidden) bool { return bytes.Equal(h.text, text) })
	if len(text) < leastHidden || known {
		return list
	}
	return append(list, hidden{text, min(len(text), max(leastStart, min(len(text)/2, mostStart)))})
}

// spaced returns a text with a space for each plus: in a form, one is written as the
// other. Secrets are compared so.
func spaced(text []byte) []byte {
	if bytes.IndexByte(text, '+') < 0 {
		return text
	}
	return bytes.ReplaceAll(text, []byte("+"), []byte(" "))
}

// Encoded returns texts and how they look inside of a longer text that was written
// in Base64 or in hex. In Base64 that depends on where in a group of three bytes a
// text begins; what is left of its first and last byte is no part of the form.
func Encoded(texts ...string) []string {
	all := texts[:len(texts):len(texts)]
	for _, text := range texts {
		if len(text) < leastEncoded {
			continue
		}
		digits := hex.EncodeToString([]byte(text))
		all = append(all, digits, strings.ToUpper(digits), base64.StdEncoding.EncodeToString([]byte(text)))
		for shift := range 3 {
			form := base64.StdEncoding.EncodeToString([]byte("  "[:shift] + text))
			form = form[(shift*8+5)/6 : (shift+len(text))*8/6]
			all = append(all, form)
			if strings.ContainsAny(form, "+/") {
				all = append(all, strings.NewReplacer("+", "-", "/", "_").Replace(form))
			}
		}
	}
	return all
}

// span is a part of a text, from its first byte to the one after its last.
type span struct{ from, to int }

// Redact replaces the texts of lists and e-mail addresses, as they are or escaped as
// in JSON, HTML or a URL, by "<redacted>". A text that was cut off is searched
// for their beginnings at its end, too. What holds none of them is returned as
// it is, without a copy.
func Redact(text []byte, cut bool, lists ...List) []byte {
	spans := search(nil, text, nil, cut, lists)
	decoded, at := text, []int(nil)
	for range escapeDepth {
		if !bytes.ContainsAny(decoded, escapes) {
			break
		}
		plain, places := unescape(decoded, at, len(text))
		if len(plain) == len(decoded) {
			break // every escape is longer than what it stands for
		}
		decoded, at = plain, places
		spans = search(spans, decoded, at, cut, lists)
	}
	if len(spans) == 0 {
		return text
	}
	return replace(text, spans)
}

// search adds what of a text is to be hidden. The byte i of the text stands at
// at[i] of what it was decoded from; nil means at i.
func search(spans []span, text []byte, at []int, cut bool, lists []List) []span {
	place := func(i int) int {
		if at == nil {
			return i
		}
		return at[i]
	}
	end, plain := place(len(text)), spaced(text)
	for _, list := range lists {
		for _, h := range list {
			for from := 0; ; {
				i := bytes.Index(plain[from:], h.text[:h.start])
				if i < 0 {
					break
				}
				i += from
				from = i + common(plain[i:], h.text)
				spans = append(spans, span{place(i), place(from)})
			}
			if cut {
				if i := tail(plain, h); i >= 0 {
					spans = append(spans, span{place(i), end})
				}
			}
		}
	}
	for from := 0; ; {
		a, b := mailAddress(text, from, cut)
		if b == 0 {
			return spans
		}
		spans = append(spans, span{place(a), place(b)})
		from = b
	}
}

// common returns how many first bytes two texts share.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// tail returns where, at the end of a text that was cut, a hidden one begins;
// an escape may have been cut in the middle. It is -1 without one.
func tail(text []byte, h hidden) int {
	for end := len(text); end >= max(0, len(text)-longestEscape); end-- {
		if end < len(text) && strings.IndexByte(escapes, text[end]) < 0 {
			continue
		}
		for n := min(h.start-1, end); n >= leastHidden; n-- {
			if bytes.HasSuffix(text[:end], h.text[:n]) {
				return end - n
			}
		}
	}
	return -1
}

// mailAddress finds the first e-mail address from a place on; to is 0 without
// one.
func mailAddress(text []byte, from int, cut bool) (begin, to int) {
	for {
		i := bytes.IndexByte(text[from:], '@')
		if i < 0 {
			return 0, 0
		}
		i += from
		begin, to = i, i+1
		for begin > from && mailByte(text[begin-1]) {
			begin--
		}
		for to < len(text) && hostByte(text[to]) {
			to++
		}
		from = i + 1
		if begin == i {
			continue
		}
		if cut && to == len(text) {
			return begin, to
		}
		for to > i+1 && (text[to-1] == '.' || text[to-1] == '-') {
			to-- // the end of a sentence
		}
		domain := text[i+1 : to]
		dot := bytes.LastIndexByte(domain, '.')
		if dot > 0 && len(domain)-dot > 2 && !bytes.ContainsAny(domain[dot:], "0123456789") {
			return begin, to
		}
	}
}

func mailByte(c byte) bool { return hostByte(c) || c == '_' || c == '+' || c == '~' || c == '\'' }

func hostByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c >= 0x80
}

// replace returns a copy of a text with a word in place of the spans, which may
// overlap.
func replace(text []byte, spans []span) []byte {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	clean := make([]byte, 0, len(text))
	done := 0
	for i, s := range spans {
		if i > 0 && s.from <= done {
			done = max(done, s.to)
			continue
		}
		clean = append(clean, text[done:s.from]...)
		clean = append(clean, Redacted...)
		done = s.to
	}
	return append(clean, text[done:]...)
}
