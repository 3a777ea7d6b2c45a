package store

import (
	"crypto/md5" //nolint:gosec // The protocol's checksum of resources; no secret depends on it.
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/sluice-io/sluice/emulator/internal/wire"
)

const (
	// contentPiece is the number of bytes that each checksum of a content covers, the
	// last one fewer; docs/formats/store.md. Frozen.
	contentPiece  = 256 << 10
	contentSuffix = ".bin"
	sumSize       = 4
)

// emptyMD5 is the MD5 of no bytes.
const emptyMD5 = "d41d8cd98f00b204e9800998ecf8427e"

// MaxResourceBytes bounds one resource: the service's limit of 2 GB.
const MaxResourceBytes = 2 << 30

// Content is the bytes of a resource or of a part of one: a file written and fsynced,
// never changed after.
type Content struct {
	// File is the file's name without its suffix, empty for a content without bytes.
	File string
	Size int64
	// MD5 of all bytes, lower-case hex.
	MD5 string
	// Sums are the CRC-32C of each piece, four bytes each, little endian.
	Sums []byte `json:",omitempty"`
}

func (c Content) pieces() int64 { return (c.Size + contentPiece - 1) / contentPiece }

func (c Content) sum(piece int64) uint32 { return binary.LittleEndian.Uint32(c.Sums[piece*sumSize:]) }

// ContentWriter writes one content. It belongs to one goroutine. End it with Finish
// or Abort; after an error only Abort is left.
type ContentWriter struct {
	s      *Store
	limit  int64
	id     string
	file   File // nil before the first byte and after the end
	size   int64
	synced int64 // writeback started up to here
	digest hash.Hash
	sums   []byte
	crc    uint32
	filled int64 // bytes of the piece that crc covers
}

// NewContent starts a content of at most MaxResourceBytes. The file is made with
// the first byte.
func (s *Store) NewContent() *ContentWriter {
	return &ContentWriter{s: s, limit: s.opt.MaxResourceBytes, digest: md5.New()} //nolint:gosec // as above
}

// Write appends bytes: ErrTooLarge beyond the limit, ErrStorage if the disk fails.
func (w *ContentWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > w.limit-w.size {
		return 0, fmt.Errorf("content of more than %d bytes: %w", w.limit, ErrTooLarge)
	}
	if w.file == nil {
		id := newID()
		f, err := w.s.contents.Create(id + contentSuffix)
		if err != nil {
			return 0, fmt.Errorf("create resource file: %w: %w", ErrStorage, err)
		}
		w.id, w.file = id, f
	}
	n, err := w.file.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, fmt.Errorf("write resource file: %w: %w", ErrStorage, err)
	}
	w.account(p)
	if w.size-w.synced >= writebackEvery {
		w.file.StartWriteback(w.synced, w.size-w.synced)
		w.synced = w.size
	}
	return n, nil
}

// account adds written bytes to size and checksums.
func (w *ContentWriter) account(p []byte) {
	w.digest.Write(p)
	w.size += int64(len(p))
	for len(p) > 0 {
		n := min(int64(len(p)), contentPiece-w.filled)
		w.crc = wire.CRC(w.crc, p[:n])
		w.filled, p = w.filled+n, p[n:]
		if w.filled == contentPiece {
			w.closePiece()
		}
	}
}

func (w *ContentWriter) closePiece() {
	w.sums = binary.LittleEndian.AppendUint32(w.sums, w.crc)
	w.crc, w.filled = 0, 0
}

// Finish makes the content durable. It is visible nowhere yet: give it to
// PutResource or PutPart, which take it over, or to DiscardContent.
func (w *ContentWriter) Finish() (Content, error) {
	if w.filled > 0 {
		w.closePiece()
	}
	c := Content{File: w.id, Size: w.size, MD5: hex.EncodeToString(w.digest.Sum(nil)), Sums: w.sums}
	if w.file == nil {
		return c, nil
	}
	if err := errors.Join(w.file.Sync(), w.file.Close()); err != nil {
		w.file = nil
		w.s.DiscardContent(c)
		return Content{}, fmt.Errorf("complete resource file: %w: %w", ErrStorage, err)
	}
	w.file = nil
	if err := w.s.contents.Sync(); err != nil {
		w.s.DiscardContent(c)
		return Content{}, fmt.Errorf("complete resource file: %w: %w", ErrStorage, err)
	}
	return c, nil
}

