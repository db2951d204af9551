package wooshpay

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"strings"

	"checkout-notifier/checkout"
)

// splitPage is a list answer that was not decoded. It is used for one page after
// the other, so that it allocates nothing once it has seen a large one.
type splitPage struct {
	items   []Item  // in the order of the answer, each id once
	hasMore *bool   // as of Page
	ids     []int32 // open addressing by id: the item's place from 1, 0 is free
}

// split reads a list answer in one pass. It returns false on anything unusual:
// then p means nothing and readChecked must tell what the answer is. The items of
// p are delimited but not checked: if one turns out to be no JSON, neither is
// the answer.
func split(body []byte, p *splitPage) bool {
	p.items, p.hasMore = p.items[:0], nil
	i := checkout.SkipBlank(body, 0)
	if at(body, i) != '{' {
		return false
	}
	seen := 0
	for {
		key, value := memberKey(body, checkout.SkipBlank(body, i+1))
		if value < 0 {
			return false
		}
		name := memberOf(key)
		if name < 0 || seen&name != 0 {
			return false
		}
		seen |= name
		if name == memberData {
			i = p.splitItems(body, value)
		} else {
			i = p.splitMember(name, body, value)
		}
		if i < 0 {
			return false
		}
		switch i = checkout.SkipBlank(body, i); at(body, i) {
		case ',':
		case '}':
			sound := seen&memberData != 0 && (len(p.items) > 0 || seen&memberCode == 0)
			return sound && checkout.SkipBlank(body, i+1) == len(body) && !p.repeats()
		default:
			return false
		}
	}
}

// The members of an envelope that matter. One that stands there twice is
// ambiguous.
const (
	memberObject = 1 << iota
	memberHasMore
	memberData
	memberCode // of an error, perhaps
)

// memberOf returns which member a key names, 0 for one that does not matter and
// -1 for one that encoding/json might take for one that does, or an error.
func memberOf(key []byte) int {
	switch string(key) {
	case "object":
		return memberObject
	case "has_more":
		return memberHasMore
	case "data":
		return memberData
	case "code":
		return memberCode
	}
	for _, name := range [...]string{"object", "has_more", "data", "error"} {
		if strings.EqualFold(string(key), name) {
			return -1
		}
	}
	return 0
}

// memberKey reads a key and the colon behind it and returns the place of the
// value, -1 if there is no plain key.
func memberKey(body []byte, i int) (key []byte, value int) {
	if at(body, i) != '"' {
		return nil, -1
	}
	i++
	end := i
	for at(body, end) >= ' ' && body[end] != '"' && body[end] != '\\' {
		end++
	}
	if at(body, end) != '"' {
		return nil, -1
	}
	colon := checkout.SkipBlank(body, end+1)
	if at(body, colon) != ':' {
		return nil, -1
	}
	return body[i:end], checkout.SkipBlank(body, colon+1)
}

// splitItems reads the array of items at i and returns the place behind it.
func (p *splitPage) splitItems(body []byte, i int) int {
	if at(body, i) != '[' {
		return -1
	}
	if i = checkout.SkipBlank(body, i+1); at(body, i) == ']' {
		return i + 1
	}
	for {
		if i >= len(body) {
			return -1
		}
		g, n, ok := checkout.Scan(body[i:])
		if !ok {
			return -1
		}
		p.items = append(p.items, Item{raw: body[i : i+n : i+n], Glance: g})
		switch i = checkout.SkipBlank(body, i+n); at(body, i) {
		case ',':
			i = checkout.SkipBlank(body, i+1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

// splitMember reads any other value at i and returns the place behind it.
func (p *splitPage) splitMember(name int, body []byte, i int) int {
	end := checkout.EndOfValue(body, i)
	if end < 0 || !json.Valid(body[i:end]) {
		return -1
	}
	value := body[i:end]
	switch name {
	case memberObject:
		if string(value) != `"list"` {
			return -1
		}
	case memberHasMore:
		p.hasMore = readFlag(value)
	}
	return end
}

// splitSeed makes hashes that nobody outside this process can aim at.
var splitSeed = maphash.MakeSeed()

// repeats says whether an id stands on the page twice.
func (p *splitPage) repeats() bool {
	size := 64
	for size < 2*len(p.items) {
		size *= 2
	}
	if size > len(p.ids) {
		p.ids = make([]int32, size)
	}
	ids := p.ids[:size]
	clear(ids)
	for n := range p.items {
		slot := int(maphash.Bytes(splitSeed, p.items[n].ID)) & (size - 1)
		for ; ids[slot] != 0; slot = (slot + 1) & (size - 1) {
			if bytes.Equal(p.items[ids[slot]-1].ID, p.items[n].ID) {
				return true
			}
		}
		ids[slot] = int32(n + 1)
	}
	return false
}

// at returns the byte at a place, 0 behind the end: no valid JSON has one.
func at(body []byte, i int) byte {
	if i >= len(body) {
		return 0
	}
	return body[i]
}
