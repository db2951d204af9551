package wooshpay

import (
	"context"
	"errors"
	"time"
)

// Question is a query whose answer shows whether a list parameter is honoured.
type Question struct {
	Parameter string
	query     Query
	honoured  func(*Page) bool
}

// Questions are those that can be put to a list that begins with a page, which shows
// sessions.
func Questions(first *Page) []Question {
	newest, oldest := first.Items[0], first.Items[len(first.Items)-1]
	// Up to a session that is known one at least is shown: nothing at all is what an API
	// shows that reads milliseconds.
	upTo, some := oldest.Created+1, true
	if newest.Created-upTo <= 1 { // it would be shown in any case
		upTo, some = newest.Created-int64(time.Hour/time.Second), false
	}
	return []Question{
		{"limit", Query{Limit: 1}, func(p *Page) bool { return p.Total == 1 }},
		{"starting_after", Query{Limit: 1, StartingAfter: string(newest.ID)}, func(p *Page) bool {
			return p.Total == 0 || (len(p.Items) > 0 && string(p.Items[0].ID) != string(newest.ID))
		}},
		{"created[lte]", Query{Limit: 1, CreatedLTE: time.Unix(upTo, 0)}, func(p *Page) bool {
			return (len(p.Items) == 0 && !some) || (len(p.Items) > 0 && p.First().Created <= upTo+1)
		}},
		{"created[gte]", Query{Limit: 1, CreatedGTE: newest.CreatedAt().Add(24 * time.Hour)}, func(p *Page) bool { return p.Total == 0 }},
	}
}

// Put puts a question and says whether the parameter is honoured, and what came of it.
func (c *Client) Put(ctx context.Context, q Question) (honoured bool, said string, err error) {
	page, err := c.List(ctx, q.query)
	var failure *Error
	switch {
	case errors.As(err, &failure) && failure.Kind == KindRefused:
		return false, "refused: " + failure.Message, nil
	case err != nil:
		return false, "", err
	case q.honoured(page):
		return true, "honoured", nil
	case page.Total == 0 && !q.query.CreatedLTE.IsZero(): // it has shown a session that it should show here
		return false, "shows nothing: the API may take seconds for milliseconds; polling does without, but what is ordered beside a session that cannot be shown may wait for that", nil
	}
	return false, "ignored", nil
}
