package state

import (
	"context"
	"encoding/json"

	"checkout-notifier/event"
)

// announce stores the program's own events with their deliveries. One that is
// there already is left out.
func announce(b *batch, notices []event.Notice) error {
	rows := newEncoder()
	for i := range notices {
		n := &notices[i]
		if err := checkTexts("event", n.Event.ID); err != nil {
			return err
		}
		if b.get(bucketEventIDs, []byte(n.Event.ID)) != nil {
			continue
		}
		row, err := rows.event(&n.Event)
		if err != nil {
			return invalid("event %s: %v", n.Event.ID, err)
		}
		if err := b.addEvent(n.Event.ID, row); err != nil {
			return err
		}
		for _, d := range n.Deliveries {
			if err := checkDelivery(&d); err != nil {
				return err
			}
			if b.get(bucketDeliveryIDs, []byte(d.ID)) != nil {
				continue
			}
			if err := addDelivery(b, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func changeConditions(b *batch, raised, cleared []event.Condition) error {
	for _, c := range cleared {
		if err := b.remove(bucketConditions, conditionKey(c.Kind, c.Subject)); err != nil {
			return err
		}
	}
	for _, c := range raised {
		if err := checkTexts("condition", c.Kind, c.Subject); err != nil {
			return err
		}
		row, err := event.Marshal(&c)
		if err != nil {
			return invalid("condition of %s %s: %v", c.Kind, c.Subject, err)
		}
		if err := b.put(bucketConditions, conditionKey(c.Kind, c.Subject), row); err != nil {
			return err
		}
	}
	return nil
}

// Conditions returns the stored conditions: those that the owner was told of and that are not
// over, and what Condition says is kept before and after that.
func (s *Store) Conditions(ctx context.Context) (conditions []event.Condition, err error) {
	err = s.view(ctx, "reading the conditions", func(tx *transaction) error {
		conditions = nil
		return tx.Bucket(bucketConditions).ForEach(func(key, row []byte) error {
			var c event.Condition
			if err := json.Unmarshal(row, &c); err != nil {
				return inconsistent(s.path, "condition at key %x: %v", key, err)
			}
			conditions = append(conditions, c)
			return nil
		})
	})
	return conditions, err
}

// writeAudit appends what people did.
func writeAudit(b *batch, entries ...event.AuditEntry) error {
	for i := range entries {
		row, err := event.Marshal(&entries[i])
		if err != nil {
			return invalid("audit entry %s: %v", entries[i].Action, err)
		}
		err = b.add(bucketAudit, appendOnly, func(uint64) ([]byte, error) { return row, nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditRow is an audit entry with its place in the order of writing.
type AuditRow struct {
	Sequence uint64
	Entry    event.AuditEntry
}

// Audit returns at most limit entries, newest first, of those that were written
// before the sequence before; 0 begins with the newest.
func (s *Store) Audit(ctx context.Context, before uint64, limit int) (rows []AuditRow, err error) {
	err = s.view(ctx, "reading the audit log", func(tx *transaction) error {
		rows = nil
		for w := newBackward(tx.Bucket(bucketAudit), nil, before); w.sequence() > 0 && len(rows) < limit; w.step() {
			item := AuditRow{Sequence: w.sequence()}
			if err := json.Unmarshal(w.row, &item.Entry); err != nil {
				return inconsistent(s.path, "audit entry %d: %v", item.Sequence, err)
			}
			rows = append(rows, item)
		}
		return nil
	})
	return rows, err
}