// Abort drops what was written. It does nothing after Finish.
func (w *ContentWriter) Abort() {
	if w.file == nil {
		return
	}
	_ = w.file.Close() // the file is removed
	w.file = nil
	w.s.DiscardContent(Content{File: w.id})
}

// ContentReader reads a content, also after it was replaced or deleted. It belongs
// to one goroutine; the caller closes it.
type ContentReader struct {
	Content
	file  ReadFile // nil without bytes
	piece []byte
}

func (s *Store) openContent(c Content) (*ContentReader, error) {
	r := &ContentReader{Content: c}
	if c.File == "" {
		return r, nil
	}
	f, err := s.contents.Open(c.File + contentSuffix)
	if err != nil {
		return nil, fmt.Errorf("open resource file: %w: %w", ErrStorage, err)
	}
	r.file = f
	return r, nil
}

// WriteRange copies count bytes from offset on to w, as far as there are any. Every
// byte was verified before it is written; damage is ErrStorage.
func (r *ContentReader) WriteRange(w io.Writer, offset, count int64) error {
	end := r.Size
	if count < end-offset {
		end = offset + count
	}
	for offset < end {
		piece := offset / contentPiece
		data, err := r.read(piece)
		if err != nil {
			return fmt.Errorf("resource file %s: %w: %w", r.File, ErrStorage, err)
		}
		start := piece * contentPiece
		n, err := w.Write(data[offset-start : min(end-start, int64(len(data)))])
		if err != nil {
			return fmt.Errorf("send content: %w", err)
		}
		offset += int64(n)
	}
	return nil
}

// verify reads everything and compares it with its checksums, the MD5 included.
func (r *ContentReader) verify() error {
	if r.Size < 0 || int64(len(r.Sums)) != r.pieces()*sumSize {
		return fmt.Errorf("%d bytes of checksums for a size of %d bytes", len(r.Sums), r.Size)
	}
	digest := md5.New() //nolint:gosec // as above
	for piece := range r.pieces() {
		data, err := r.read(piece)
		if err != nil {
			return err
		}
		digest.Write(data)
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != r.MD5 {
		return fmt.Errorf("the MD5 is %s, not %s", got, r.MD5)
	}
	return nil
}

// read returns one piece, verified; it is valid until the next call.
func (r *ContentReader) read(piece int64) ([]byte, error) {
	if r.piece == nil {
		r.piece = make([]byte, min(contentPiece, r.Size))
	}
	if (piece+1)*sumSize > int64(len(r.Sums)) {
		return nil, fmt.Errorf("no checksum of piece %d", piece)
	}
	start := piece * contentPiece
	data := r.piece[:min(contentPiece, r.Size-start)]
	if n, err := r.file.ReadAt(data, start); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the file has %d bytes, not %d", start+int64(n), r.Size)
	} else if err != nil {
		return nil, fmt.Errorf("read at %d: %w", start, err)
	}
	if got, want := wire.CRC(0, data), r.sum(piece); got != want {
		return nil, fmt.Errorf("damaged between bytes %d and %d: the checksum is %08x, not %08x", start, start+int64(len(data)), got, want)
	}
	return data, nil
}

// Close ends the reading.
func (r *ContentReader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// DiscardContent drops a content that nothing lists.
func (s *Store) DiscardContent(c Content) {
	if c.File == "" {
		return
	}
	s.mu.Lock()
	s.trash = append(s.trash, trashed{s.contents, c.File + contentSuffix})
	s.mu.Unlock()
	s.wakeCollector()
}
