package faults

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// classes are the kinds of requests that faults can be aimed at, in the order of the
// help text. The part before the dot is the family.
var classes = []string{
	"upload.create", "upload.reload", "upload.block", "upload.commit",
	"download.create", "download.reload", "download.data", "preview",
	"stream.create", "stream.reload", "stream.put", "upsert", "storage",
	"result.create", "result.reload", "result.data",
	"instance.create", "instance.get", "instance.stop",
	"resource.read", "resource.write", "function", "table", "project",
}

// The two halves of the endpoint, each a group of families.
const (
	halfTunnel = "tunnel"
	halfREST   = "rest"
)

func family(class string) string {
	name, _, _ := strings.Cut(class, ".")
	return name
}

func half(class string) string {
	switch family(class) {
	case "upload", "download", "preview", "stream", "upsert", "storage", "result":
		return halfTunnel
	}
	return halfREST
}

// hasSession says whether requests of a class name a session that can expire.
func hasSession(class string) bool {
	switch class {
	case "upload.reload", "upload.block", "upload.commit", "download.reload", "download.data",
		"stream.reload", "stream.put", "result.reload", "result.data":
		return true
	}
	return false
}

// Class tells what kind of request r is, by method, path and parameters alone.
func Class(r *http.Request) string {
	path := r.URL.Path
	if strings.HasPrefix(path, "/api/storage/") {
		return "storage"
	}
	parts := strings.Split(strings.Trim(strings.TrimPrefix(path, "/api/"), "/"), "/")
	if len(parts) < 3 || parts[0] != "projects" {
		return "project"
	}
	parts = parts[2:]
	if len(parts) > 2 && parts[0] == "schemas" {
		parts = parts[2:]
	}
	q := r.URL.Query()
	switch parts[0] {
	case "tables":
		return tableClass(r.Method, parts[1:], q)
	case "instances":
		return instanceClass(r.Method, q)
	case "resources":
		return "resource." + access(r.Method)
	case "registration":
		return "function"
	}
	return "project"
}

func access(method string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return "read"
	}
	return "write"
}

// tableClass splits what is done to a table: name and, behind it, the tunnel's parts.
func tableClass(method string, parts []string, q url.Values) string {
	if len(parts) > 1 {
		switch parts[1] {
		case "streams":
			return streamClass(method, q)
		case "upserts":
			return "upsert"
		case "preview":
			return "preview"
		}
	}
	switch {
	case q.Has("uploads"):
		return "upload.create"
	case q.Has("uploadid") && q.Has("blockid") && method == http.MethodPut:
		return "upload.block"
	case q.Has("uploadid") && method == http.MethodPost:
		return "upload.commit"
	case q.Has("uploadid"):
		return "upload.reload"
	case q.Has("downloads"):
		return "download.create"
	case q.Has("downloadid"):
		return "download." + dataOrReload(q)
	}
	return "table"
}

func dataOrReload(q url.Values) string {
	if q.Has("data") {
		return "data"
	}
	return "reload"
}

func streamClass(method string, q url.Values) string {
	switch {
	case method == http.MethodPut:
		return "stream.put"
	case q.Has("uploadid"):
		return "stream.reload"
	}
	return "stream.create"
}

func instanceClass(method string, q url.Values) string {
	switch {
	case q.Has("downloads"):
		return "result.create"
	case q.Has("downloadid"):
		return "result." + dataOrReload(q)
	case q.Has("cached") && q.Has("data"):
		return "result.data"
	case method == http.MethodPost:
		return "instance.create"
	case method == http.MethodPut:
		return "instance.stop"
	}
	return "instance.get"
}

// sessionOf is the session that a request names, empty if none.
func sessionOf(q url.Values) string {
	for _, name := range []string{"uploadid", "downloadid"} {
		if id := q.Get(name); id != "" {
			return id
		}
	}
	return ""
}

// selects says whether a rule's selector covers a class, and how closely: the closest
// rule counts. The empty selector covers everything.
func selects(selector, class string) (near int, ok bool) {
	switch selector {
	case class:
		return 3, true
	case family(class):
		return 2, true
	case half(class):
		return 1, true
	case "":
		return 0, true
	}
	return 0, false
}

// selectors are all words that may follow an @.
func selectors() []string {
	words := []string{halfTunnel, halfREST}
	for _, c := range classes {
		for _, w := range []string{family(c), c} {
			if !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	return words
}
