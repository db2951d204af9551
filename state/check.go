package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// bbolt trusts the pages that it maps into memory: a damaged one ends the
// process, from a goroutine of its own. So the structure of a file is checked
// here first, by plain reads: that it is as long as it says, and that every
// page, element and key that bbolt will follow lies where it may lie. What the
// rows mean is checked by Verify.

// Parts of bbolt's file format, version 2, in the byte order of the machine.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16 // of a branch and of a leaf
	metaSize    = 64
	metaSummed  = 56 // bytes in front of the checksum
	bucketSize  = 16 // root 8, sequence 8

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10
	flagBucket   = 0x01 // of a leaf's element

	noFreelist = ^uint64(0)
	maxDepth   = 64 // of branches and buckets: a file of the largest size has less than 20
)

var order = binary.NativeEndian

// meta is the part of a meta page that leads to everything else.
type meta struct {
	pageSize, root, freelist, pages, txid uint64
}

func readMeta(page []byte) (meta, bool) {
	if len(page) < pageHeader+metaSize {
		return meta{}, false
	}
	m := page[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSummed]) // never fails
	if order.Uint32(m) != boltMagic || order.Uint32(m[4:]) != boltVersion || order.Uint64(m[metaSummed:]) != sum.Sum64() {
		return meta{}, false
	}
	return meta{
		pageSize: uint64(order.Uint32(m[8:])), root: order.Uint64(m[16:]), freelist: order.Uint64(m[32:]),
		pages: order.Uint64(m[40:]), txid: order.Uint64(m[48:]),
	}, true
}

// findMeta returns the newest sound meta page. The second one lies behind the
// first, whose size is not known if it is the damaged one.
func findMeta(file io.ReaderAt) (meta, error) {
	var newest meta
	found := false
	page := make([]byte, pageHeader+metaSize)
	for offset := int64(0); offset <= 16<<20; offset = max(1024, offset*2) {
		n, err := file.ReadAt(page, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return meta{}, err
		}
		m, ok := readMeta(page[:n])
		if ok && (offset == 0 || uint64(offset) == m.pageSize) && (!found || m.txid > newest.txid) {
			newest, found = m, true
		}
	}
	switch {
	case !found:
		return meta{}, errors.New("it is no state file of notifier, or its beginning is spoiled")
	case newest.pageSize < 1024 || newest.pageSize > 16<<20 || newest.pageSize&(newest.pageSize-1) != 0:
		return meta{}, fmt.Errorf("page size %d makes no sense", newest.pageSize)
	}
	return newest, nil
}

// checkMetaPages checks what their checksums do not cover and no transaction needs.
func checkMetaPages(file io.ReaderAt, pageSize uint64) (found []error) {
	header := make([]byte, pageHeader)
	for id := range uint64(2) {
		_, err := file.ReadAt(header, int64(id*pageSize))
		if is, flags := order.Uint64(header), order.Uint16(header[8:]); err == nil && (is != id || flags != flagMeta) {
			err = fmt.Errorf("page %d says that it is page %d with flags %#x", id, is, flags)
		}
		if err != nil {
			found = append(found, err)
		}
	}
	return found
}

// walker visits every page that can be reached.
type walker struct {
	file io.ReaderAt
	meta
	seen []uint64 // a bit for each page

	window []byte // the pages that were read last, from page first on
	first  uint64
}

// maxWindow is how many bytes are read at once where pages follow each other.
const maxWindow = 256 << 10

// read returns a page, to be used until the next one is read. Leaves often lie
// in the order of their keys: the longer that goes on, the more are read at once.
func (w *walker) read(id uint64) ([]byte, error) {
	have := uint64(len(w.window)) / w.pageSize
	if id < w.first || id >= w.first+have {
		pages := uint64(1)
		if have > 0 && id >= w.first+have && id <= w.first+have+have/4 {
			pages = min(2*have, max(1, maxWindow/w.pageSize), w.pages-id)
		}
		w.first, w.window = id, slices.Grow(w.window[:0], int(pages*w.pageSize))[:pages*w.pageSize]
		if _, err := w.file.ReadAt(w.window, int64(id*w.pageSize)); err != nil {
			w.window = w.window[:0]
			return nil, err
		}
	}
	at := (id - w.first) * w.pageSize
	return w.window[at : at+w.pageSize : at+w.pageSize], nil
}

