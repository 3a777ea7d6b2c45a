package maxcompute

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/retry"
	"github.com/sluice-io/sluice/service/internal/table"
)

const (
	sqlTaskName = "AnonymousSQLTask"
	pollFirst   = 50 * time.Millisecond
	pollMax     = 2 * time.Second
)

// statement is one SQL text and what it is about.
type statement struct {
	op     string // verb phrase for errors
	text   string
	object object
	hints  map[string]string
	// quick asks upstream to answer at once if it can; it may still answer later.
	quick bool
	// repeatable: running the text twice does no harm, so a submit without an answer may be sent again.
	repeatable bool
}

// Instance is a submitted statement. Its methods may be called from several goroutines.
type Instance struct {
	ID      string
	client  *Client
	project string
	stmt    statement
	done    *instanceXML // result that came with the submit, if any
}

// SQLResult is what a finished statement left: "csv" for a SELECT (header line, NULL as \N, at most 10,000 rows),
// "text" otherwise.
type SQLResult struct {
	Format string
	Text   []byte
}

type instanceXML struct {
	XMLName xml.Name  `xml:"Instance"`
	Status  string    `xml:"Status"`
	Tasks   []taskXML `xml:"Tasks>Task"`
}

type taskXML struct {
	Name   string `xml:"Name"`
	Status string `xml:"Status"`
	Result struct {
		Transform string `xml:"Transform,attr"`
		Format    string `xml:"Format,attr"`
		Text      string `xml:",chardata"`
	} `xml:"Result"`
}

// SubmitSQL starts a statement in a project. A submit that got no answer is not sent again unless repeatable, because
// the statement may be running; one that upstream turned away (409, 429) is.
func (c *Client) SubmitSQL(ctx context.Context, project, schema, text string, hints map[string]string, repeatable bool) (*Instance, error) {
	name, err := c.resolve(table.Name{Project: project, Schema: schema, Table: "t"})
	if err != nil {
		return nil, err
	}
	return c.submit(ctx, name, statement{op: "run sql", text: text, hints: hints, repeatable: repeatable, object: object{Project: name.Project}})
}

// RunSQL submits a statement and waits for its end.
func (c *Client) RunSQL(ctx context.Context, project, schema, text string, hints map[string]string, repeatable bool) (*SQLResult, error) {
	i, err := c.SubmitSQL(ctx, project, schema, text, hints, repeatable)
	if err != nil {
		return nil, err
	}
	return i.Wait(ctx)
}

// ddl runs one of our own statements.
func (c *Client) ddl(ctx context.Context, s statement, name table.Name) error {
	s.quick = true
	i, err := c.submit(ctx, name, s)
	if err != nil {
		return err
	}
	_, err = i.Wait(ctx)
	return err
}

func (c *Client) submit(ctx context.Context, name table.Name, s statement) (*Instance, error) {
	body, err := instanceBody(s, name.Schema)
	if err != nil {
		return nil, s.object.annotate(apierr.Wrap(err, apierr.Internal, "%s: statement could not be encoded", s.op))
	}
	q := url.Values{"curr_project": {name.Project}}
	if s.quick {
		q.Set("tryWait", "")
	}
	k := call{
		op: s.op, method: http.MethodPost, base: c.rest, path: "/projects/" + name.Project + "/instances", query: q, body: body,
		header: http.Header{"Content-Type": {"application/xml"}}, object: s.object, scope: scopeInstance,
	}
	again := withoutEffect
	if s.repeatable {
		again = transient
	}
	r, err := retrying(ctx, c, s.op, again, func() (*reply, error) { return c.once(ctx, k) })
	if err != nil {
		return nil, err
	}
	return c.newInstance(name.Project, s, r)
}

func (c *Client) newInstance(project string, s statement, r *reply) (*Instance, error) {
	location := r.header.Get("Location")
	i := &Instance{ID: location[strings.LastIndexByte(location, '/')+1:], client: c, project: project, stmt: s}
	i.stmt.object.Instance = i.ID
	// 200 with tasks that have ended: the statement ran at once. Anything else was queued.
	if r.status == http.StatusOK && len(r.body) > 0 {
		var doc instanceXML
		if err := parseXML(s.op, i.stmt.object, r.body, &doc); err != nil {
			return nil, err
		}
		if doc.ended() {
			i.done = &doc
		}
	}
	if i.ID == "" && i.done == nil {
		return nil, s.object.annotate(apierr.New(apierr.OutcomeUnknown, "%s: maxcompute named no instance", s.op))
	}
	return i, nil
}

