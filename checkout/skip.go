package checkout

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// The classes of bytes outside strings.
const (
	classOther = iota // no JSON has it there, or it means nothing by itself
	classScalar
	classQuote
	classOpen
	classClose
)

var classes = func() (c [256]uint8) {
	for _, b := range []byte("+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		c[b] = classScalar
	}
	c['"'] = classQuote
	c['{'], c['['] = classOpen, classOpen
	c['}'], c[']'] = classClose, classClose
	return c
}()

// SkipBlank returns the place of the next byte that is no white space.
func SkipBlank(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// EndOfValue returns the place behind the JSON value at i, which is delimited but not
// checked; -1 if there is none.
func EndOfValue(data []byte, i int) int {
	if i >= len(data) {
		return -1
	}
	switch classes[data[i]] {
	case classQuote:
		return endOfString(data, i+1)
	case classOpen:
		return endOfNested(data, i)
	case classScalar:
		for i < len(data) && classes[data[i]] == classScalar {
			i++
		}
		return i
	}
	return -1
}

// endOfNested returns the place behind the object or array at i, -1 if it does
// not end, nests deeper than a session ever did, or closes what it did not open.
func endOfNested(data []byte, i int) int {
	open := uint64(1) // below a leading 1, a bit for each: 1 object, 0 array
	for i < len(data) {
		switch classes[data[i]] {
		case classQuote:
			if i = endOfString(data, i+1); i < 0 {
				return -1
			}
			continue
		case classOpen:
			if open >= 1<<63 {
				return -1
			}
			open = open<<1 | uint64(data[i]>>5&1) // '[' and ']' have bit 5 clear, '{' and '}' set
		case classClose:
			if open&1 != uint64(data[i]>>5&1) {
				return -1
			}
			if open >>= 1; open == 1 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

// endOfString returns the place behind the string whose first byte is at i, -1
// if it does not end. A quote counts unless an odd number of backslashes stands
// before it.
func endOfString(data []byte, i int) int {
	for at := i; ; {
		quote := nextQuote(data, at)
		if quote >= len(data) {
			return -1
		}
		escapes := quote
		for escapes > i && data[escapes-1] == '\\' {
			escapes--
		}
		at = quote + 1
		if (quote-escapes)%2 == 0 {
			return at
		}
	}
}

const (
	ones    = 0x0101010101010101
	highs   = 0x8080808080808080
	quotes  = ones * '"'
	escapes = ones * '\\'
)

// nextQuote returns the place of the next quote, len(data) if there is none.
// Most strings are short: eight bytes at a time are faster than a call.
func nextQuote(data []byte, i int) int {
	const short = 24
	for end := i + short; i < end && i+8 <= len(data); i += 8 {
		x := binary.LittleEndian.Uint64(data[i:]) ^ quotes
		if zeros := (x - ones) & ^x & highs; zeros != 0 {
			return i + bits.TrailingZeros64(zeros)/8
		}
	}
	if i < len(data) {
		if n := bytes.IndexByte(data[i:], '"'); n >= 0 {
			return i + n
		}
	}
	return len(data)
}

// quoteOrEscape returns the place of the next quote or backslash, len(data) if
// there is none.
func quoteOrEscape(data []byte, i int) int {
	for ; i+8 <= len(data); i += 8 {
		word := binary.LittleEndian.Uint64(data[i:])
		x, y := word^quotes, word^escapes
		if zeros := ((x-ones)&^x | (y-ones)&^y) & highs; zeros != 0 {
			return i + bits.TrailingZeros64(zeros)/8
		}
	}
	for i < len(data) && data[i] != '"' && data[i] != '\\' {
		i++
	}
	return i
}