func checkFile(file *os.File) error {
	m, err := findMeta(file)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if size := uint64(info.Size()); m.pages > size/m.pageSize {
		return fmt.Errorf("it is cut off: %d bytes are left of at least %d", size, m.pages*m.pageSize)
	}
	w := &walker{file: file, meta: m, seen: make([]uint64, m.pages/64+1)}
	if m.freelist != noFreelist {
		if err := w.freePages(m.freelist); err != nil {
			return err
		}
	}
	return w.tree(m.root, nil, nil, 0)
}

// load reads the first page of a node, to be used until the next one is loaded;
// more is read when an element needs it.
func (w *walker) load(id uint64) (page []byte, limit uint64, err error) {
	if id < 2 || id >= w.pages {
		return nil, 0, fmt.Errorf("page %d is out of bounds", id)
	}
	if page, err = w.read(id); err != nil {
		return nil, 0, fmt.Errorf("reading page %d: %w", id, err)
	}
	overflow := uint64(order.Uint32(page[12:]))
	if order.Uint64(page) != id || overflow >= w.pages-id {
		return nil, 0, fmt.Errorf("page %d is not what it should be", id)
	}
	for i := id; i <= id+overflow; i++ {
		if w.seen[i/64]&(1<<(i%64)) != 0 {
			return nil, 0, fmt.Errorf("page %d is used twice", i)
		}
		w.seen[i/64] |= 1 << (i % 64)
	}
	return page, (overflow + 1) * w.pageSize, nil
}

// extend reads on until the page holds need bytes.
func (w *walker) extend(id uint64, page []byte, need uint64) ([]byte, error) {
	have := uint64(len(page))
	if need <= have {
		return page, nil
	}
	page = append(page, make([]byte, need-have)...)
	if _, err := w.file.ReadAt(page[have:], int64(id*w.pageSize+have)); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	return page, nil
}

// tree checks a node and all below it. Its keys are at least low and below high.
func (w *walker) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d lies too deep", id)
	}
	page, limit, err := w.load(id)
	if err != nil {
		return err
	}
	flags := order.Uint16(page[8:])
	if flags != flagBranch && flags != flagLeaf {
		return fmt.Errorf("page %d has unknown flags %#x", id, flags)
	}
	n := node{walker: w, id: id, page: page, limit: limit, leaf: flags == flagLeaf}
	if !n.leaf {
		n.page = bytes.Clone(page) // others are loaded below it
	}
	return n.check(low, high, depth)
}

// freePages checks the list of free pages, which files of ours do not have but
// copies made by bbolt's own tools do.
func (w *walker) freePages(id uint64) error {
	page, limit, err := w.load(id)
	if err != nil {
		return err
	}
	if order.Uint16(page[8:]) != flagFreelist {
		return fmt.Errorf("page %d is no list of free pages", id)
	}
	count, first := uint64(order.Uint16(page[10:])), uint64(pageHeader)
	if count == 0xFFFF {
		count, first = order.Uint64(page[pageHeader:]), pageHeader+8
	}
	if count > (limit-first)/8 {
		return fmt.Errorf("the list of free pages on page %d is too long", id)
	}
	if page, err = w.extend(id, page, first+8*count); err != nil {
		return err
	}
	for i := range count {
		free := order.Uint64(page[first+8*i:])
		if free < 2 || free >= w.pages {
			return fmt.Errorf("free page %d is out of bounds", free)
		}
	}
	return nil
}

