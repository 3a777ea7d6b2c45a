package faults_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/faults"
)

func TestParseSpecRefusesByName(t *testing.T) {
	for text, want := range map[string]string{
		"505=0.1":             `no kind "505"; the kinds are expire 429 `,
		"429@upload.blok=0.1": `no class "upload.blok"; the classes are tunnel rest upload upload.create `,
		"429":                 "not KIND[@CLASS]=SHARE",
		"429=1.01":            `"1.01" is not a number from 0 to 1`,
		"429=-0.1":            `"-0.1" is not a number`,
		"429=NaN":             `"NaN" is not a number`,
		"429=":                `"" is not a number`,
		"slow=0.1:0":          "no number of bytes",
		"slow=0.1:fast":       "no number of bytes",
		"stall=0.1:-1s":       "no duration",
		"429=0.1:3":           "429 has no argument",
		"308@rest=0.1":        "308 cannot happen to rest",
		"expire@table=0.1":    "expire cannot happen to table",
		"429=0.1,429=0.2":     "the same kind and class twice",
		"429=0.1,,500=0.1":    "not KIND[@CLASS]=SHARE",
	} {
		if _, err := faults.ParseSpec(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSpec(%q) = %v, want an error with %q", text, err, want)
		}
	}
}

func TestParseSeeded(t *testing.T) {
	for text, want := range map[string]string{"7": faults.DefaultSpec, "18446744073709551615:429=1": "429=1", "0:slow@upload=1:5,stall=0.5:1s": "slow@upload=1:5,stall=0.5:1s"} {
		if _, spec, err := faults.ParseSeeded(text); err != nil || spec.String() != want {
			t.Errorf("ParseSeeded(%q) = %q, %v, want %q", text, spec, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "7:", ":429=1", "18446744073709551616", "1.5"} {
		if _, _, err := faults.ParseSeeded(text); err == nil {
			t.Errorf("ParseSeeded(%q) succeeded", text)
		}
	}
}

func TestHelpNamesAllThatCanBeSaid(t *testing.T) {
	help := faults.Help()
	for _, word := range []string{"429", "504-after", "reset-before", "cut-reply", "expire", "upload.block", "stream.put", "resource.write", "instance.create"} {
		if !strings.Contains(help, word) {
			t.Errorf("the help lacks %q", word)
		}
	}
	for line := range strings.SplitSeq(help, "\n") {
		if len(line) > 160 {
			t.Errorf("a line of %d letters: %q", len(line), line)
		}
	}
	_, err := faults.ParseSpec("429@no=1")
	if n := strings.Count(err.Error(), " upload "); n != 1 {
		t.Errorf("the family upload is named %d times in %v", n, err)
	}
}

func TestClass(t *testing.T) {
	for line, want := range map[string]string{
		"POST /projects/p/tables/t?uploads":                           "upload.create",
		"POST /projects/p/schemas/s/tables/t?uploads=1":               "upload.create",
		"GET /projects/p/tables/t?uploadid=u":                         "upload.reload",
		"PUT /projects/p/tables/t?uploadid=u&blockid=3&arrow":         "upload.block",
		"POST /api/projects/p/tables/t?uploadid=u":                    "upload.commit",
		"POST /projects/p/tables/t?downloads&asyncmode=true":          "download.create",
		"GET /projects/p/tables/t?downloadid=d":                       "download.reload",
		"GET /projects/p/tables/t?downloadid=d&data&rowrange=(0,1)":   "download.data",
		"GET /projects/p/schemas/default/tables/t/preview?limit=1":    "preview",
		"POST /projects/p/tables/t/streams":                           "stream.create",
		"POST /projects/p/tables/t/streams?uploadid=s":                "stream.reload",
		"GET /projects/p/tables/t/streams?uploadid=s":                 "stream.reload",
		"PUT /projects/p/tables/t/streams?uploadid=s&slotid=0":        "stream.put",
		"PUT /projects/p/tables/t/upserts?upsertid=s":                 "upsert",
		"POST /api/storage/v1/projects/p/schemas/s/tables/t/sessions": "storage",
		"POST /projects/p/instances/i?downloads":                      "result.create",
		"GET /projects/p/instances/i?downloadid=d&data":               "result.data",
		"GET /projects/p/instances/i?downloadid=d":                    "result.reload",
		"GET /projects/p/instances/i?cached&data&taskname=":           "result.data",
		"POST /api/projects/p/instances":                              "instance.create",
		"GET /api/projects/p/instances/i?taskstatus":                  "instance.get",
		"PUT /api/projects/p/instances/i":                             "instance.stop",
		"GET /api/projects/p/resources/r?meta":                        "resource.read",
		"POST /api/projects/p/resources?rIsPart=true":                 "resource.write",
		"DELETE /api/projects/p/resources/r":                          "resource.write",
		"GET /api/projects/p/registration/functions":                  "function",
		"GET /api/projects/p/tables":                                  "table",
		"GET /api/projects/p/tables/t?partitions":                     "table",
		"GET /api/projects/p/tunnel?service":                          "project",
		"GET /api/projects":                                           "project",
		"GET /api/tenants":                                            "project",
		"GET /api/quotas/q/tables/t":                                  "project",
		"GET /api/projects/p/schemas":                                 "project",
		"GET /api/projects/p/schemas/s":                               "project",
		"HEAD /api/projects/p/resources/r":                            "resource.read",
		"GET /projects/p/tables/t?uploadid=u&blockid=3":               "upload.reload",
		"PUT /projects/p/tables/t?uploadid=u":                         "upload.reload",
		"PUT /projects/p/tables/t?blockid=3":                          "table",
		"GET /projects/p/instances/i?cached":                          "instance.get",
		"GET /projects/p/instances/i?data":                            "instance.get",
	} {
		method, target, _ := strings.Cut(line, " ")
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := faults.Class(&http.Request{Method: method, URL: u}); got != want {
			t.Errorf("Class(%s) = %s, want %s", line, got, want)
		}
	}
}

// What the documents show can be typed.
func TestDocumentedSpecs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/endpoint.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)--faults '?([0-9]+[^ '\n]*)`).FindAllStringSubmatch(string(text), -1)
	if len(found) < 3 {
		t.Errorf("%d examples in docs/endpoint.md, want the three of section 9 at least", len(found))
	}
	for _, m := range found {
		if _, _, err := faults.ParseSeeded(strings.TrimRight(m[1], "`\")")); err != nil {
			t.Errorf("docs/endpoint.md: %v", err)
		}
	}
}
