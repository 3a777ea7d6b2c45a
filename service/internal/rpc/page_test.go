package rpc

import (
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

func TestPageTokens(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := newPager([]byte("a key of thirty-two bytes, or so"), func() time.Time { return now })
	token := p.next("cursor", "List", "project")
	if token == "" {
		t.Fatal("no token for a cursor")
	}
	if p.next("", "List", "project") != "" {
		t.Error("a token for no cursor: the last page would never end")
	}
	limit, cursor, err := p.open(0, token, "List", "project")
	if err != nil || limit != defaultPageSize || cursor != "cursor" {
		t.Errorf("open = %d, %q, %v, want %d, cursor", limit, cursor, err, defaultPageSize)
	}
	if limit, _, err := p.open(5000, "", "List"); err != nil || limit != maxPageSize {
		t.Errorf("page_size 5000: %d, %v, want %d", limit, err, maxPageSize)
	}
	refused := func(what string, size int32, token string, scope ...string) {
		t.Helper()
		if _, _, err := p.open(size, token, scope...); !apierr.Is(err, apierr.BadArgument) {
			t.Errorf("%s: %v, want BAD_ARGUMENT", what, err)
		}
	}
	refused("negative size", -1, "")
	refused("another request", 0, token, "List", "other")
	refused("fields shifted", 0, token, "Listproject")
	refused("garbage", 0, "!!", "List", "project")
	refused("changed token", 0, token[:len(token)-2]+"AA", "List", "project")
	now = now.Add(pageTokenLife + time.Second)
	refused("an hour later", 0, token, "List", "project")
}
