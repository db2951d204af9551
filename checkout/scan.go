package checkout

import (
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Glance is what a list item says without being decoded. Its texts are parts of
// the item's bytes and live as long as they do; nil is absent, null or "".
type Glance struct {
	ID, Status, PaymentStatus []byte

	Created int64 // seconds, as Parse reads it
	// Hash covers all bytes but the value of url, which rotates. It is never 0.
	Hash uint64
}

// The members that Scan looks at. One that stands there twice is ambiguous.
const (
	memberID = 1 << iota
	memberStatus
	memberPaymentStatus
	memberCreated
	memberExpiresAt
	memberURL
)

// Scan reads the one list item at the beginning of data in one pass, without an
// allocation, and says how long it is. What follows the item is not looked at.
//
// ok is false on anything unusual: Parse must tell what the item is. Otherwise
// the item is delimited but not checked. If it is valid JSON, Parse reads the
// same from it. If it has the hash of an item that Parse has read, it is valid
// and differs from that one in nothing but the url.
func Scan(data []byte) (g Glance, n int, ok bool) {
	if len(data) == 0 || data[0] != '{' {
		return Glance{}, 0, false
	}
	s := scan{data: data}
	for i := 1; ; i++ {
		i = SkipBlank(data, i)
		if i >= len(data) || data[i] != '"' {
			return Glance{}, 0, false
		}
		keyEnd := quoteOrEscape(data, i+1)
		if keyEnd >= len(data) || data[keyEnd] != '"' {
			return Glance{}, 0, false
		}
		key := data[i+1 : keyEnd]
		i = SkipBlank(data, keyEnd+1)
		if i >= len(data) || data[i] != ':' {
			return Glance{}, 0, false
		}
		start := SkipBlank(data, i+1)
		end := EndOfValue(data, start)
		if end < 0 || !s.take(key, start, end) {
			return Glance{}, 0, false
		}
		i = SkipBlank(data, end)
		switch {
		case i < len(data) && data[i] == ',':
		case i < len(data) && data[i] == '}' && s.ID != nil && s.Created > 0:
			s.seal(i + 1)
			return s.Glance, i + 1, true
		default:
			return Glance{}, 0, false
		}
	}
}

// scan is one item on its way.
type scan struct {
	Glance
	data             []byte
	seen             int
	urlStart, urlEnd int
}

// take notes the value of a member, if it is one that matters. It refuses those
// on which Parse might see something else.
func (s *scan) take(key []byte, start, end int) bool {
	var text *[]byte
	var member int
	switch string(key) {
	case "id":
		member, text = memberID, &s.ID
	case FieldStatus:
		member, text = memberStatus, &s.Status
	case FieldPaymentStatus:
		member, text = memberPaymentStatus, &s.PaymentStatus
	case "created":
		member = memberCreated
	case "expires_at":
		member = memberExpiresAt
	case FieldURL:
		member = memberURL
	default:
		return true
	}
	if s.seen&member != 0 {
		return false
	}
	s.seen |= member
	ok := true
	value := s.data[start:end]
	switch member {
	case memberCreated:
		s.Created, ok = scanTime(value)
	case memberURL:
		s.urlStart, s.urlEnd = start, end
		ok = isString(value) || string(value) == "null"
	case memberExpiresAt:
	default:
		*text, ok = scanText(value)
		ok = ok && len(*text) <= MaxID && (member == memberID || isLower(*text))
	}
	return ok
}

// seal hashes what stands before and behind the value of url apart, so that no
// byte can pass from one to the other unnoticed.
func (s *scan) seal(n int) {
	if s.seen&memberURL == 0 {
		s.Hash = xxhash.Sum64(s.data[:n])
	} else {
		var parts [16]byte
		binary.LittleEndian.PutUint64(parts[:], xxhash.Sum64(s.data[:s.urlStart]))
		binary.LittleEndian.PutUint64(parts[8:], xxhash.Sum64(s.data[s.urlEnd:n]))
		s.Hash = xxhash.Sum64(parts[:])
	}
	s.Hash = max(s.Hash, 1)
}

// scanText reads a string in which every byte stands for itself, or null.
func scanText(value []byte) (text []byte, ok bool) {
	if string(value) == "null" {
		return nil, true
	}
	if value[0] != '"' {
		return nil, false
	}
	text = value[1 : len(value)-1]
	ascii := true
	for _, c := range text {
		if c < ' ' || c == '\\' {
			return nil, false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if len(text) == 0 {
		return nil, true
	}
	return text, ascii || utf8.Valid(text)
}

// isLower says whether a text has neither capital letters nor white space, and so is
// read as it is.
func isLower(text []byte) bool {
	for _, c := range text {
		if c <= ' ' || ('A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// isString says whether a value is a string of valid JSON.
func isString(value []byte) bool {
	if value[0] != '"' {
		return false
	}
	for _, c := range value {
		if c < ' ' || c == '\\' {
			return json.Valid(value)
		}
	}
	return true
}

// scanTime reads a plain integer of seconds or milliseconds that makes sense as
// a time, see readTime.
func scanTime(value []byte) (seconds int64, ok bool) {
	const longest = 14 // digits: milliseconds below millisecondsFrom seconds
	if len(value) > longest || value[0] == '0' {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		seconds = seconds*10 + int64(c-'0')
	}
	if seconds >= millisecondsFrom {
		seconds /= 1000
	}
	return seconds, true
}
