package read

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// A session token is
//
//	"r1." base64url( HMAC-SHA256(key, "r1." deflated) | deflated )
//
// where deflated is the raw DEFLATE of the JSON below. It holds all that a session is, so any replica with the key
// serves it. "r1" names the format; another format gets another name. Keys of the JSON are frozen.
const (
	tokenPrefix      = "r1."
	maxTokenBytes    = 256 << 10 // api.md 7
	maxTokenInflated = 16 << 20
	minKeyBytes      = 32
)

type tokenJSON struct {
	Nonce      string      `json:"n"`
	Name       [3]string   `json:"t"`
	Columns    []tokenCol  `json:"c"`
	Levels     []string    `json:"l,omitempty"` // partition columns
	Partitions []tokenPart `json:"p"`
	Snapshot   int64       `json:"a"` // Unix milliseconds
	Expires    int64       `json:"e"`
}

type tokenCol struct {
	Name    string `json:"n"`
	Type    string `json:"t"`
	NotNull bool   `json:"r,omitempty"`
	Ordinal int    `json:"o"` // among the table's data columns, −1 = a partition column
}

type tokenPart struct {
	Values   []string `json:"v,omitempty"`
	Download string   `json:"d,omitempty"` // empty: opened at the first read
	Rows     int64    `json:"r"`
}

// snapshot is what a token says.
type snapshot struct {
	nonce   string
	name    table.Name
	columns []column
	levels  []string
	parts   []part
	at      time.Time
	expires time.Time
}

// column is an output column and its place among the table's data columns; −1 for a partition column.
type column struct {
	table.Column
	ordinal int
}

// part is one partition of a snapshot and its upstream session, which is empty until somebody reads it.
type part struct {
	spec     table.Spec
	download string
	rows     int64
}

var errNoToken = errors.New("not a token of ours")

// expired is the one answer to every token that cannot be used; why goes to the log only.
func expired(cause error) error {
	return apierr.Wrap(cause, apierr.SessionExpired, "the read session is unknown or has expired; create a new one")
}

// seal makes the token. TOO_LARGE if it would exceed 256 KiB.
func (s *snapshot) seal(key []byte) (string, error) {
	doc, err := json.Marshal(s.document())
	if err != nil {
		return "", fmt.Errorf("encode session token: %w", err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return "", fmt.Errorf("encode session token: %w", err)
	}
	_, werr := w.Write(doc)
	if err := errors.Join(werr, w.Close()); err != nil {
		return "", fmt.Errorf("encode session token: %w", err)
	}
	token := tokenPrefix + base64.RawURLEncoding.EncodeToString(append(tokenMAC(key, packed.Bytes()), packed.Bytes()...))
	if len(token) > maxTokenBytes {
		return "", apierr.New(apierr.TooLarge, "a session of %d partitions and %d columns needs a token of %d bytes, %d are allowed; read fewer partitions at a time",
			len(s.parts), len(s.columns), len(token), maxTokenBytes)
	}
	return token, nil
}

// open reads a token and checks its signature, not its expiry. SESSION_EXPIRED for anything this key did not sign.
func open(key []byte, token string) (*snapshot, error) {
	packed, err := verify(key, token)
	if err != nil {
		return nil, expired(err)
	}
	s, err := parseSnapshot(packed)
	if err != nil {
		return nil, expired(err)
	}
	return s, nil
}

func verify(key []byte, token string) ([]byte, error) {
	text, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(token) > maxTokenBytes {
		return nil, errNoToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < sha256.Size {
		return nil, errNoToken
	}
	if !hmac.Equal(raw[:sha256.Size], tokenMAC(key, raw[sha256.Size:])) {
		return nil, errors.New("signed with another key")
	}
	return raw[sha256.Size:], nil
}

func tokenMAC(key, packed []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(tokenPrefix))
	m.Write(packed)
	return m.Sum(nil)
}

func parseSnapshot(packed []byte) (*snapshot, error) {
	r := flate.NewReader(bytes.NewReader(packed))
	doc, err := io.ReadAll(io.LimitReader(r, maxTokenInflated+1))
	if err != nil {
		return nil, fmt.Errorf("inflate session token: %w", err)
	}
	if len(doc) > maxTokenInflated {
		return nil, errors.New("session token inflates to too much")
	}
	var t tokenJSON
	if err := json.Unmarshal(doc, &t); err != nil {
		return nil, fmt.Errorf("decode session token: %w", err)
	}
	return t.snapshot()
}

func (s *snapshot) document() *tokenJSON {
	t := &tokenJSON{
		Nonce: s.nonce, Name: [3]string{s.name.Project, s.name.Schema, s.name.Table}, Levels: s.levels,
		Snapshot: s.at.UnixMilli(), Expires: s.expires.UnixMilli(),
	}
	for _, c := range s.columns {
		t.Columns = append(t.Columns, tokenCol{c.Name, c.Type.String(), c.NotNull, c.ordinal})
	}
	for _, p := range s.parts {
		tp := tokenPart{Download: p.download, Rows: p.rows}
		for _, level := range p.spec {
			tp.Values = append(tp.Values, level.Value)
		}
		t.Partitions = append(t.Partitions, tp)
	}
	return t
}

func (t *tokenJSON) snapshot() (*snapshot, error) {
	s := &snapshot{
		nonce: t.Nonce, name: table.NewName(t.Name[0], t.Name[1], t.Name[2]), levels: t.Levels,
		at: time.UnixMilli(t.Snapshot).UTC(), expires: time.UnixMilli(t.Expires).UTC(),
	}
	for _, c := range t.Columns {
		typ, err := table.ParseType(c.Type)
		if err != nil {
			return nil, fmt.Errorf("decode session token: %w", err)
		}
		s.columns = append(s.columns, column{table.Column{Name: c.Name, Type: typ, NotNull: c.NotNull}, c.Ordinal})
	}
	if len(s.columns) == 0 {
		return nil, errors.New("session token without columns")
	}
	var total int64
	for _, p := range t.Partitions {
		if len(p.Values) != len(t.Levels) || p.Rows < 0 || total+p.Rows < total {
			return nil, errors.New("session token with a bad partition")
		}
		total += p.Rows
		spec := make(table.Spec, len(p.Values))
		for i, v := range p.Values {
			spec[i] = table.Part{Column: t.Levels[i], Value: v}
		}
		s.parts = append(s.parts, part{spec, p.Download, p.Rows})
	}
	return s, nil
}

// rows is the number of rows of all partitions.
func (s *snapshot) rows() int64 {
	var n int64
	for _, p := range s.parts {
		n += p.rows
	}
	return n
}

// session describes the snapshot to clients.
func (s *snapshot) session(token string) *Session {
	out := &Session{Token: token, Table: s.name, Rows: s.rows(), Snapshot: s.at, Expires: s.expires}
	for _, c := range s.columns {
		out.Columns = append(out.Columns, c.Column)
	}
	var start int64
	for _, p := range s.parts {
		out.Partitions = append(out.Partitions, Partition{Spec: p.spec, Range: table.RowRange{Start: start, End: start + p.rows}})
		start += p.rows
	}
	return out
}
