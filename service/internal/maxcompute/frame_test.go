package maxcompute

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
)

// framed runs batches through a framer into small writes.
func framed(t *testing.T, form batch.Form, chunk int, batches ...*batch.Checked) []byte {
	t.Helper()
	var out bytes.Buffer
	gather := &coalescer{w: &out, buf: make([]byte, 0, 50)}
	f, err := newFramer(form, gather, chunk)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range batches {
		if err := f.add(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.finish(), gather.flush()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestArrowFramer_golden_whatever_the_pieces(t *testing.T) {
	want := unhex(t, goldenArrow)
	data := want[4 : len(want)-4]
	var released atomic.Int64
	for piece := 1; piece <= len(data); piece++ {
		got := framed(t, batch.FormArrow, 65536, checked(batch.FormArrow, 1, 0, data, piece, &released))
		if !bytes.Equal(got, want) {
			t.Fatalf("pieces of %d: body = %x, want %x", piece, got, want)
		}
	}
}

func TestArrowFramer_chunks_and_combined_checksum(t *testing.T) {
	var released atomic.Int64
	data := random(1000)
	for _, chunk := range []int{1, 2, 7, 100, 250, 333, 500, 999, 1000, 1001} {
		got := framed(t, batch.FormArrow, chunk, checked(batch.FormArrow, 1, 0, data[:123], 10, &released), checked(batch.FormArrow, 1, 0, data[123:], 300, &released))
		if want := frame(data, chunk); !bytes.Equal(got, want) {
			t.Errorf("chunks of %d differ", chunk)
		}
	}
}

func TestRecordFramer_golden(t *testing.T) {
	var released atomic.Int64
	rec := unhex(t, goldenRecordA)
	crc := batch.CRC32C([]byte{0xe8, 0x18, 0x62, 0x6a}) // over the row's CRC, little endian
	got := framed(t, batch.FormRecord, 0, checked(batch.FormRecord, 1, crc, rec, 5, &released))
	if want := slices.Concat(rec, unhex(t, goldenTrailerA)); !bytes.Equal(got, want) {
		t.Errorf("body = %x, want %x", got, want)
	}
	// Two batches of one row each: the trailer's checksum runs over both rows' CRCs.
	got = framed(t, batch.FormRecord, 0, checked(batch.FormRecord, 1, crc, rec, 99, &released), checked(batch.FormRecord, 1, crc, rec, 99, &released))
	both := batch.CRC32C([]byte{0xe8, 0x18, 0x62, 0x6a, 0xe8, 0x18, 0x62, 0x6a})
	if want := recordTrailer(2, both); !bytes.HasSuffix(got, want) {
		t.Errorf("trailer of %x, want %x", got, want)
	}
}

func TestEmptyBodies_golden(t *testing.T) {
	for form, want := range map[batch.Form]string{batch.FormArrow: "00000000", batch.FormRecord: "f0ffff7f00 f8ffff7f00"} {
		if got := emptyBody(form); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("emptyBody(%v) = %x, want %s", form, got, want)
		}
		if got := framed(t, form, 65536); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("a block without rows (%v) = %x, want %s", form, got, want)
		}
	}
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// unframe reads everything; the error is nil for io.EOF.
func unframe(r io.Reader) ([]byte, error) {
	u := unframer{r: r}
	defer u.close()
	var out []byte
	for {
		x, err := u.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, x.p...)
		x.block.unref()
	}
}

func TestUnframer_any_chunk_size_and_reads(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 5, 63, 64, 65, 128, 1000, 70000} {
		data := random(n)
		for _, chunk := range []int{1, 4, 64, 1000, 65536} {
			if n > 1000 && chunk < 64 {
				continue
			}
			body := frame(data, chunk)
			for name, r := range map[string]io.Reader{
				"whole": bytes.NewReader(body), "halves": iotest.HalfReader(bytes.NewReader(body)), "data with EOF": iotest.DataErrReader(bytes.NewReader(body)),
			} {
				if got, err := unframe(r); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes in chunks of %d, %s: %d bytes, %v", n, chunk, name, len(got), err)
				}
			}
		}
	}
	if got, err := unframe(bytes.NewReader([]byte{0, 0, 0, 0})); err != nil || len(got) != 0 {
		t.Errorf("the short empty body: %x, %v, want nothing", got, err)
	}
}

// A body that was cut anywhere is an error, also where the cut looks like a last chunk.
func TestUnframer_cut_at_every_byte(t *testing.T) {
	for _, body := range [][]byte{unhex(t, goldenArrow), frame(random(300), 64), frame(random(256), 64), frame(nil, 64)} {
		for n := range body {
			if _, err := unframe(bytes.NewReader(body[:n])); err == nil {
				t.Errorf("%d of %d bytes were taken for a whole body", n, len(body))
			}
			if _, err := unframe(io.MultiReader(bytes.NewReader(body[:n]), iotest.ErrReader(io.ErrUnexpectedEOF))); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut after %d bytes: %v, want ErrUnexpectedEOF", n, err)
			}
		}
	}
}