// node is one page, or a bucket that lies inside its parent's page.
type node struct {
	*walker
	id    uint64
	page  []byte
	limit uint64 // bytes that belong to the node
	leaf  bool
}

func (n *node) check(low, high []byte, depth int) error {
	count := uint64(order.Uint16(n.page[10:]))
	if !n.leaf && count == 0 {
		return fmt.Errorf("page %d is an empty branch", n.id)
	}
	if pageHeader+count*elementSize > n.limit {
		return fmt.Errorf("page %d has too many elements", n.id)
	}
	var previous []byte
	below := !n.leaf
	for i := range count {
		key, err := n.key(i)
		if err != nil {
			return err
		}
		if (i == 0 && bytes.Compare(key, low) < 0) || (i > 0 && bytes.Compare(key, previous) <= 0) {
			return fmt.Errorf("keys of page %d are out of order", n.id)
		}
		if high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("keys of page %d reach into the next page", n.id)
		}
		previous = key
		below = below || n.isBucket(i)
	}
	if !below {
		return nil
	}
	return n.children(count, high, depth)
}

// children checks what lies below a node.
func (n *node) children(count uint64, high []byte, depth int) error {
	if n.leaf {
		n.page = bytes.Clone(n.page) // others are loaded below it
	}
	for i := range count {
		key, err := n.key(i)
		if err != nil {
			return err
		}
		next := high
		if i+1 < count {
			if next, err = n.key(i + 1); err != nil {
				return err
			}
		}
		if err := n.descend(i, key, next, depth); err != nil {
			return err
		}
	}
	return nil
}

// isBucket says whether an element, whose head has been read, is a bucket.
func (n *node) isBucket(i uint64) bool {
	return n.leaf && order.Uint32(n.page[pageHeader+i*elementSize:])&flagBucket != 0
}

// span returns where an element's key begins, and its sizes.
func (n *node) span(i uint64) (start, keySize, valueSize uint64, err error) {
	at := pageHeader + i*elementSize
	if n.page, err = n.extend(n.id, n.page, min(at+elementSize, n.limit)); err != nil {
		return 0, 0, 0, err
	}
	e := n.page[at:]
	if n.leaf {
		start, keySize, valueSize = at+uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
	} else {
		start, keySize = at+uint64(order.Uint32(e)), uint64(order.Uint32(e[4:]))
	}
	if start+keySize+valueSize > n.limit {
		return 0, 0, 0, fmt.Errorf("an element of page %d lies outside of it", n.id)
	}
	return start, keySize, valueSize, nil
}

func (n *node) key(i uint64) ([]byte, error) {
	start, size, _, err := n.span(i)
	if err != nil {
		return nil, err
	}
	if n.page, err = n.extend(n.id, n.page, start+size); err != nil {
		return nil, err
	}
	return n.page[start : start+size], nil
}

// descend follows a branch's element, or a leaf's element that is a bucket.
func (n *node) descend(i uint64, key, next []byte, depth int) error {
	if !n.leaf {
		return n.tree(order.Uint64(n.page[pageHeader+i*elementSize+8:]), key, next, depth+1)
	}
	if !n.isBucket(i) {
		return nil
	}
	start, keySize, size, err := n.span(i)
	if err != nil {
		return err
	}
	if size < bucketSize {
		return fmt.Errorf("a bucket on page %d is too short", n.id)
	}
	start += keySize
	if n.page, err = n.extend(n.id, n.page, start+size); err != nil {
		return err
	}
	bucket := n.page[start : start+size]
	if root := order.Uint64(bucket); root != 0 {
		return n.tree(root, nil, nil, depth+1)
	}
	inline := bucket[bucketSize:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != flagLeaf || depth >= maxDepth {
		return fmt.Errorf("a bucket inside page %d is spoiled", n.id)
	}
	child := node{walker: n.walker, id: n.id, page: inline, limit: uint64(len(inline)), leaf: true}
	return child.check(nil, nil, depth+1)
}
