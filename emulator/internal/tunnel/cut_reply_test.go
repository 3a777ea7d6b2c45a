package tunnel_test

import (
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/faults"
)

// A client that goes away in the middle of a compressed download costs its connection and nothing else, whatever the
// encoding: no goroutine stays behind (TestMain looks), and none that writes on its own can take the process down.
func TestCompressedReplyCutShort(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	rows := make([]int64, 1<<19)
	for i := range rows {
		rows[i] = int64(i) * 0x2545f4914f6cdd1d // does not compress
	}
	e.upload(t, table, "", idRecords(t, rows...))
	id := e.session(t, table+"?downloads", "DownloadID")
	for _, coding := range []string{"", "deflate", "x-snappy-framed", "zstd", "x-lz4-frame"} {
		for _, cut := range []int64{1, 100_000, 1_500_000} {
			e.mu.Lock()
			e.decide = func(*http.Request) faults.Action { return faults.Action{CutReplyAt: cut} }
			e.mu.Unlock()
			req, err := http.NewRequest(http.MethodGet, e.url+table+"?data&arrow&downloadid="+id, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", coding)
			resp, err := e.srv.Client().Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Errorf("%q cut after %d bytes looks whole", coding, cut)
			}
		}
	}
	e.mu.Lock()
	e.decide = nil
	e.mu.Unlock()
	if got := e.ids(t); !slices.Equal(got, rows) {
		t.Errorf("%d rows, want %d", len(got), len(rows))
	}
}
