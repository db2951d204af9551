package wooshpay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/secret"
)

const (
	// LargestPage is the most sessions that the API shows at once.
	LargestPage = 100
	// DefaultLimit is the API's page size when it ignores ours.
	DefaultLimit = 10
	// CreatedRounding is by how much a creation time may be rounded by the API.
	CreatedRounding = time.Second
	// OldestCreated is before every session of the API: a creation time below it makes no
	// sense, and would let a new session pass for one that is long known.
	OldestCreated = 1288834974
)

// Item is one session of a page. Its bytes belong to the page. Like the page it is for
// one goroutine at a time.
type Item struct {
	checkout.Glance
	Twice   bool // its page shows it in two ways
	Again   bool // set by who asked for the page, if an earlier one has shown it
	raw     []byte
	session *checkout.Session // once it was decoded
}

// CreatedAt is Created as a time.
func (it *Item) CreatedAt() time.Time { return time.Unix(it.Created, 0).UTC() }

// IsAbsurd says whether the item's creation time makes no sense.
func (it *Item) IsAbsurd() bool { return it.Created < OldestCreated }

// IsSound says whether the item shows a status, and a creation time that may be right: if not
// it tells no place of the list, and no session perhaps.
func (it *Item) IsSound() bool { return len(it.Status) > 0 && !it.IsAbsurd() }

// Decode reads the whole item, once. An error means that the item is no JSON: see Reread.
func (it *Item) Decode() (*checkout.Session, error) {
	if it.session == nil {
		s, err := checkout.Parse(it.raw)
		if err != nil {
			return nil, err
		}
		it.session = &s
	}
	return it.session, nil
}

// Decoded makes an item of a session that was decoded.
func Decoded(s *checkout.Session) Item {
	return Item{
		Glance: checkout.Glance{
			ID: []byte(s.ID), Status: []byte(s.Status), PaymentStatus: []byte(s.PaymentStatus),
			Created: s.Created.Unix(), Hash: s.ScanHash,
		},
		session: s,
	}
}

// meet takes in what the page shows of the session a second time. Of two states the
// later one is kept.
func (it *Item) meet(other *checkout.Session) {
	kept := it.session
	if kept.Hash == other.Hash && kept.Status == other.Status && kept.PaymentStatus == other.PaymentStatus {
		return
	}
	if progress(other) > progress(kept) {
		*it = Decoded(other)
	}
	it.Twice = true
}

// progress is how far a session has come.
func progress(s *checkout.Session) int {
	n := map[string]int{checkout.StatusComplete: 6, checkout.StatusExpired: 3}[s.Status]
	switch {
	case s.PaymentStatus == checkout.PaymentPaid || s.PaymentStatus == checkout.PaymentNotRequired:
		n += 2
	case s.PaymentStatus != "":
		n++
	}
	return n
}

// Bad is an item of the list that makes no sense.
type Bad struct {
	ID  string // of its session, "" if it has none
	Err error

	Place int // how many items that make sense stand above it on its page
}

// Error says what is wrong with which session.
func (b *Bad) Error() string {
	if b.ID == "" {
		return b.Err.Error()
	}
	return secret.MaskID(b.ID, checkout.MaxID) + ": " + b.Err.Error()
}

// Page is one answer of the list, read item by item, or what was asked for by ids in the
// form of one. It belongs to who asked for it, who releases it after use.
type Page struct {
	Items    []Item // the sessions in the order of the answer, each id once
	Bad      []Bad  // items that make no sense
	Repeated int    // items whose id the page had already shown
	Total    int    // all items of the answer
	HasMore  *bool  // nil when the API did not say
	Answer   Answer
	Asked    Query // what was asked for; zero for what was asked for by id
	Checked  bool  // read by the checked decoder

	// Set and read by who asked for the page.
	Apart   bool      // what it shows was asked for apart, as far as it was to be
	Existed time.Time // until which creation time what it shows existed before the start

	body   []byte
	memory *Memory
}

// Memory is what a page lives in, for one page after the other.
type Memory struct {
	Body  bytes.Buffer // the answer
	split splitPage
}

var pageMemories = sync.Pool{New: func() any { return new(Memory) }}

// Release gives the page's memory back; its items must not be used any more. To release
// a page twice does no harm.
func (p *Page) Release() {
	if p.memory != nil {
		p.Items, p.body = nil, nil
		pageMemories.Put(p.memory)
		p.memory = nil
	}
}

// Size is the length of the answer in bytes.
func (p *Page) Size() int { return len(p.body) }

// MayBeEnd says whether the list may end with the page, which nothing promises to go on.
func (p *Page) MayBeEnd() bool { return p.Total < p.Asked.Limit && (p.HasMore == nil || !*p.HasMore) }

// First returns the first item of a page that has any.
func (p *Page) First() *Item { return &p.Items[0] }

// Last returns the last item of a page that has any.
func (p *Page) Last() *Item { return &p.Items[len(p.Items)-1] }

// Newest is the latest creation time on the page, zero if it shows nothing.
func (p *Page) Newest() (newest time.Time) {
	for i := range p.Items {
		if created := p.Items[i].CreatedAt(); created.After(newest) {
			newest = created
		}
	}
	return newest
}

var flags = [2]bool{false, true}

// ReadPage reads the list answer in the memory, in one pass if it is an ordinary
// one. The page owns the memory from then on.
func ReadPage(memory *Memory) (*Page, error) {
	body := memory.Body.Bytes()
	if !split(body, &memory.split) {
		page, err := readChecked(body)
		if err == nil {
			page.memory = memory
		}
		return page, err
	}
	items, hasMore := memory.split.items, memory.split.hasMore
	return &Page{Items: items, Total: len(items), HasMore: hasMore, body: body, memory: memory}, nil
}

