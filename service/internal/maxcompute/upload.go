package maxcompute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

var _ write.Backend = (*Client)(nil)

// tunnelVersion is what the Go SDK states. From 6 on, downloads may carry metrics inside the record stream.
const tunnelVersion = "5"

// sessionSchema is the Schema of upload and download sessions (maxcompute-protocol.md 9).
type sessionSchema struct {
	Columns       []columnJSON `json:"columns"`
	PartitionKeys []columnJSON `json:"partitionKeys"`
}

type uploadJSON struct {
	UploadID          string
	Initiated         string
	Status            string
	Schema            sessionSchema
	UploadedBlockList []struct {
		BlockID     int32
		RecordCount int64
		Version     int64
	}
}

// tunnelCall fills in what all tunnel requests share.
func (c *Client) tunnelCall(ctx context.Context, op, method string, ref table.Ref, query url.Values, s scope) (call, error) {
	name, err := c.resolve(ref.Name)
	if err != nil {
		return call{}, notSent(err)
	}
	if len(ref.Partition) > 0 {
		spec, err := tunnelSpec(ref.Partition)
		if err != nil {
			return call{}, notSent(err)
		}
		query.Set("partition", spec)
	}
	base, err := c.tunnel(ctx, name.Project)
	if err != nil {
		return call{}, notSent(err)
	}
	header := http.Header{"X-Odps-Tunnel-Version": {tunnelVersion}, "Odps-Tunnel-Date-Transform": {"v1"}}
	if method != http.MethodGet {
		header.Set("odps-tunnel-sdk-support-schema-evolution", "true")
	}
	o := objectOf(table.Ref{Name: name, Partition: ref.Partition})
	return call{op: op, method: method, base: base, path: tunnelPath(name), query: query, header: header, object: o, scope: s}, nil
}

// CreateUpload implements write.Backend. It may be repeated, and is: a session nobody uses has no effect and expires.
func (c *Client) CreateUpload(ctx context.Context, spec write.UploadSpec) (*write.Upload, error) {
	q := url.Values{"uploads": {""}}
	if spec.Overwrite {
		q.Set("overwrite", "true")
	}
	if spec.CreatePartition && len(spec.Output.Partition) > 0 {
		q.Set("create_partition", "true")
	}
	k, err := c.tunnelCall(ctx, "create upload session", http.MethodPost, spec.Output, q, scopeNewSession)
	if err != nil {
		return nil, err
	}
	return c.uploadSession(ctx, k)
}

// Upload implements write.Backend. Reads only.
func (c *Client) Upload(ctx context.Context, out table.Ref, uploadID string) (*write.Upload, error) {
	k, err := c.tunnelCall(ctx, "load upload session", http.MethodGet, out, url.Values{"uploadid": {uploadID}}, scopeSession)
	if err != nil {
		return nil, err
	}
	k.object.Session = uploadID
	return c.uploadSession(ctx, k)
}

func (c *Client) uploadSession(ctx context.Context, k call) (*write.Upload, error) {
	r, err := c.repeat(ctx, k)
	if err != nil {
		return nil, err
	}
	u, err := parseUpload(r.body)
	if apierr.Is(err, apierr.TypeUnsupported) {
		return nil, err
	}
	if err != nil {
		return nil, k.object.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: reply is not readable", k.op))
	}
	return u, nil
}

func parseUpload(body []byte) (*write.Upload, error) {
	var doc uploadJSON
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	if doc.UploadID == "" {
		return nil, errors.New("session has no id")
	}
	status, ok := uploadStatuses[strings.ToLower(doc.Status)]
	if !ok {
		return nil, fmt.Errorf("session has the unknown status %q", clip(doc.Status))
	}
	schema, err := schemaOf(doc.Schema.Columns, doc.Schema.PartitionKeys)
	if err != nil {
		return nil, err
	}
	u := &write.Upload{ID: doc.UploadID, Status: status, Schema: schema, Created: httpTime(doc.Initiated)}
	for _, b := range doc.UploadedBlockList {
		u.Blocks = append(u.Blocks, write.UploadedBlock{ID: write.BlockID(b.BlockID), Rows: b.RecordCount, Version: b.Version})
	}
	return u, nil
}

// uploadStatuses are the states by their lower-case names. "committing" is an old name of closing.
var uploadStatuses = map[string]write.UploadStatus{
	"normal": write.UploadNormal, "closing": write.UploadClosing, "committing": write.UploadClosing, "closed": write.UploadClosed,
	"expired": write.UploadExpired, "canceled": write.UploadCanceled, "cancelled": write.UploadCanceled, "critical": write.UploadCritical,
}

// blockCall addresses one PUT.
func (c *Client) blockCall(ctx context.Context, op string, t write.BlockTarget) (call, error) {
	q := url.Values{"uploadid": {t.UploadID}, "blockid": {strconv.Itoa(int(t.Block))}, "block_version": {strconv.FormatInt(t.Version, 10)}}
	if t.Form == batch.FormArrow {
		q.Set("arrow", "")
	}
	k, err := c.tunnelCall(ctx, op, http.MethodPut, t.Output, q, scopeSession)
	if err != nil {
		return k, err
	}
	k.header.Set("Content-Type", "application/octet-stream")
	k.object.Session, k.object.Data = t.UploadID, true
	return k, nil
}

// Tombstone implements write.Backend. It may be repeated at will, and is: the same bytes under the same version.
func (c *Client) Tombstone(ctx context.Context, t write.BlockTarget) error {
	k, err := c.blockCall(ctx, "put empty block", t)
	if err != nil {
		return err
	}
	k.body = emptyBody(t.Form)
	_, err = c.repeat(ctx, k)
	return err
}

// CommitUpload implements write.Backend: one POST, never repeated here, because an answer that did not come may be a
// commit that did.
func (c *Client) CommitUpload(ctx context.Context, out table.Ref, uploadID string) error {
	k, err := c.tunnelCall(ctx, "commit upload session", http.MethodPost, out, url.Values{"uploadid": {uploadID}}, scopeSession)
	if err != nil {
		return err
	}
	k.object.Session, k.timeout = uploadID, c.cfg.Timeouts.Commit
	_, err = c.once(ctx, k)
	if refused(err) {
		return fmt.Errorf("%w (%w)", err, write.ErrRefused)
	}
	return err
}

// refused reports a definite refusal: MaxCompute itself says that this commit has no effect, now or later. Not so
//   - 401: about our credentials, which may be right a moment later;
//   - 404, 409, 410: an earlier commit of ours may be the cause;
//   - 408, 425, 429: come again;
//   - a status without MaxCompute's own error document: something in between said it.
func refused(err error) bool {
	var u upstream
	if !errors.As(err, &u) || u.code == "" || u.status < 400 || u.status > 499 {
		return false
	}
	switch u.status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusConflict, http.StatusGone,
		http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	switch apierr.ReasonOf(err) {
	case apierr.Throttled, apierr.BackendUnavailable, apierr.Unauthenticated, apierr.SessionExpired,
		apierr.ProjectNotFound, apierr.TableNotFound, apierr.PartitionNotFound:
		return false
	}
	return true
}
