package index

import (
	"hash/maphash"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// text is an id, or one that still lies in a buffer.
type text interface{ string | []byte }

// Values of entry.prefix and key.prefix beyond the known prefixes.
const (
	aside     = math.MaxUint8     // the id is kept as it is
	newPrefix = math.MaxUint8 - 1 // no session has it yet; never in an entry

	maxPrefixes            = 16 // the API has one or two
	maxPrefixLength        = 32
	maxDigits              = 20 // of a uint64
	noNumber        uint64 = 0
)

// key is an id as the table knows it.
type key struct {
	prefix uint8
	head   int // length of the prefix
	number uint64
	hash   uint64
}

// keyOf takes an id apart. It is the same at all times, for prefixes are only
// ever added, and none once there are maxPrefixes.
func keyOf[T text](x *Index, id T) key {
	head, number, ok := splitID(id)
	if ok {
		for i, prefix := range x.ids.prefixes {
			if string(id[:head]) == prefix {
				return key{prefix: uint8(i), head: head, number: number, hash: x.mix(uint8(i), number)}
			}
		}
		if len(x.ids.prefixes) < maxPrefixes {
			return key{prefix: newPrefix, head: head, number: number}
		}
	}
	switch id := any(id).(type) {
	case string:
		return key{prefix: aside, number: noNumber, hash: maphash.String(x.seed, id)}
	case []byte:
		return key{prefix: aside, number: noNumber, hash: maphash.Bytes(x.seed, id)}
	}
	return key{prefix: newPrefix} // there are no other types
}

// splitID splits an id into a prefix without digits and a number that is written
// as strconv writes it, so that the two give the id back. Others, such as random
// ones that happen to end in digits, are not split.
func splitID[T text](id T) (head int, number uint64, ok bool) {
	head = len(id)
	for head > 0 && isDigit(id[head-1]) {
		head--
	}
	digits := len(id) - head
	if digits == 0 || digits > maxDigits || (digits > 1 && id[head] == '0') || head > maxPrefixLength {
		return 0, 0, false
	}
	for i := range head {
		if isDigit(id[i]) {
			return 0, 0, false
		}
	}
	for i := head; i < len(id); i++ {
		high, low := bits.Mul64(number, 10)
		sum, carry := bits.Add64(low, uint64(id[i]-'0'), 0)
		if high+carry > 0 {
			return 0, 0, false
		}
		number = sum
	}
	return head, number, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// mix hashes a split id. Who chooses ids does not know the salt.
func (x *Index) mix(prefix uint8, number uint64) uint64 {
	high, low := bits.Mul64(number^x.salt[0], x.salt[1]^uint64(prefix)<<1|1)
	high, low = bits.Mul64(high^low, 0x9e3779b97f4a7c15)
	return high ^ low
}

func (x *Index) hash(e *Entry) uint64 {
	if e.prefix == aside {
		return maphash.String(x.seed, x.ids.aside[e.number])
	}
	return x.mix(e.prefix, e.number)
}

// ID returns the id of an entry, as it came.
func (x *Index) ID(e *Entry) string {
	if e.prefix == aside {
		return x.ids.aside[e.number]
	}
	var buffer [maxPrefixLength + maxDigits]byte
	id := append(buffer[:0], x.ids.prefixes[e.prefix]...)
	return string(strconv.AppendUint(id, e.number, 10))
}

// ids keeps what does not fit into entries.
type ids struct {
	prefixes []string
	aside    []string // whole ids
	free     []uint32 // places in aside
}

func (i *ids) addPrefix(prefix string) uint8 {
	i.prefixes = append(i.prefixes, strings.Clone(prefix))
	return uint8(len(i.prefixes) - 1)
}

func (i *ids) keep(id string) uint64 {
	id = strings.Clone(id) // it may be a part of a whole page
	if last := len(i.free) - 1; last >= 0 {
		at := uint64(i.free[last])
		i.free = i.free[:last]
		i.aside[at] = id
		return at
	}
	i.aside = append(i.aside, id)
	return uint64(len(i.aside) - 1)
}

func (i *ids) release(at uint64) {
	i.aside[at] = ""
	i.free = append(i.free, uint32(at))
}