// envelope is a list answer. Members that the API leaves out or sets to null
// stay nil.
type envelope struct {
	Object  string          `json:"object"`
	HasMore json.RawMessage `json:"has_more"`
	Data    rows            `json:"data"`
	Error   json.RawMessage `json:"error"`
	Code    json.RawMessage `json:"code"`
}

// isError says whether an answer without rows is an error. Some gateways put one into a
// code beside them, which lists of the API do not have.
func (e *envelope) isError() bool {
	code := strings.ToLower(string(bytes.Trim(e.Code, `"`)))
	return (len(e.Error) > 0 && !bytes.Equal(e.Error, []byte("null"))) ||
		(e.Object != "list" && !slices.Contains([]string{"", "null", "0", "0000", "200", "ok", "success"}, code))
}

// rows are the items of a list. Some servers write an array as an object whose members
// are numbered.
type rows []json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (r *rows) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return json.Unmarshal(raw, (*[]json.RawMessage)(r))
	}
	var numbered map[uint32]json.RawMessage
	if err := json.Unmarshal(raw, &numbered); err != nil {
		return err
	}
	if len(numbered) == 0 { // of an error, perhaps
		return errors.New("an object without members is no list")
	}
	for _, n := range slices.Sorted(maps.Keys(numbered)) {
		*r = append(*r, numbered[n])
	}
	return nil
}

// readChecked reads a list answer by the checked decoder, whatever its form. An
// answer that is not a list is an error: it says nothing about any session, least
// of all that there are none.
func readChecked(body []byte) (*Page, error) {
	var e envelope
	err := json.Unmarshal(body, &e)
	if err != nil {
		if short, found := checkout.ShortenDeep(body); found {
			e = envelope{}
			err = json.Unmarshal(short, &e)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the answer is not a list in JSON: %s", secret.Beginning(body))
	}
	switch {
	case len(e.Data) > 0:
	case e.isError():
		return nil, fmt.Errorf("the answer is an error: %s", secret.ErrorMessage(body))
	case e.Data == nil && e.Object != "list":
		return nil, errors.New("the answer has no data")
	}
	page := &Page{Total: len(e.Data), HasMore: readFlag(e.HasMore), body: body, Checked: true}
	seen := make(map[string]int, len(e.Data)) // places from 1
	for _, raw := range e.Data {
		s, err := checkout.Parse(raw)
		switch {
		case err != nil:
			page.Bad = append(page.Bad, Bad{ID: s.ID, Err: err, Place: len(page.Items)})
		case seen[s.ID] > 0:
			page.Repeated++
			page.Items[seen[s.ID]-1].meet(&s)
		default:
			page.Items = append(page.Items, Decoded(&s))
			seen[s.ID] = len(page.Items)
		}
	}
	for i := range page.Bad {
		if at := seen[page.Bad[i].ID]; at > 0 {
			page.Items[at-1].Twice = true
		}
	}
	return page, nil
}

// readFlag reads has_more, which was seen as a boolean, as a string, and as null.
func readFlag(raw []byte) *bool {
	switch string(bytes.Trim(raw, `"`)) {
	case "true":
		return &flags[1]
	case "false":
		return &flags[0]
	}
	return nil
}

// Ordered says whether the page runs from newer to older sessions, allowing for
// the API's rounding of creation times. Within a second the ids tell: a page on
// which every session is newer than the one before runs the wrong way.
func (p *Page) Ordered() bool {
	ascends := len(p.Items) >= enoughToAscend
	for i := 1; i < len(p.Items); i++ {
		before, it := &p.Items[i-1], &p.Items[i]
		if it.Created > before.Created+int64(CreatedRounding/time.Second) {
			return false
		}
		ascends = ascends && older(before, it)
	}
	return !ascends
}

// Ends says whether the list says that it shows nothing below the page.
func (p *Page) Ends() bool {
	if p.HasMore == nil {
		return p.Total < min(p.Asked.Limit, DefaultLimit)
	}
	return !*p.HasMore && p.Total < p.Asked.Limit
}

// OldestSecond returns from which place on the page shows nothing but sessions of its
// oldest second.
func (p *Page) OldestSecond() int {
	oldest := slices.MinFunc(p.Items, func(a, b Item) int { return cmp.Compare(a.Created, b.Created) }).Created
	from := len(p.Items)
	for from > 0 && p.Items[from-1].Created == oldest {
		from--
	}
	return from
}

// Repeats says whether earlier pages have shown all of this one: see Item.Again.
func (p *Page) Repeats() bool {
	return !slices.ContainsFunc(p.Items, func(it Item) bool { return !it.Again })
}

// Excludes says whether the page was not asked for a creation time.
func (p *Page) Excludes(created time.Time) bool {
	return created.Before(p.Asked.CreatedGTE.Add(-CreatedRounding))
}

// Reaches says whether the page goes down below a time. The last two sessions must
// say so: one alone may have a creation time that makes no sense.
func (p *Page) Reaches(t time.Time) bool {
	before := &p.Items[max(len(p.Items)-2, 0)]
	return p.Last().CreatedAt().Before(t) && before.CreatedAt().Before(t)
}

// older says whether a stands below b in a list.
func older(a, b *Item) bool {
	return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(len(a.ID), len(b.ID)), bytes.Compare(a.ID, b.ID)) < 0
}

// enoughToAscend is from how many sessions on a page the order of their ids is hardly an
// accident (1 in 120): the API promises none within a second.
const enoughToAscend = 5
