package tunnel_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// putEncoded sends a body as it is, under a Content-Encoding.
func (e *endpoint) putEncoded(t testing.TB, path string, enc wire.Encoding, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if enc != wire.Identity {
		req.Header.Set("Content-Encoding", string(enc))
	}
	resp, err := e.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func compressed(t testing.TB, enc wire.Encoding, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := wire.NewCompressor(enc, &out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Bytes after the end of a block's body are noticed in every form and encoding, whether they come with its last bytes
// or long after: the block is not there.
func TestBytesAfterTheEndOfABlock(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"?uploads", "UploadID")
	forms := map[string][]byte{"": idRecords(t, 1, 2, 3), "&arrow": idArrow(t, 1, 2, 3)}
	for form, body := range forms {
		path := table + "?blockid=1&uploadid=" + id + form
		for _, enc := range []wire.Encoding{wire.Identity, wire.Deflate, wire.Snappy, wire.Zstd, wire.LZ4Frame} {
			sent := body
			if enc != wire.Identity {
				sent = compressed(t, enc, body)
			}
			for _, more := range []int{1, 5, 1000, 1 << 20} {
				long := append(bytes.Clone(sent), bytes.Repeat([]byte{0x5a}, more)...)
				if code := e.putEncoded(t, path, enc, long); code != http.StatusBadRequest {
					t.Errorf("%s %q with %d bytes more: %d, want 400", form, enc, more, code)
				}
			}
			if got := e.blocks(t, id); len(got) != 0 {
				t.Fatalf("%s %q: blocks %v", form, enc, got)
			}
		}
	}
	for form, body := range forms { // what was added to is good by itself
		if code := e.putEncoded(t, table+"?blockid=1&uploadid="+id+form, wire.Deflate, compressed(t, wire.Deflate, body)); code != http.StatusOK {
			t.Errorf("%s: %d", form, code)
		}
	}
}
