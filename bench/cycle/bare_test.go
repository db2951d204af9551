package cycle_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// bare is the limit: it reads the same pages over as many connections, each into
// a buffer that was used before, and takes them apart blindly. It is told where
// every page begins.
type bare struct {
	*outside
	client  *http.Client
	buffers sync.Pool
	scans   bool
	each    func(items [][]byte, from int) error // what else to do with a page; may be nil
}

// memory is what one page after the other lives in.
type memory struct {
	body  bytes.Buffer
	items [][]byte
}

func newBare(o *outside, concurrency int, scans bool) *bare {
	return &bare{
		outside: o, scans: scans,
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency}},
		buffers: sync.Pool{New: func() any { return new(memory) }},
	}
}

// read reads the whole list, each connection its part of it.
func (b *bare) read(t *testing.T, concurrency int) {
	t.Helper()
	pages := (b.n + pageSize - 1) / pageSize
	group, ctx := errgroup.WithContext(t.Context())
	for part := range concurrency {
		group.Go(func() error {
			for page := part * pages / concurrency; page < (part+1)*pages/concurrency; page++ {
				if err := b.page(ctx, b.n-page*pageSize); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	b.client.CloseIdleConnections()
}

// page reads the page below a number.
func (b *bare) page(ctx context.Context, from int) error {
	body := strings.NewReader(fmt.Sprintf(`{"limit":%d,"starting_after":%q}`, pageSize, b.id(from)))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.api+listPath, body)
	if err != nil {
		return err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	m := b.buffers.Get().(*memory)
	defer b.buffers.Put(m)
	m.body.Reset()
	m.body.Grow(int(resp.ContentLength) + bytes.MinRead)
	if _, err := m.body.ReadFrom(resp.Body); err != nil || !b.scans {
		return err
	}
	if m.items = scan(m.body.Bytes(), m.items[:0]); len(m.items) != min(pageSize, from) {
		return fmt.Errorf("%d items on a page: %w", len(m.items), io.ErrUnexpectedEOF)
	}
	if b.each == nil {
		return nil
	}
	return b.each(m.items, from)
}

// scan counts braces and hashes each item, blind to what the bytes say.
func scan(body []byte, items [][]byte) [][]byte {
	depth, start := 0, 0
	for i := bytes.IndexByte(body, '['); i < len(body); i++ {
		switch body[i] {
		case '"':
			i = quote(body, i+1)
		case '{', '[':
			if depth++; depth == 2 {
				start = i
			}
		case '}', ']':
			if depth--; depth == 1 && xxhash.Sum64(body[start:i+1]) != 0 {
				items = append(items, body[start:i+1])
			}
		}
	}
	return items
}

// quote is the fastest way we know to the end of strings that are short.
func quote(body []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for end := i + 24; i < end && i+8 <= len(body); i += 8 {
		x := binary.LittleEndian.Uint64(body[i:]) ^ ones*'"'
		if zeros := (x - ones) & ^x & highs; zeros != 0 {
			return i + bits.TrailingZeros64(zeros)/8
		}
	}
	return i + bytes.IndexByte(body[i:], '"')
}
