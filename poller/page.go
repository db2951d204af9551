package poller

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

// Item is one session of a page. Its bytes belong to the page.
type Item struct {
	checkout.Glance
	raw     []byte
	again   bool              // an earlier page of the chain has shown it
	twice   bool              // its page shows it in two ways
	session *checkout.Session // once it was decoded
}

func (it *Item) created() time.Time { return time.Unix(it.Created, 0).UTC() }

// decode reads the whole item, once.
func (it *Item) decode() (*checkout.Session, error) {
	if it.session == nil {
		s, err := checkout.Parse(it.raw)
		if err != nil {
			return nil, err
		}
		it.session = &s
	}
	return it.session, nil
}

// decoded is an item as the checked decoder gives it.
func decoded(s *checkout.Session) Item {
	return Item{
		Glance: checkout.Glance{
			ID: []byte(s.ID), Status: []byte(s.Status), PaymentStatus: []byte(s.PaymentStatus),
			Created: s.Created.Unix(), Hash: s.ScanHash,
		},
		session: s,
	}
}

// Page is one answer of the list, read item by item.
type Page struct {
	Items    []Item // the sessions in the order of the answer, each id once
	Bad      []Bad  // items that make no sense
	Repeated int    // items whose id the page had already shown
	Total    int    // all items of the answer
	HasMore  *bool  // nil when the API did not say
	Answer   Answer

	limit   int       // that was asked for
	since   time.Time // the creation time from which on was asked for
	before  time.Time // and until which
	after   string    // the id of the session below which was asked for
	body    []byte
	checked bool      // read by the checked decoder
	apart   bool      // what it shows was asked for apart, as far as it was to be
	existed time.Time // until which creation time what it shows existed before the account's start
	memory  *pageMemory
}

// pageMemory is what a page lives in, for one page after the other.
type pageMemory struct {
	body  bytes.Buffer
	split splitPage
}

var pageMemories = sync.Pool{New: func() any { return new(pageMemory) }}

// release gives the page's memory back; its items must not be used any more.
func (p *Page) release() {
	if p.memory != nil {
		p.Items, p.body = nil, nil
		pageMemories.Put(p.memory)
		p.memory = nil
	}
}

// mayBeEnd says whether the list may end with the page, which nothing promises to go on.
func (p *Page) mayBeEnd() bool { return p.Total < p.limit && (p.HasMore == nil || !*p.HasMore) }

func (p *Page) first() *Item { return &p.Items[0] }
func (p *Page) last() *Item  { return &p.Items[len(p.Items)-1] }

// newest is the latest creation time on the page, zero if it shows nothing.
func (p *Page) newest() (newest time.Time) {
	for i := range p.Items {
		newest = later(newest, p.Items[i].created())
	}
	return newest
}

var flags = [2]bool{false, true}

// readPage reads the list answer in the memory, in one pass if it is an ordinary
// one. The page owns the memory from then on.
func readPage(memory *pageMemory) (*Page, error) {
	body := memory.body.Bytes()
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
	page := &Page{Total: len(e.Data), HasMore: readFlag(e.HasMore), body: body, checked: true}
	seen := make(map[string]int, len(e.Data)) // places from 1
	for _, raw := range e.Data {
		s, err := checkout.Parse(raw)
		switch {
		case err != nil:
			page.Bad = append(page.Bad, Bad{ID: s.ID, Err: err, place: len(page.Items)})
		case seen[s.ID] > 0:
			page.Repeated++
			page.Items[seen[s.ID]-1].meet(&s)
		default:
			page.Items = append(page.Items, decoded(&s))
			seen[s.ID] = len(page.Items)
		}
	}
	for i := range page.Bad {
		if at := seen[page.Bad[i].ID]; at > 0 {
			page.Items[at-1].twice = true
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

// ordered says whether the page runs from newer to older sessions, allowing for
// the API's rounding of creation times. Within a second the ids tell: a page on
// which every session is newer than the one before runs the wrong way.
func (p *Page) ordered() bool {
	ascends := len(p.Items) >= enoughToAscend
	for i := 1; i < len(p.Items); i++ {
		before, it := &p.Items[i-1], &p.Items[i]
		if it.Created > before.Created+int64(createdRounding/time.Second) {
			return false
		}
		ascends = ascends && older(before, it)
	}
	return !ascends
}

// excludes says whether the page was not asked for a creation time.
func (p *Page) excludes(created time.Time) bool { return created.Before(p.since.Add(-createdRounding)) }

// reaches says whether the page goes down below a time. The last two sessions must
// say so: one alone may have a creation time that makes no sense.
func (p *Page) reaches(t time.Time) bool {
	before := &p.Items[max(len(p.Items)-2, 0)]
	return p.last().created().Before(t) && before.created().Before(t)
}

// older says whether a stands below b in a list.
func older(a, b *Item) bool {
	return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(len(a.ID), len(b.ID)), bytes.Compare(a.ID, b.ID)) < 0
}

// enoughToAscend is from how many sessions on a page the order of their ids is hardly an
// accident (1 in 120): the API promises none within a second.
const enoughToAscend = 5
