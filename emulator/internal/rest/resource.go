package rest

import (
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// resources answers for the resources of a project: protocol section 8.
func (s *Service) resources(w http.ResponseWriter, r *request) error {
	err := s.resourceRoutes(w, r)
	if err != nil {
		// Clients send the whole body before they look at an answer.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 2*store.MaxResourceBytes))
	}
	return err
}

func (s *Service) resourceRoutes(w http.ResponseWriter, r *request) error {
	switch {
	case len(r.path) > 2:
		return noRoute(r.Request)
	case len(r.path) == 1 && r.Method == http.MethodGet:
		return s.listResources(w, r)
	case len(r.path) == 1 && r.Method == http.MethodPost && r.has("rIsPart"):
		return s.putPart(w, r)
	case len(r.path) == 1 && r.Method == http.MethodPost:
		return s.putResource(w, r, store.NewResourceKey(r.project, r.schema(), headerText(r.Header.Get("x-odps-resource-name"))))
	case len(r.path) == 1:
		return badMethod(r)
	}
	key := store.NewResourceKey(r.project, r.schema(), r.path[1])
	switch {
	case r.Method == http.MethodGet && !r.has("meta"):
		return s.resourceContent(w, r, key)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return s.resourceMeta(w, key)
	case r.Method == http.MethodPut && r.has("updateowner"):
		return s.resourceOwner(r, key)
	case r.Method == http.MethodPut:
		return s.putResource(w, r, key)
	case r.Method == http.MethodDelete:
		return s.store.DeleteResource(key)
	default:
		return badMethod(r)
	}
}

type resourceXML struct {
	SchemaName       string
	Name             string
	Owner            string
	Comment          string
	ResourceType     string
	CreationTime     string
	LastModifiedTime string
	LastUpdator      string
	ResourceSize     *int64 `xml:",omitempty"`
	TableName        string
}

func (s *Service) describeResource(res store.Resource) resourceXML {
	x := resourceXML{
		SchemaName: s.schemaName(res.Key.Schema), Name: res.Key.Name, Owner: res.Owner, Comment: headerText(string(res.Comment)),
		ResourceType: string(res.Kind), CreationTime: httpDate(res.Created), LastModifiedTime: httpDate(res.Modified), LastUpdator: res.Updater,
	}
	if res.Kind.HasContent() {
		x.ResourceSize = &res.Content.Size
	}
	if res.Kind == store.TableResource {
		x.TableName = res.Source
	}
	return x
}

func (s *Service) listResources(w http.ResponseWriter, r *request) error {
	p, err := r.page()
	if err != nil {
		return err
	}
	if err := s.requireSchema(r); err != nil {
		return err
	}
	page, next, err := s.store.Resources(r.project, r.schema(), store.ResourceQuery{
		Prefix: r.query.Get("name"), Owner: r.query.Get("owner"), After: p.after, Limit: p.limit,
	})
	if err != nil {
		return err
	}
	list := struct {
		XMLName   xml.Name `xml:"Resources"`
		Marker    string
		MaxItems  int
		Resources []resourceXML `xml:"Resource"`
	}{Marker: marker(next), MaxItems: p.limit}
	for _, res := range page {
		list.Resources = append(list.Resources, s.describeResource(res))
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// stampResource writes what is known of a resource into the answer's headers.
func (s *Service) stampResource(w http.ResponseWriter, res store.Resource) {
	setHeader(w, "x-odps-resource-name", res.Key.Name)
	setHeader(w, "x-odps-resource-type", string(res.Kind))
	setHeader(w, "x-odps-resource-istemp", strconv.FormatBool(res.Temporary))
	setHeader(w, "x-odps-owner", res.Owner)
	setHeader(w, "x-odps-updator", res.Updater)
	setHeader(w, "x-odps-creation-time", httpDate(res.Created))
	setHeader(w, "last-modified", httpDate(res.Modified))
	if len(res.Comment) > 0 {
		setHeader(w, "x-odps-comment", string(res.Comment))
	}
	if name := s.schemaName(res.Key.Schema); name != "" {
		setHeader(w, "schema-name", name)
	}
	switch {
	case res.Kind.HasContent():
		setHeader(w, "x-odps-resource-size", strconv.FormatInt(res.Content.Size, 10))
		setHeader(w, "content-md5", res.Content.MD5)
	case res.Kind == store.TableResource:
		setHeader(w, "x-odps-copy-table-source", res.Source)
	default:
		setHeader(w, "x-odps-copy-file-source", res.Source)
	}
}

func (s *Service) resourceMeta(w http.ResponseWriter, key store.ResourceKey) error {
	res, err := s.store.Resource(key)
	if err != nil {
		return err
	}
	s.stampResource(w, res)
	return nil
}

// resourceOwner hands a resource to somebody else.
func (s *Service) resourceOwner(r *request, key store.ResourceKey) error {
	to := headerText(r.Header.Get("x-odps-owner"))
	if to == "" {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:updateowner without the header x-odps-owner")
	}
	return s.store.SetResourceOwner(key, to, instance.Owner)
}

// resourceContent answers with the bytes of a resource, all or a range. Separate
// requests may see different versions: the MD5 in the headers is that of the whole.
func (s *Service) resourceContent(w http.ResponseWriter, r *request, key store.ResourceKey) error {
	offset, ranged, err := r.number("rOffset")
	if err != nil {
		return err
	}
	count, limited, err := r.number("rSize")
	if err != nil {
		return err
	}
	res, content, err := s.store.OpenResource(key)
	if err != nil {
		return err
	}
	if content == nil {
		return noContent(res)
	}
	defer func() { _ = content.Close() }() // it was only read
	offset = min(offset, content.Size)
	if rest := content.Size - offset; !limited || count > rest {
		count = rest
	}
	sent := &answer{w: w, head: func() {
		s.stampResource(w, res)
		if ranged || limited {
			setHeader(w, "x-odps-resource-has-remaining", strconv.FormatBool(offset+count < content.Size))
		}
		setHeader(w, "content-disposition", disposition(res.Key.Name))
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(count, 10)) // net/http looks for this spelling
	}}
	if err := content.WriteRange(sent, offset, count); err != nil {
		if !sent.begun {
			return err
		}
		panic(fmt.Errorf("%w: %w", http.ErrAbortHandler, err)) // damage, or the client has gone: never a short answer that looks whole
	}
	sent.begin()
	return nil
}

// answer writes its head before the first byte of its body: until then it may become
// an error.
type answer struct {
	w     io.Writer
	head  func()
	begun bool
}

func (a *answer) begin() {
	if !a.begun {
		a.begun = true
		a.head()
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	return a.w.Write(p)
}

func noContent(res store.Resource) error {
	if res.Kind == store.TableResource {
		return refusal.New(http.StatusNotFound, "NoSuchObject", "ODPS-0420061:%s is a reference to table %s and has no content; read the table", res.Key, res.Source)
	}
	return refusal.New(http.StatusNotFound, "NoSuchObject", "ODPS-0420061:%s is a reference to volume path %s, and this endpoint has no volumes", res.Key, res.Source)
}

// number reads a parameter that is a count of bytes; there tells whether it was given.
func (r *request) number(name string) (n int64, there bool, err error) {
	text := r.query.Get(name)
	if text == "" {
		return 0, false, nil
	}
	n, err = strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, false, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:%s=%q is no number of bytes", name, text)
	}
	return n, true, nil
}

// disposition is the header's value in the plain form that clients know, or in the
// standard's where the name needs quotes or has letters beyond ASCII.
func disposition(name string) string {
	if text := mime.FormatMediaType("attachment", map[string]string{"filename": name}); !strings.Contains(text, "filename="+name) {
		return text
	}
	return "attachment;filename=" + name
}

var encodedWords = mime.WordDecoder{}

// headerText is a header's value as text: UTF-8, or one of the ways in which clients
// send other letters, encoded words and Latin-1.
func headerText(value string) string {
	if !utf8.ValidString(value) {
		runes := make([]rune, len(value))
		for i := range len(value) {
			runes[i] = rune(value[i])
		}
		return string(runes)
	}
	if text, err := encodedWords.DecodeHeader(value); err == nil {
		return text
	}
	return value
}