func TestUnframer_damage_at_every_byte(t *testing.T) {
	body := frame(random(300), 64)
	for i := 4; i < len(body); i++ {
		bad := bytes.Clone(body)
		bad[i] ^= 0x10
		if _, err := unframe(bytes.NewReader(bad)); err == nil {
			t.Errorf("damage at byte %d was not seen", i)
		}
	}
	body[10] ^= 1
	if _, err := unframe(bytes.NewReader(body)); !apierr.Is(err, apierr.ChecksumMismatch) {
		t.Errorf("damage inside a chunk: %v, want CHECKSUM_MISMATCH", err)
	}
	for _, head := range []string{"ffffffff", "01000001"} {
		if _, err := unframe(bytes.NewReader(append(unhex(t, head), 1, 2, 3))); !errors.Is(err, errNoArrow) {
			t.Errorf("chunk size %s: %v, want errNoArrow", head, err)
		}
	}
	if _, err := unframe(bytes.NewReader(make([]byte, 5))); !errors.Is(err, errNoArrow) {
		t.Errorf("chunk size 0 with data: %v, want errNoArrow", err)
	}
}

// cutAll reads all messages of a body.
func cutAll(r io.Reader) (msgs [][]byte, rows []int, err error) {
	m := messageCutter{u: unframer{r: r}, max: 1 << 20}
	defer m.close()
	for {
		p, n, err := m.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return msgs, rows, err
		}
		msgs, rows = append(msgs, bytes.Join(p.Pieces(), nil)), append(rows, n)
		p.Release()
	}
}

func TestMessageCutter_golden(t *testing.T) {
	body := unhex(t, goldenArrow)
	msgs, rows, err := cutAll(bytes.NewReader(body))
	if err != nil || len(msgs) != 1 || rows[0] != 1 || !bytes.Equal(msgs[0], body[4:len(body)-4]) {
		t.Errorf("cut = %x, %v, %v, want the one message with one row", msgs, rows, err)
	}
}

func TestMessageCutter_messages_across_chunks_and_blocks(t *testing.T) {
	var want [][]byte
	var data []byte
	var rows []int
	for _, n := range []int{1, 0, 17, 4000, 3, 9000} {
		m := message(t, len(data), n)
		want, data, rows = append(want, m), append(data, m...), append(rows, n)
	}
	for _, chunk := range []int{100, 4096, 65536} {
		for _, eos := range []string{"", "ffffffff00000000"} {
			got, n, err := cutAll(bytes.NewReader(frame(append(bytes.Clone(data), unhex(t, eos)...), chunk)))
			if err != nil || fmt.Sprint(n) != fmt.Sprint(rows) || !bytes.Equal(bytes.Join(got, nil), bytes.Join(want, nil)) {
				t.Errorf("chunks of %d, end mark %q: rows %v, %v, want %v", chunk, eos, n, err, rows)
			}
		}
	}
}

// Payloads outlive the reader and later reads: their blocks are not reused under them.
func TestMessageCutter_payloads_stay_valid(t *testing.T) {
	var data []byte
	var want [][]byte
	for i := range 200 {
		m := message(t, i*1000, 500)
		data, want = append(data, m...), append(want, m)
	}
	body := frame(data, 65536)
	for range 3 {
		m := messageCutter{u: unframer{r: bytes.NewReader(body)}, max: 1 << 20}
		var held []batch.Payload
		for i := range want {
			p, _, err := m.next()
			if err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				p.Release()
				p = batch.Payload{}
			}
			held = append(held, p)
		}
		m.close()
		for i, p := range held {
			if i%3 != 0 && !bytes.Equal(bytes.Join(p.Pieces(), nil), want[i]) {
				t.Fatalf("message %d changed while it was held", i)
			}
			p.Release()
		}
	}
}

func TestMessageCutter_garbage_under_good_checksums(t *testing.T) {
	good := message(t, 0, 3)
	huge := bytes.Clone(good)
	for name, data := range map[string][]byte{
		"no continuation": random(100), "half a prefix": good[:5], "half the metadata": good[:40], "half the body": good[:len(good)-8],
		"after the end mark": append(unhex(t, "ffffffff00000000"), good...), "metadata too long": unhex(t, "ffffffff00000041"),
		"metadata of noise": append(unhex(t, "ffffffff40000000"), random(64)...), "zero metadata": append(unhex(t, "ffffffff40000000"), make([]byte, 64)...),
		"schema message": encode(t, testSchema(), nil), "too large": tooLarge(huge),
	} {
		if _, _, err := cutAll(bytes.NewReader(frame(data, 64))); err == nil || apierr.Is(err, apierr.ChecksumMismatch) {
			t.Errorf("%s: error = %v, want one about the messages", name, err)
		}
	}
}

func FuzzMessageCutter(f *testing.F) {
	f.Add(unhex(f, goldenArrow), false)
	f.Add(frame(message(f, 0, 10), 64), false)
	f.Add(message(f, 0, 10), true)
	f.Add([]byte{0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, wrap bool) {
		if wrap { // past the checksums, into the messages
			b = frame(b, 64)
		}
		msgs, rows, err := cutAll(bytes.NewReader(b))
		if err != nil {
			return
		}
		data, err := unframe(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("messages were read from a body that does not unframe: %v", err)
		}
		joined := bytes.Join(msgs, nil)
		if !bytes.HasPrefix(data, joined) || len(data)-len(joined) > 8 || len(rows) != len(msgs) {
			t.Fatalf("%d bytes of messages from %d bytes of data", len(joined), len(data))
		}
	})
}
