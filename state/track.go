package state

import (
	"encoding/binary"
	"errors"
	"time"

	"checkout-notifier/event"
)

// The first byte of an index row. Where format 2 has the scan hash, format 1 had
// a content hash, which says nothing about bytes.
const (
	trackedFormat    = 2
	trackedFormatOld = 1
)

const flagHeld = 1

var errTracked = errors.New("unreadable index row")

// encodeTracked writes the index row of a session, without the id, which is in
// the key.
func encodeTracked(t event.Tracked) []byte {
	row := make([]byte, 0, 64)
	var flags byte
	if t.Held {
		flags |= flagHeld
	}
	row = append(row, trackedFormat, flags)
	row = binary.BigEndian.AppendUint64(row, t.ScanHash)
	for _, at := range []time.Time{t.Created, t.ExpiresAt, t.CompleteAt, t.LookedAt} {
		row = binary.AppendVarint(row, at.Unix())
		row = binary.AppendUvarint(row, uint64(at.Nanosecond()))
	}
	for _, text := range []string{t.Status, t.PaymentStatus, string(t.Watch)} {
		row = binary.AppendUvarint(row, uint64(len(text)))
		row = append(row, text...)
	}
	return row
}

// decodeTracked reads an index row. It shares no memory with it.
func decodeTracked(id string, row []byte) (event.Tracked, error) {
	var t event.Tracked
	var d trackedDecoder
	if err := d.decode(&t, id, row); err != nil {
		return event.Tracked{}, err
	}
	return t, nil
}

// trackedDecoder reads many index rows. With a map it makes each text, of which
// there are a handful, once.
type trackedDecoder struct{ known map[string]string }

// maxKnown bounds the texts that a decoder remembers.
const maxKnown = 1000

func (d *trackedDecoder) text(raw []byte) string {
	if text, ok := d.known[string(raw)]; ok {
		return text
	}
	text := string(raw)
	if d.known != nil && len(d.known) < maxKnown {
		d.known[text] = text
	}
	return text
}

// decode overwrites a row, with nonsense if it returns an error.
func (d *trackedDecoder) decode(t *event.Tracked, id string, row []byte) error {
	if len(row) < 10 || (row[0] != trackedFormat && row[0] != trackedFormatOld) {
		return errTracked
	}
	*t = event.Tracked{ID: id, Held: row[1]&flagHeld != 0}
	if row[0] == trackedFormat {
		t.ScanHash = binary.BigEndian.Uint64(row[2:])
	}
	rest := row[10:]
	for _, at := range []*time.Time{&t.Created, &t.ExpiresAt, &t.CompleteAt, &t.LookedAt} {
		seconds, n := binary.Varint(rest)
		if n <= 0 {
			return errTracked
		}
		nanoseconds, m := binary.Uvarint(rest[n:])
		if m <= 0 || nanoseconds >= 1e9 {
			return errTracked
		}
		rest = rest[n+m:]
		*at = time.Unix(seconds, int64(nanoseconds)).UTC()
	}
	for _, text := range []*string{&t.Status, &t.PaymentStatus, (*string)(&t.Watch)} {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return errTracked
		}
		*text = d.text(rest[n : n+int(size)])
		rest = rest[n+int(size):]
	}
	if len(rest) > 0 {
		return errTracked
	}
	return nil
}
