package cycle_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"
)

// eventsOfChange is how many events a session raises that is completed and paid.
const eventsOfChange = 3

// floor is the least that a cycle can do for its changes: decode each once with
// encoding/json, store it with its events in one transaction for all that wait,
// and send one message. It does not look anything up, decides nothing, and keeps
// no record of deliveries: it knows what has changed, and that all goes well.
type floor struct {
	*bare
	db     *bbolt.DB
	js     jetstream.JetStream
	stream string
	seq    uint64
}

// finding is a changed session, encoded as it is stored.
type finding struct{ key, row []byte }

func newFloor(t *testing.T, o *outside, concurrency int) *floor {
	t.Helper()
	f := &floor{bare: newBare(o, concurrency, true), stream: "FLOOR"}
	var err error
	if f.db, err = bbolt.Open(filepath.Join(t.TempDir(), "floor.db"), 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.db.Close() })
	conn, err := nats.Connect(o.nats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if f.js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	if _, err = f.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: f.stream, Subjects: []string{"floor.>"}}); err != nil {
		t.Fatal(err)
	}
	return f
}

// cycle reads all pages, of which it knows that a share of the sessions changed.
func (f *floor) cycle(t *testing.T, share, concurrency int) {
	t.Helper()
	found := make(chan []finding, concurrency)
	f.each = func(items [][]byte, from int) error {
		changed, err := f.decode(items, from, share)
		if len(changed) > 0 {
			found <- changed
		}
		return err
	}
	keeping, ctx := errgroup.WithContext(t.Context())
	keeping.Go(func() error { return f.keep(ctx, found) })
	f.read(t, concurrency)
	close(found)
	if err := keeping.Wait(); err != nil {
		t.Fatal(err)
	}
}

func (f *floor) decode(items [][]byte, from, share int) (changed []finding, err error) {
	for n, item := range items {
		i := from - 1 - n
		if i%shares != share {
			continue
		}
		var session map[string]any
		if err := json.Unmarshal(item, &session); err != nil {
			return nil, err
		}
		row, err := json.Marshal(session)
		if err != nil {
			return nil, err
		}
		key := binary.BigEndian.AppendUint64(nil, uint64(f.created(i)))
		changed = append(changed, finding{key: append(key, f.id(i)...), row: row})
	}
	return changed, nil
}

// keep commits and sends what is found, all that waits at once.
func (f *floor) keep(ctx context.Context, found <-chan []finding) error {
	for group := range found {
		for waiting := true; waiting; {
			select {
			case more := <-found:
				group = append(group, more...)
				waiting = more != nil
			default:
				waiting = false
			}
		}
		if err := f.commit(group); err != nil {
			return err
		}
		if err := f.send(ctx, group); err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) commit(group []finding) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		sessions, err := tx.CreateBucketIfNotExists([]byte("sessions"))
		if err != nil {
			return err
		}
		events, err := tx.CreateBucketIfNotExists([]byte("events"))
		if err != nil {
			return err
		}
		events.FillPercent = 1
		for _, x := range group {
			if err := sessions.Put(x.key, x.row); err != nil {
				return err
			}
			for range eventsOfChange {
				f.seq++
				if err := events.Put(binary.BigEndian.AppendUint64(nil, f.seq), x.row); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (f *floor) send(ctx context.Context, group []finding) error {
	var sent []jetstream.PubAckFuture
	for _, x := range group {
		ack, err := f.js.PublishAsync("floor.paid", x.row, jetstream.WithMsgID(fmt.Sprint(f.seq, "-", len(sent))))
		if err != nil {
			return err
		}
		sent = append(sent, ack)
	}
	for _, ack := range sent {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
