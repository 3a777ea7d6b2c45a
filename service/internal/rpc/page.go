package rpc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
	pageTokenLife   = time.Hour
)

// pager makes and checks page tokens. A token holds the cursor of the layer below, the time it ends, and a MAC over
// both and over the fields of the request that it belongs to, so it is good for an hour and for the same request only.
type pager struct {
	key []byte
	now func() time.Time
}

func newPager(key []byte, now func() time.Time) *pager {
	return &pager{key: key, now: now}
}

// open checks page_size and page_token; cursor is empty on the first page. scope is the method and all other fields.
func (p *pager) open(size int32, token string, scope ...string) (limit int, cursor string, err error) {
	switch {
	case size < 0:
		return 0, "", missing("page_size", "must not be negative")
	case size == 0:
		limit = defaultPageSize
	default:
		limit = min(int(size), maxPageSize)
	}
	if token == "" {
		return limit, "", nil
	}
	cursor, ok := p.read(token, scope)
	if !ok {
		return 0, "", apierr.New(apierr.BadArgument, "page_token is not one of this server's, is over an hour old, or belongs to another request").
			With("field", "page_token").WithViolation("page_token", "start again without it")
	}
	return limit, cursor, nil
}

// next makes the token for the page after cursor, "" for an empty cursor.
func (p *pager) next(cursor string, scope ...string) string {
	if cursor == "" {
		return ""
	}
	body := binary.BigEndian.AppendUint64(nil, uint64(p.now().Add(pageTokenLife).Unix()))
	body = append(body, cursor...)
	return base64.RawURLEncoding.EncodeToString(append(p.mac(body, scope), body...))
}

func (p *pager) read(token string, scope []string) (string, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < sha256.Size+8 {
		return "", false
	}
	sum, body := raw[:sha256.Size], raw[sha256.Size:]
	ends := time.Unix(int64(binary.BigEndian.Uint64(body)), 0)
	if !hmac.Equal(sum, p.mac(body, scope)) || p.now().After(ends) {
		return "", false
	}
	return string(body[8:]), true
}

func (p *pager) mac(body []byte, scope []string) []byte {
	h := hmac.New(sha256.New, p.key)
	for _, s := range scope {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	h.Write(body)
	return h.Sum(nil)
}
