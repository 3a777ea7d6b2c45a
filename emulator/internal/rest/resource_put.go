package rest

import (
	"crypto/md5" //nolint:gosec // The protocol's checksum of bodies; no secret depends on it.
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// maxMergeBytes bounds the text of a merge: room for the names of 100,000 parts.
const maxMergeBytes = 64 << 20

// kinds are the spellings of resource types, in any case.
var kinds = map[string]store.ResourceKind{
	"file": store.FileResource, "jar": store.JarResource, "py": store.PyResource, "archive": store.ArchiveResource, "table": store.TableResource,
	"volumefile": store.VolumeFileResource, "volume_file": store.VolumeFileResource,
	"volumearchive": store.VolumeArchiveResource, "volume_archive": store.VolumeArchiveResource,
}

// putResource creates (POST) or replaces (PUT) a resource: from a body, from parts, or
// as a reference. A PUT of a resource that is not there makes it: clients use it as
// "overwrite".
func (s *Service) putResource(w http.ResponseWriter, r *request, key store.ResourceKey) error {
	change, err := s.resourceChange(r, key)
	if err != nil {
		return err
	}
	switch {
	case r.has("rOpMerge"):
		err = s.mergeResource(w, r, change)
	case change.Kind.HasContent():
		err = s.putContent(r, change)
	default:
		err = s.putReference(r, change)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated) // 200 is a failure to one client
	return nil
}

// resourceChange reads the headers.
func (s *Service) resourceChange(r *request, key store.ResourceKey) (store.ResourceChange, error) {
	c := store.ResourceChange{Key: key, Create: r.Method == http.MethodPost, By: instance.Owner}
	if key.Name == "" {
		return c, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the header x-odps-resource-name is missing")
	}
	if named := headerText(r.Header.Get("x-odps-resource-name")); named != "" && named != key.Name {
		return c, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the path names resource %s, the header x-odps-resource-name %s", key.Name, named)
	}
	text := r.Header.Get("x-odps-resource-type")
	kind, known := kinds[strings.ToLower(text)]
	switch {
	case text != "" && !known:
		return c, refusal.New(http.StatusBadRequest, "InvalidArgument",
			"ODPS-0420061:resource type %q: want file, jar, py, archive, table, volumefile or volumearchive", text)
	case text == "" && c.Create:
		return c, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the header x-odps-resource-type is missing")
	case text == "":
		was, err := s.store.Resource(key)
		if err != nil {
			return c, err
		}
		kind = was.Kind
	}
	c.Kind = kind
	if _, given := r.Header["X-Odps-Comment"]; given {
		c.Comment = []byte(r.Header.Get("x-odps-comment"))
	}
	if text := r.Header.Get("x-odps-resource-istemp"); text != "" {
		temporary, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return c, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:x-odps-resource-istemp: %s is neither true nor false", text)
		}
		c.Temporary = &temporary
	}
	return c, nil
}

func (s *Service) putContent(r *request, change store.ResourceChange) error {
	content, err := s.receive(r)
	if err != nil {
		return err
	}
	change.Content = &content
	_, err = s.store.PutResource(change)
	return err
}

// receive stores a request's body and compares it with the checksum sent along. On an
// error nothing is left.
func (s *Service) receive(r *request) (content store.Content, err error) {
	want, err := contentMD5(r)
	if err != nil {
		return content, err
	}
	body := s.store.NewContent()
	defer body.Abort() // no effect after Finish
	if _, err := io.Copy(body, r.Body); err != nil {
		if errors.Is(err, store.ErrStorage) || errors.Is(err, store.ErrTooLarge) {
			return content, err
		}
		return content, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:read the request's body: %s", err)
	}
	if content, err = body.Finish(); err != nil {
		return content, err
	}
	if want != "" && want != content.MD5 {
		s.store.DiscardContent(content)
		return content, badMD5(content.MD5, want)
	}
	return content, nil
}

