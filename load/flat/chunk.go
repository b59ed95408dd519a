package flat

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// chunk is one column of the row group under way: the values of the page under
// way as they came, and the pages that are finished.
type chunk struct {
	column Column

	// The page under way. Of plain, numbers and indexes one is in use.
	levels  []byte // 1 for a value, 0 for none; only where a value may be absent
	plain   []byte // after room for the encoded levels, so that both are one piece
	numbers []int64
	indexes []int32
	values  int // rows in the page

	// The row group's dictionary, unless it was given up.
	index    map[string]int32
	words    []string // in index order
	dict     []byte
	gaveUp   bool
	last     string // the value before, and its index: neighbours are often equal
	lastAt   int32
	haveLast bool

	pages, dictPage []byte
	encodings       []format.PageEncodingStats
	rows, nulls     int64
	uncompressed    int64

	bounded     bool
	least, most []byte // of text
	low, high   int64  // of numbers
}

// levelRoom takes the levels of some thirty thousand values; more are put
// together with the values by copying.
const levelRoom = 4 << 10

func newChunk(column Column) chunk {
	c := chunk{column: column, index: map[string]int32{}}
	if column.Type.textual() {
		c.plain = make([]byte, levelRoom)
	}
	return c
}

func (c *chunk) reset() {
	clear(c.index)
	clear(c.words)
	*c = chunk{
		column: c.column, index: c.index, words: c.words[:0],
		levels: c.levels[:0], plain: c.plain[:min(len(c.plain), levelRoom)], numbers: c.numbers[:0], indexes: c.indexes[:0],
		dict:  c.dict[:0],
		pages: c.pages[:0], dictPage: c.dictPage[:0], encodings: c.encodings[:0],
		least: c.least[:0], most: c.most[:0],
	}
}

func (c *chunk) present() {
	c.values++
	if c.column.Null {
		c.levels = append(c.levels, 1)
	}
}

func (c *chunk) absent() {
	c.values++
	c.nulls++
	c.levels = append(c.levels, 0)
}

func (c *chunk) text(s string) {
	c.present()
	if c.column.Dict && !c.gaveUp {
		c.word(s)
		return
	}
	c.bound(s)
	c.append(s)
}

func (c *chunk) append(s string) {
	c.plain = binary.LittleEndian.AppendUint32(c.plain, uint32(len(s)))
	c.plain = append(c.plain, s...)
}

// word adds a value through the dictionary.
func (c *chunk) word(s string) {
	if !c.haveLast || s != c.last {
		at, known := c.index[s]
		if !known {
			at = c.learn(s)
		}
		c.last, c.lastAt, c.haveLast = c.words[at], at, true
	}
	c.indexes = append(c.indexes, c.lastAt)
	if len(c.dict) > dictBytes {
		c.giveUp()
	}
}

func (c *chunk) learn(s string) int32 {
	c.bound(s)
	word := strings.Clone(s)
	at := int32(len(c.words))
	c.words = append(c.words, word)
	c.index[word] = at
	c.dict = binary.LittleEndian.AppendUint32(c.dict, uint32(len(word)))
	c.dict = append(c.dict, word...)
	return at
}

// giveUp writes the row group's values as they are, because they are too
// different for a dictionary.
func (c *chunk) giveUp() {
	c.gaveUp = true
	for _, at := range c.indexes {
		c.append(c.words[at])
	}
	c.indexes = c.indexes[:0]
}

func (c *chunk) number(n int64) {
	c.present()
	c.numbers = append(c.numbers, n)
	if !c.column.Bounds || c.column.Type == Uint { // unsigned numbers have another order
		return
	}
	if !c.bounded {
		c.low, c.high, c.bounded = n, n, true
	}
	c.low, c.high = min(c.low, n), max(c.high, n)
}

func (c *chunk) bound(s string) {
	if !c.column.Bounds {
		return
	}
	if !c.bounded || s < string(c.least) {
		c.least = append(c.least[:0], s...)
	}
	if !c.bounded || s > string(c.most) {
		c.most = append(c.most[:0], s...)
	}
	c.bounded = true
}

// packer compresses pages; its buffers are used again.
type packer struct {
	encoder     *zstd.Encoder
	body, bytes []byte
	part        []byte
}

// flush ends the page under way. A page with indexes stays open until the row
// group ends, since the dictionary may yet be given up.
func (c *chunk) flush(p *packer) error {
	if c.values == 0 {
		return nil
	}
	encoding, body, err := c.body(p)
	if err != nil {
		return err
	}
	header := format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: int32(c.values), Encoding: encoding,
		DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
	})}
	if c.pages, err = c.page(c.pages, p, body, header); err != nil {
		return err
	}
	c.count(format.DataPage, encoding)
	c.rows += int64(c.values)
	c.values = 0
	c.levels, c.numbers, c.indexes = c.levels[:0], c.numbers[:0], c.indexes[:0]
	c.plain = c.plain[:min(len(c.plain), levelRoom)]
	return nil
}

