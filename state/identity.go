package state

import (
	"context"
	"crypto/rand"
	"encoding/hex"
)

var keyID = []byte("id") // in bucketMeta, made when it is first asked for

const idSize = 4 // bytes; tells the few stores apart whose copies share a directory

// ID returns a name for this store, lower-case hexadecimal, which its copies share.
// A store that was opened by OpenReadOnly has "" until it was named.
func (s *Store) ID(ctx context.Context) (id string, err error) {
	err = s.view(ctx, "reading the store's id", func(tx *transaction) error {
		id = hex.EncodeToString(tx.Bucket(bucketMeta).Get(keyID))
		return nil
	})
	if err != nil || id != "" || s.db.IsReadOnly() {
		return id, err
	}
	fresh := make([]byte, idSize)
	_, _ = rand.Read(fresh) // never fails
	err = s.write(ctx, "naming the store", func(b *batch) error {
		return b.tx.Bucket(bucketMeta).Put(keyID, fresh)
	})
	return hex.EncodeToString(fresh), err
}