func (d *instanceXML) ended() bool {
	if len(d.Tasks) == 0 {
		return false
	}
	switch strings.ToLower(d.Tasks[0].Status) {
	case "success", "failed", "cancelled":
		return true
	}
	return false
}

// instanceBody is the job document (maxcompute-protocol.md 7.1).
func instanceBody(s statement, schema string) ([]byte, error) {
	type property struct{ Name, Value string }
	type sqlTask struct {
		Name   string
		Config struct{ Property []property }
		Query  string
	}
	type job struct {
		Priority int
		Tasks    struct{ SQL sqlTask }
	}
	settings := map[string]string{"odps.namespace.schema": strconv.FormatBool(schema != "")}
	if schema != "" {
		settings["odps.default.schema"] = schema
		settings["odps.sql.allow.namespace.schema"] = "true"
	}
	maps.Copy(settings, s.hints)
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	var j job
	j.Priority = 9
	j.Tasks.SQL = sqlTask{Name: sqlTaskName, Query: s.text}
	j.Tasks.SQL.Config.Property = []property{{"type", "sql"}, {"settings", string(text)}, {"uuid", uuid.NewString()}}
	return xml.Marshal(struct { //nolint:musttag // the fields have the wire's names
		XMLName xml.Name `xml:"Instance"`
		Job     job
	}{Job: j})
}

// Wait polls until the statement ended and gives its result. A failed statement is an error with the reason its ODPS
// code stands for; a cancelled wait leaves the statement running, see Stop.
func (i *Instance) Wait(ctx context.Context) (*SQLResult, error) {
	if i.done != nil {
		return i.result(i.done)
	}
	for wait := pollFirst; ; wait = min(wait*2, pollMax) {
		var doc instanceXML
		if err := i.get(ctx, "", &doc); err != nil {
			return nil, err
		}
		if strings.EqualFold(doc.Status, "Terminated") {
			break
		}
		if err := retry.Sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("%s: %w", i.stmt.op, err)
		}
	}
	var doc instanceXML
	if err := i.get(ctx, "result", &doc); err != nil {
		return nil, err
	}
	return i.result(&doc)
}

func (i *Instance) get(ctx context.Context, what string, v *instanceXML) error {
	q := url.Values{"curr_project": {i.project}}
	if what != "" {
		q.Set(what, "")
	}
	r, err := i.client.repeat(ctx, call{op: i.stmt.op, method: http.MethodGet, base: i.client.rest, path: i.path(), query: q, object: i.stmt.object, scope: scopeInstance})
	if err != nil {
		return err
	}
	return parseXML(i.stmt.op, i.stmt.object, r.body, v)
}

func (i *Instance) path() string { return "/projects/" + i.project + "/instances/" + i.ID }

// Stop asks upstream to end the statement; it does not wait. May be repeated.
func (i *Instance) Stop(ctx context.Context) error {
	_, err := i.client.repeat(ctx, call{
		op: "stop sql", method: http.MethodPut, base: i.client.rest, path: i.path(), query: url.Values{"curr_project": {i.project}},
		header: http.Header{"Content-Type": {"application/xml"}}, body: []byte("<Instance><Status>Terminated</Status></Instance>"),
		object: i.stmt.object, scope: scopeInstance,
	})
	return err
}

func (i *Instance) result(doc *instanceXML) (*SQLResult, error) {
	if len(doc.Tasks) == 0 {
		return nil, i.stmt.object.annotate(apierr.New(apierr.BackendUnavailable, "%s: the ended instance shows no task", i.stmt.op))
	}
	t := doc.Tasks[0]
	text := []byte(t.Result.Text)
	if strings.EqualFold(t.Result.Transform, "Base64") {
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(t.Result.Text))
		if err != nil {
			return nil, i.stmt.object.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: result is not readable", i.stmt.op))
		}
		text = plain
	}
	switch strings.ToLower(t.Status) {
	case "success":
		return &SQLResult{Format: t.Result.Format, Text: text}, nil
	case "failed":
		return nil, sqlError(i.stmt.op, i.stmt.object, string(text))
	}
	// Cancelled from outside, or a word we do not know: never a success.
	return nil, i.stmt.object.annotate(apierr.New(apierr.BackendUnavailable, "%s: the statement ended as %q", i.stmt.op, t.Status))
}