// body encodes the levels and values of the page under way. What it returns is
// valid until the next value or page.
func (c *chunk) body(p *packer) (encoding format.Encoding, body []byte, err error) {
	p.body = p.body[:0]
	if c.column.Null {
		levels := rle.Encoding{BitWidth: 1}
		if p.part, err = levels.EncodeLevels(p.part, c.levels); err != nil {
			return 0, nil, err
		}
		p.body = binary.LittleEndian.AppendUint32(p.body, uint32(len(p.part)))
		p.body = append(p.body, p.part...)
	}
	if c.column.Type.textual() && len(c.indexes) == 0 {
		return format.Plain, c.plainBody(p), nil
	}
	if encoding, err = c.encode(p); err != nil {
		return 0, nil, err
	}
	return encoding, p.body, nil
}

// plainBody is p.body, the levels, and the plain values behind it.
func (c *chunk) plainBody(p *packer) []byte {
	if at := levelRoom - len(p.body); at >= 0 {
		copy(c.plain[at:], p.body)
		return c.plain[at:]
	}
	p.body = append(p.body, c.plain[levelRoom:]...)
	return p.body
}

// encode appends the values to p.body in other ways than plain text.
func (c *chunk) encode(p *packer) (encoding format.Encoding, err error) {
	switch {
	case c.column.Type == Bool:
		p.body = appendBits(p.body, c.numbers)
		return format.Plain, nil
	case c.column.Type == Uint:
		for _, n := range c.numbers {
			p.body = binary.LittleEndian.AppendUint64(p.body, uint64(n))
		}
		return format.Plain, nil
	case !c.column.Type.textual():
		encoding = format.DeltaBinaryPacked
		p.part, err = new(delta.BinaryPackedEncoding).EncodeInt64(p.part[:0], c.numbers)
	default:
		encoding = format.RLEDictionary
		p.part, err = new(rle.DictionaryEncoding).EncodeInt32(p.part[:0], c.indexes)
	}
	p.body = append(p.body, p.part...)
	return encoding, err
}

func appendBits(b []byte, bits []int64) []byte {
	for group := range slices.Chunk(bits, 8) {
		var packed byte
		for i, bit := range group {
			packed |= byte(bit) << i
		}
		b = append(b, packed)
	}
	return b
}

// finish ends the last page and writes the dictionary's.
func (c *chunk) finish(p *packer) error {
	if err := c.flush(p); err != nil {
		return err
	}
	if len(c.words) == 0 || c.gaveUp {
		return nil
	}
	header := format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
		NumValues: int32(len(c.words)), Encoding: format.Plain,
	})}
	var err error
	c.dictPage, err = c.page(c.dictPage, p, c.dict, header)
	c.count(format.DictionaryPage, format.Plain)
	return err
}

// page appends a body, compressed, with its header.
func (c *chunk) page(dst []byte, p *packer, body []byte, header format.PageHeader) ([]byte, error) {
	p.bytes = p.encoder.EncodeAll(body, p.bytes[:0])
	header.UncompressedPageSize = int32(len(body))
	header.CompressedPageSize = int32(len(p.bytes))
	header.CRC = int32(crc32.ChecksumIEEE(p.bytes))
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &header)
	if err != nil {
		return dst, err
	}
	c.uncompressed += int64(len(head) + len(body))
	return append(append(dst, head...), p.bytes...), nil
}

func (c *chunk) count(page format.PageType, encoding format.Encoding) {
	for i := range c.encodings {
		if s := &c.encodings[i]; s.PageType == page && s.Encoding == encoding {
			s.Count++
			return
		}
	}
	c.encodings = append(c.encodings, format.PageEncodingStats{PageType: page, Encoding: encoding, Count: 1})
}

// metadata describes the finished chunk, which begins at offset at.
func (c *chunk) metadata(at int64) format.ColumnMetaData {
	m := format.ColumnMetaData{
		Type: physical(c.column.Type), PathInSchema: []string{c.column.Name}, Codec: format.Zstd,
		NumValues: c.rows, DataPageOffset: at + int64(len(c.dictPage)),
		TotalUncompressedSize: c.uncompressed, TotalCompressedSize: int64(len(c.dictPage) + len(c.pages)),
		EncodingStats: slices.Clone(c.encodings),
		Statistics:    format.Statistics{NullCount: c.nulls},
	}
	if len(c.dictPage) > 0 {
		m.DictionaryPageOffset = at
	}
	for _, s := range c.encodings {
		if !slices.Contains(m.Encoding, s.Encoding) {
			m.Encoding = append(m.Encoding, s.Encoding)
		}
	}
	if c.column.Null && !slices.Contains(m.Encoding, format.RLE) {
		m.Encoding = append(m.Encoding, format.RLE) // of the levels
	}
	slices.Sort(m.Encoding)
	if c.bounded {
		m.Statistics.MinValue, m.Statistics.MaxValue = c.bounds()
	}
	return m
}

func (c *chunk) bounds() (least, most []byte) {
	switch {
	case c.column.Type.textual():
		return slices.Clone(c.least), slices.Clone(c.most)
	case c.column.Type == Bool:
		return []byte{byte(c.low)}, []byte{byte(c.high)}
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(c.low)), binary.LittleEndian.AppendUint64(nil, uint64(c.high))
}
