package soak

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The protocol's signatures are HMAC-SHA1.
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// raw speaks the protocol with retries of its own.
type raw struct {
	base  string // http://host:port/projects/P/tables/T
	http  *http.Client
	tally *tally
}

// answer is a reply that came whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) code() string {
	var e struct{ Code string }
	_ = json.Unmarshal(a.body, &e) // another form has no code
	return e.Code
}

// once sends one request. An error means that it is not known what became of it.
func (c *raw) once(ctx context.Context, method string, q url.Values, sub string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+sub+"?"+q.Encode(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	sign(req, q)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, b}, err
}

// sign is signature V2 (docs/maxcompute-protocol.md 2).
func sign(req *http.Request, q url.Values) {
	date := time.Now().UTC().Format(http.TimeFormat)
	req.Header.Set("Date", date)
	var params []string
	for _, k := range slices.Sorted(maps.Keys(q)) {
		if v := q.Get(k); v != "" {
			k += "=" + v
		}
		params = append(params, k)
	}
	text := req.Method + "\n\n\n" + date + "\n" + req.URL.Path + "?" + strings.Join(params, "&")
	mac := hmac.New(sha1.New, []byte("local-secret"))
	mac.Write([]byte(text))
	req.Header.Set("Authorization", "ODPS local:"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// uncertain says that a failure may have come after the effect.
func uncertain(a answer, err error) bool {
	return err != nil || a.status == http.StatusGatewayTimeout
}

// again says that a failure passes.
func again(a answer, err error) bool {
	return err != nil || a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusPermanentRedirect
}

// tries bounds retries: with one fault in nine requests it is never reached by chance.
const tries = 60

// until repeats a request that may be repeated, until its fate is known. doubt tells
// whether some attempt may have had an effect before the last.
func (c *raw) until(ctx context.Context, method string, q url.Values, sub string, body []byte) (a answer, doubt bool, err error) {
	for range tries {
		a, err = c.once(ctx, method, q, sub, body)
		if !again(a, err) {
			return a, doubt, nil
		}
		c.tally.add("retries")
		doubt = doubt || uncertain(a, err)
		pause()
	}
	return a, doubt, fmt.Errorf("%s %s %v: still fails after %d tries: %d %s, %w", method, sub, q, tries, a.status, a.body, err)
}

func pause() { time.Sleep(time.Duration(1+rand.IntN(20)) * time.Millisecond) }

var errExpired = errors.New("the session expired")

// session creates one of a kind: uploads, downloads.
func (c *raw) session(ctx context.Context, kind, id string, q url.Values) (string, map[string]any, error) {
	q.Set(kind, "")
	a, _, err := c.until(ctx, http.MethodPost, q, "", nil)
	if err != nil {
		return "", nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil || a.status/100 != 2 {
		return "", nil, fmt.Errorf("%s: %d %s: %w", kind, a.status, a.body, err)
	}
	name, ok := m[id].(string)
	if !ok {
		return "", nil, fmt.Errorf("%s: no %s in %s", kind, id, a.body)
	}
	return name, m, nil
}

// upload writes a unit in two blocks and commits. It returns whether the unit stands for
// certain, or errExpired if that has to be asked; any other error means a wrong answer.
func (c *raw) upload(ctx context.Context, partition string, u unit, overwrite bool) (stands bool, err error) {
	q := url.Values{"partition": {partition}}
	if overwrite {
		q.Set("overwrite", "true")
	}
	id, _, err := c.session(ctx, "uploads", "UploadID", q)
	if err != nil {
		return false, err
	}
	rows := u.all()
	cut := rand.IntN(len(rows) + 1)
	for i, part := range [][]row{rows[:cut], rows[cut:]} {
		a, _, err := c.until(ctx, http.MethodPut, url.Values{"partition": {partition}, "uploadid": {id}, "blockid": {fmt.Sprint(i * 7)}}, "", encode(part))
		switch {
		case err != nil:
			return false, err
		case a.status == http.StatusNotFound && a.code() == "NoSuchUpload":
			return false, nil // expired before its commit: it never stands
		case a.status != http.StatusOK:
			return false, fmt.Errorf("block: %d %s", a.status, a.body)
		}
	}
	a, doubt, err := c.until(ctx, http.MethodPost, url.Values{"partition": {partition}, "uploadid": {id}}, "", nil)
	switch {
	case err != nil:
		return false, err
	case a.status == http.StatusOK:
		return true, nil
	case a.status == http.StatusNotFound && a.code() == "NoSuchUpload" && doubt:
		return false, errExpired
	case a.status == http.StatusNotFound && a.code() == "NoSuchUpload":
		return false, nil
	}
	return false, fmt.Errorf("commit: %d %s", a.status, a.body)
}

// stream sends a unit as one pack, once: a pack must not be repeated before its fate is
// known. The result is as upload's.
func (c *raw) stream(ctx context.Context, partition string, u unit) (stands bool, err error) {
	var id string
	for id == "" {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		a, err := c.once(ctx, http.MethodPost, url.Values{"partition": {partition}}, "/streams", nil)
		if again(a, err) {
			c.tally.add("retries")
			pause()
			continue
		}
		var s struct {
			Name string `json:"session_name"`
		}
		if err := json.Unmarshal(a.body, &s); err != nil || a.status != http.StatusCreated {
			return false, fmt.Errorf("stream session: %d %s, %w", a.status, a.body, err)
		}
		id = s.Name
	}
	body := encode(u.all())
	for range tries {
		q := url.Values{"partition": {partition}, "uploadid": {id}, "slotid": {"0"}, "record_count": {fmt.Sprint(u.rows)}}
		a, err := c.once(ctx, http.MethodPut, q, "/streams", body)
		switch {
		case uncertain(a, err):
			return false, errExpired
		case a.status == http.StatusOK:
			return true, nil
		case a.status == http.StatusNotFound && a.code() == "StreamSessionNotFound":
			return false, nil
		case !again(a, err):
			return false, fmt.Errorf("pack: %d %s", a.status, a.body)
		}
		c.tally.add("retries")
		pause()
	}
	return false, fmt.Errorf("pack: still fails after %d tries", tries)
}

// read returns a partition's rows as they were when its session was made, in pieces, each
// repeated until it is whole.
func (c *raw) read(ctx context.Context, partition string) ([]row, error) {
	for range tries {
		id, m, err := c.session(ctx, "downloads", "DownloadID", url.Values{"partition": {partition}})
		if err != nil {
			return nil, err
		}
		count, _ := m["RecordCount"].(float64)
		rows, err := c.pieces(ctx, partition, id, int(count))
		if errors.Is(err, errExpired) {
			continue
		}
		return rows, err
	}
	return nil, errors.New("read: sessions expire again and again")
}

func (c *raw) pieces(ctx context.Context, partition, id string, count int) (rows []row, err error) {
	for failed := 0; len(rows) < count; {
		if failed > tries {
			return nil, fmt.Errorf("read: still fails after %d tries", tries)
		}
		n := min(1+rand.IntN(count), count-len(rows))
		a, err := c.once(ctx, http.MethodGet, url.Values{"partition": {partition}, "downloadid": {id}, "data": {""}, "rowrange": {fmt.Sprintf("(%d,%d)", len(rows), n)}}, "", nil)
		if err == nil && a.status == http.StatusNotFound && strings.Contains(string(a.body), "NoSuchDownload") {
			return nil, errExpired
		}
		if again(a, err) {
			c.tally.add("retries")
			failed++
			pause()
			continue
		}
		if a.status != http.StatusOK {
			return nil, fmt.Errorf("read: %d %s", a.status, a.body)
		}
		part, err := decode(a.body)
		if err != nil || len(part) != n {
			return nil, fmt.Errorf("read (%d,%d): %d rows, %w", len(rows), n, len(part), err)
		}
		rows = append(rows, part...)
	}
	return rows, nil
}