func md5Hex(text []byte) string {
	sum := md5.Sum(text) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

func badMD5(got, want string) error {
	return refusal.New(http.StatusBadRequest, "CheckSumError", "ODPS-0420061:the body's MD5 is %s, the header Content-MD5 says %s", got, want)
}

// contentMD5 is the body's announced checksum in lower-case hex, empty if there is
// none.
func contentMD5(r *request) (string, error) {
	text := strings.ToLower(r.Header.Get("Content-MD5"))
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != 16 && text != "" {
		return "", refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:Content-MD5: %q is not the hex form of an MD5", text)
	}
	return text, nil
}

// putPart keeps a piece of a resource to come.
func (s *Service) putPart(w http.ResponseWriter, r *request) error {
	name := headerText(r.Header.Get("x-odps-resource-name"))
	switch {
	case name == "":
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the header x-odps-resource-name is missing")
	case strings.Contains(name, ","):
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:part %q: a merge could not name it, because commas separate the parts there", name)
	}
	content, err := s.receive(r)
	if err != nil {
		return err
	}
	if err := s.store.PutPart(store.NewResourceKey(r.project, r.schema(), name), content); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// mergeResource makes a resource of parts. The body is <md5>|<part>,<part>,…
func (s *Service) mergeResource(w http.ResponseWriter, r *request, change store.ResourceChange) error {
	want, err := contentMD5(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMergeBytes))
	if err != nil {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:read the request's body: %s", err)
	}
	if got := md5Hex(text); want != "" && got != want {
		return badMD5(got, want)
	}
	sum, names, ok := strings.Cut(string(text), "|")
	sum = strings.ToLower(sum)
	if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != 16 {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:a merge's body is <MD5 in hex>|<part>,<part>,…")
	}
	size, err := strconv.ParseInt(r.Header.Get("x-odps-resource-merge-total-bytes"), 10, 64)
	if err != nil || size < 0 {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:x-odps-resource-merge-total-bytes: %q is no number of bytes",
			r.Header.Get("x-odps-resource-merge-total-bytes"))
	}
	merge := store.Merge{Change: change, MD5: sum, Size: size}
	if names != "" {
		merge.Parts = strings.Split(names, ",")
	}
	_, err = s.store.MergeResource(merge)
	return err
}

// putReference makes a resource that stands for a table or a volume's file.
func (s *Service) putReference(r *request, change store.ResourceChange) (err error) {
	header := "x-odps-copy-file-source"
	if change.Kind == store.TableResource {
		header = "x-odps-copy-table-source"
	}
	source := headerText(r.Header.Get(header))
	if source == "" {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:a resource of type %s needs the header %s", change.Kind, header)
	}
	if change.Source = source; change.Kind == store.TableResource {
		if change.Source, err = s.tableSource(source, change.Key); err != nil {
			return err
		}
	}
	_, err = s.store.PutResource(change)
	return err
}

// tableSource checks `[project.[schema.]]table[ partition(spec)]` and returns it with
// its project. The table must exist and have the partition columns; the partition need
// not exist yet.
func (s *Service) tableSource(text string, key store.ResourceKey) (string, error) {
	name, spec, err := cutSource(text)
	if err != nil {
		return "", err
	}
	parts := strings.Split(strings.ReplaceAll(name, "`", ""), ".")
	var table store.Key
	switch len(parts) {
	case 1:
		table = store.NewKey(key.Project, key.Schema, parts[0])
		text = table.String() + strings.TrimPrefix(text, name)
	case 2:
		table = store.NewKey(parts[0], "", parts[1])
	case 3:
		table = store.NewKey(parts[0], parts[1], parts[2])
	default:
		return "", refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:x-odps-copy-table-source: %q has too many names", text)
	}
	t, err := s.store.Table(table)
	if err != nil {
		return "", err
	}
	if len(spec) > 0 {
		_, err = t.Spec(spec, false)
	}
	return text, err
}

// cutSource separates the table's name from the partition.
func cutSource(text string) (name string, spec types.PartitionSpec, err error) {
	name, rest, partitioned := strings.Cut(text, " partition")
	if !partitioned {
		return text, nil, nil
	}
	rest = strings.TrimSpace(rest)
	if !strings.HasPrefix(rest, "(") || !strings.HasSuffix(rest, ")") {
		return "", nil, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:x-odps-copy-table-source: %q is not <table> partition(<column>='<value>',…)", text)
	}
	spec, err = types.ParsePartitionSpec(rest[1 : len(rest)-1])
	if err == nil && len(spec) == 0 {
		return "", nil, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:x-odps-copy-table-source: %q names no partition", text)
	}
	return name, spec, err
}
