package tunnel_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/limits"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
)

// A block of exactly the limit is taken, one of a byte more leaves nothing.
func TestBlocksOfLimitedSize(t *testing.T) {
	body := idRecords(t, 1, 2, 3)
	for over := range 2 {
		e := start(t, func(_ *store.Options, o *tunnel.Options) { o.MaxBlockBytes = int64(len(body) - over) })
		e.create(t, "t", "id bigint", "")
		id := e.session(t, table+"?uploads", "UploadID")
		if over == 0 {
			e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, body)
			continue
		}
		e.want(t, 400, "InvalidArgument", "PUT", table+"?blockid=0&uploadid="+id, body)
		if got := e.blocks(t, id); len(got) != 0 {
			t.Errorf("blocks %v", got)
		}
	}
}

// Refused commits and blocks have no effect, and the same call succeeds later.
func TestRefusedByTheGate(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	gate := limits.NewGate(limits.Limits{Sessions: 1, Blocks: 1, Commits: 1, Window: time.Second}, func() time.Time { return now })
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Gate = gate })
	tab := e.create(t, "t", "id bigint", "")
	e.want(t, 404, "NoSuchTable", "POST", "/projects/p/tables/none?uploads", nil) // counts for nothing
	id := e.session(t, table+"?uploads", "UploadID")
	e.want(t, 429, "FlowExceeded", "POST", table+"?uploads", nil)
	e.want(t, 404, "NoSuchUpload", "PUT", table+"?blockid=0&uploadid=none", idRecords(t, 1)) // nor does this
	e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, idRecords(t, 1))
	e.want(t, 429, "FlowExceeded", "PUT", table+"?blockid=1&uploadid="+id, idRecords(t, 2))
	if got := e.blocks(t, id); !slices.Equal(got, []int{0}) {
		t.Errorf("blocks %v", got)
	}
	done, err := gate.Commit(tab.Key.String())
	if err != nil {
		t.Fatal(err)
	}
	e.want(t, 429, "FlowExceeded", "POST", table+"?uploadid="+id, nil)
	if got := e.ids(t); len(got) != 0 {
		t.Errorf("rows %v of a refused commit", got)
	}
	done()
	now = now.Add(time.Second)
	e.want(t, 200, "", "PUT", table+"?blockid=1&uploadid="+id, idRecords(t, 2))
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	if got := e.ids(t); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("rows %v", got)
	}
}

// Of more download sessions than are kept, the oldest goes.
func TestDownloadSessionsAreBounded(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	first := e.session(t, table+"?downloads", "DownloadID")
	second := e.session(t, table+"?downloads", "DownloadID")
	for range 10_000 - 1 {
		e.session(t, table+"?downloads", "DownloadID")
	}
	e.want(t, 404, "NoSuchDownload", "GET", table+"?downloadid="+first, nil)
	e.want(t, 200, "", "GET", table+"?downloadid="+second, nil)
}

func TestPartitionsOfOneTableAreBounded(t *testing.T) {
	e := start(t, func(o *store.Options, _ *tunnel.Options) { o.MaxPartitions = 3 })
	e.create(t, "t", "id bigint", "pt string")
	e.create(t, "u", "id bigint", "pt string")
	for i := range 3 {
		e.session(t, fmt.Sprintf("%s?uploads&create_partition&partition=pt=%d", table, i), "UploadID")
	}
	e.want(t, 400, "InvalidPartitionSpec", "POST", table+"?uploads&create_partition&partition=pt=3", nil)
	e.session(t, table+"?uploads&create_partition&partition=pt=2", "UploadID") // that one is there
	e.session(t, "/projects/p/tables/u?uploads&create_partition&partition=pt=3", "UploadID")
}
