package state

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// transaction is one of bbolt's that remembers what it has used.
type transaction struct {
	*bolt.Tx
	tables map[string]*table // by name
	queues map[string]*table // by destination
}

func remembering(tx *bolt.Tx) *transaction {
	return &transaction{Tx: tx, tables: make(map[string]*table), queues: make(map[string]*table)}
}

// table returns a bucket, nil if there is none.
func (tx *transaction) table(name []byte) *table {
	if t := tx.tables[string(name)]; t != nil {
		return t
	}
	t := tableOf(tx.Bucket(name))
	if t != nil {
		tx.tables[string(name)] = t
	}
	return t
}

// queue returns what is pending for a destination, nil if there never was anything.
func (tx *transaction) queue(destination string) *table {
	if t := tx.queues[destination]; t != nil {
		return t
	}
	t := tableOf(tx.Bucket(bucketQueues).Bucket([]byte(destination)))
	if t != nil {
		tx.queues[destination] = t
	}
	return t
}

// table is a bucket whose cursors are used again: bbolt makes a new one, which takes
// several allocations, for each row that it gets or deletes. It may be nil, and is
// empty then.
type table struct {
	*bolt.Bucket
	free []*bolt.Cursor
}

func tableOf(b *bolt.Bucket) *table {
	if b == nil {
		return nil
	}
	return &table{Bucket: b}
}

// cursor returns a cursor that nobody uses, to be released.
func (t *table) cursor() *bolt.Cursor {
	last := len(t.free) - 1
	if last < 0 {
		return t.Cursor()
	}
	c := t.free[last]
	t.free = t.free[:last]
	return c
}

func (t *table) release(c *bolt.Cursor) { t.free = append(t.free, c) }

// Get returns the value of a row, nil if there is none.
func (t *table) Get(key []byte) []byte {
	found, value := t.seek(key, key)
	if len(found) != len(key) {
		return nil
	}
	return value
}

// Delete removes a row, if there is one.
func (t *table) Delete(key []byte) error {
	if t == nil {
		return nil
	}
	c := t.cursor()
	defer t.release(c)
	if found, _ := c.Seek(key); !bytes.Equal(found, key) {
		return nil
	}
	return c.Delete()
}

// seek returns the first row at or behind a key whose key has a prefix, nil if
// there is none.
func (t *table) seek(from, prefix []byte) (key, value []byte) {
	if t == nil {
		return nil, nil
	}
	c := t.cursor()
	defer t.release(c)
	if key, value = c.Seek(from); bytes.HasPrefix(key, prefix) {
		return key, value
	}
	return nil, nil
}

// each calls fn with the rows whose key has a prefix, in order, until it returns
// false.
func (t *table) each(prefix []byte, fn func(key, value []byte) (bool, error)) error {
	if t == nil {
		return nil
	}
	c := t.cursor()
	defer t.release(c)
	for key, value := c.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix); key, value = c.Next() {
		more, err := fn(key, value)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// eachBack is each from below a key on, in the other order.
func (t *table) eachBack(below, prefix []byte, fn func(key, value []byte) (bool, error)) error {
	if t == nil {
		return nil
	}
	c := t.cursor()
	defer t.release(c)
	var key, value []byte
	if next, _ := c.Seek(below); next == nil {
		key, value = c.Last()
	} else {
		key, value = c.Prev()
	}
	for ; key != nil && bytes.HasPrefix(key, prefix); key, value = c.Prev() {
		more, err := fn(key, value)
		if err != nil || !more {
			return err
		}
	}
	return nil
}
