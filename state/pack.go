package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// coder writes the fields of a record one behind the other, or reads them back:
// one list of fields serves both, so that they cannot disagree. The rows of
// deliveries, attempts and events are written and read several times in the life
// of a delivery, which as JSON took a third of the CPU that it costs.
type coder struct {
	writing bool
	out     []byte
	in      string // what is left to read; the texts that are read share its memory
	err     error  // the first
}

var errUnreadable = errors.New("row is cut off or unreadable")

func (c *coder) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.in = ""
}

// end returns what was wrong with a row that was read.
func (c *coder) end() error {
	if c.err == nil && c.in != "" {
		return errUnreadable
	}
	return c.err
}

// take reads n bytes.
func (c *coder) take(n uint64) string {
	if n > uint64(len(c.in)) {
		c.fail(errUnreadable)
		return ""
	}
	s := c.in[:n]
	c.in = c.in[n:]
	return s
}

// size writes or reads a length, a number of things, or a number that is not
// negative.
func (c *coder) size(n uint64) uint64 {
	if c.writing {
		c.out = binary.AppendUvarint(c.out, n)
		return n
	}
	var value uint64
	for shift := 0; shift < 64; shift += 7 {
		b := c.take(1)
		if b == "" {
			return 0
		}
		value |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			return value
		}
	}
	c.fail(errUnreadable)
	return 0
}

// count is a size of a list: it is no more than what is left could hold.
func (c *coder) count(n int) int {
	size := c.size(uint64(n))
	if !c.writing && size > uint64(len(c.in)) {
		c.fail(errUnreadable)
		return 0
	}
	return int(size)
}

// last is for a text at the end of a row, a field that was added later. An empty one is not
// written, and one that is missing is read as empty, so that older rows can still be read.
func (c *coder) last(s *string) {
	if c.writing && *s != "" || !c.writing && c.in != "" {
		c.text(s)
	}
}

func (c *coder) text(s *string) {
	n := c.size(uint64(len(*s)))
	if c.writing {
		c.out = append(c.out, *s...)
		return
	}
	*s = c.take(n)
}

func (c *coder) number(n *int) {
	value := int64(*n)
	c.integer(&value)
	if *n = int(value); int64(*n) != value { // written where an int is longer
		c.fail(errUnreadable)
	}
}

func (c *coder) integer(n *int64) {
	value := c.size(uint64(*n)<<1 ^ uint64(*n>>63))
	if !c.writing {
		*n = int64(value>>1) ^ -int64(value&1)
	}
}

func (c *coder) flag(b *bool) {
	var n uint64
	if *b {
		n = 1
	}
	*b = c.size(n) == 1
}

// moment is a time to the nanosecond, in UTC; the zero time takes a byte.
func (c *coder) moment(t *time.Time) {
	set := !t.IsZero()
	c.flag(&set)
	switch {
	case !set:
		*t = time.Time{}
	case c.writing:
		if year := t.UTC().Year(); year < 0 || year > 9999 {
			c.fail(fmt.Errorf("a time in the year %d cannot be stored, only in 0 to 9999", year))
			return
		}
		c.out = appendTime(c.out, *t)
	default:
		at, ok := readTime([]byte(c.take(timeSize)))
		if !ok {
			c.fail(errUnreadable)
			return
		}
		*t = at
	}
}

func (c *coder) span(d *time.Duration) {
	c.integer((*int64)(d))
}

// optional is a span that may not be there.
func (c *coder) optional(d **time.Duration) {
	set := *d != nil
	c.flag(&set)
	switch {
	case !set:
		*d = nil
	case c.writing:
		c.span(*d)
	default:
		*d = new(time.Duration)
		c.span(*d)
	}
}

// texts is a list; none and an empty one are told apart, as in JSON.
func (c *coder) texts(list *[]string) {
	set := *list != nil
	if c.flag(&set); !set {
		*list = nil
		return
	}
	n := c.count(len(*list))
	if !c.writing {
		*list = make([]string, n)
	}
	for i := range *list {
		c.text(&(*list)[i])
	}
}

func (c *coder) pairs(m *map[string]string) {
	set := *m != nil
	if c.flag(&set); !set {
		*m = nil
		return
	}
	n := c.count(len(*m))
	if c.writing {
		names := make([]string, 0, n)
		for name := range *m {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			value := (*m)[name]
			c.text(&name)
			c.text(&value)
		}
		return
	}
	*m = make(map[string]string, n)
	for range n {
		var name, value string
		c.text(&name)
		c.text(&value)
		(*m)[name] = value
	}
}

// raw is JSON, compact and valid.
func (c *coder) raw(j *json.RawMessage) {
	set := *j != nil
	if c.flag(&set); !set {
		*j = nil
		return
	}
	if !c.writing {
		*j = json.RawMessage(c.take(c.size(0)))
		return
	}
	var compact bytes.Buffer
	compact.Grow(len(*j))
	if err := json.Compact(&compact, *j); err != nil {
		c.fail(err)
		return
	}
	if compact.Len() == 0 {
		c.fail(errEmptyObject)
		return
	}
	c.size(uint64(compact.Len()))
	c.out = append(c.out, compact.Bytes()...)
}

func (c *coder) bytes(b *[]byte) {
	n := c.size(uint64(len(*b)))
	if c.writing {
		c.out = append(c.out, *b...)
		return
	}
	if text := c.take(n); text != "" {
		*b = []byte(text)
	}
}
