package state

import (
	"io/fs"
	"os"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// opened is an open bbolt file. The file belongs to bbolt, which closes it.
type opened struct {
	db   *bolt.DB
	file *os.File
}

// database is the bbolt file that a store works on at present. PutBack replaces
// it while readers and writers are at work: those that begin later use the new
// one, and readers that began before finish on the old one.
type database struct {
	current atomic.Pointer[opened]
}

// with calls fn with the present file, and once more if that was replaced and
// closed before fn could use it.
func (d *database) with(fn func(*opened) error) error {
	for {
		o := d.current.Load()
		err := fn(o)
		if err == nil || d.current.Load() == o || !isAny(err, berrors.ErrDatabaseNotOpen, fs.ErrClosed) {
			return err
		}
	}
}

func (d *database) file() *os.File   { return d.current.Load().file }
func (d *database) IsReadOnly() bool { return d.current.Load().db.IsReadOnly() }
func (d *database) Close() error     { return d.current.Load().db.Close() }

func (d *database) View(fn func(*bolt.Tx) error) error {
	return d.with(func(o *opened) error { return o.db.View(fn) })
}

func (d *database) Update(fn func(*bolt.Tx) error) error {
	return d.with(func(o *opened) error { return o.db.Update(fn) })
}

// Begin begins a transaction on the present file. A writer that waited while the
// file was replaced begins again on the new one.
func (d *database) Begin(writable bool) (tx *bolt.Tx, err error) {
	err = d.with(func(o *opened) error {
		for {
			if tx, err = o.db.Begin(writable); err != nil {
				return err
			}
			now := d.current.Load()
			if !writable || now == o {
				return nil
			}
			if err := tx.Rollback(); err != nil {
				return err
			}
			o = now
		}
	})
	return tx, err
}
