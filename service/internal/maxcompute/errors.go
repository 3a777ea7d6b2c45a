package maxcompute

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// scope is what a call was about: it decides what "not found" and "conflict" mean when upstream names no object.
type scope uint8

const (
	scopeProject scope = iota + 1
	scopeTable
	scopePartition
	scopeNewSession // making an upload or download session of a table or partition
	scopeSession    // using one
	scopeInstance
)

// object names what a call was about, for the error's metadata. Empty fields are left out.
type object struct {
	Project, Table, Partition string
	Session                   string // upload or download id
	Instance                  string
	Data                      bool // the reply to a block or row request: upstream's text may quote values
}

func objectOf(ref table.Ref) object {
	return object{Project: ref.Name.Project, Table: ref.Name.String(), Partition: ref.Partition.String()}
}

func (o object) annotate(e *apierr.Error) *apierr.Error {
	for _, m := range []struct{ key, value string }{
		{"project", o.Project}, {"table", o.Table}, {"partition", o.Partition}, {"debug_session", o.Session}, {"debug_instance", o.Instance},
	} {
		if m.value != "" {
			e.With(m.key, m.value)
		}
	}
	return e
}

// upstream is an error as MaxCompute words it (maxcompute-protocol.md 3.1).
type upstream struct {
	status     int
	code       string // "NoSuchTable"; may be empty
	message    string
	requestID  string
	retryAfter time.Duration
}

var odpsNumber = regexp.MustCompile(`ODPS-\d{7}`)

// maxUpstreamText bounds how much of upstream's text goes into our message.
const maxUpstreamText = 500

func newUpstream(status int, header http.Header, body []byte, now time.Time) upstream {
	u := upstream{status: status, requestID: header.Get("x-odps-request-id"), retryAfter: parseRetryAfter(header.Get("Retry-After"), now)}
	var doc struct {
		XMLName   xml.Name `xml:"Error" json:"-"`
		Code      string   `xml:"Code" json:"Code"`
		Message   string   `xml:"Message" json:"Message"`
		RequestID string   `xml:"RequestId" json:"RequestId"`
	}
	// REST speaks XML, the tunnel JSON; a proxy in between speaks HTML, which is neither and leaves the status alone.
	if xml.Unmarshal(body, &doc) == nil || json.Unmarshal(body, &doc) == nil {
		u.code, u.message = strings.TrimSpace(doc.Code), strings.TrimSpace(doc.Message)
		if u.requestID == "" {
			u.requestID = doc.RequestID
		}
	}
	return u
}

func parseRetryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(min(n, 24*3600)) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// odpsCode is what metadata shows: the number in the text if there is one, else the word.
func (u upstream) odpsCode() string {
	if n := odpsNumber.FindString(u.code + " " + u.message); n != "" {
		return n
	}
	return u.code
}

// Error is upstream's own words, for logs.
func (u upstream) Error() string {
	return fmt.Sprintf("maxcompute answered %d %s: %s", u.status, u.code, clip(u.message))
}

func clip(s string) string {
	if len(s) <= maxUpstreamText {
		return s
	}
	return strings.ToValidUTF8(s[:maxUpstreamText], "") + "…"
}

// codeReasons are the codes that mean one thing wherever they come from. Keys are lower case; those with a number are
// also looked for in the text.
var codeReasons = map[string]apierr.Reason{
	"nosuchproject":   apierr.ProjectNotFound,
	"nosuchtable":     apierr.TableNotFound,
	"nosuchpartition": apierr.PartitionNotFound,
	"odps-0130131":    apierr.TableNotFound,

	"streamsessionnotfound": apierr.SessionExpired,
	"upsertsessionnotfound": apierr.SessionExpired,
	"nosuchupload":          apierr.SessionExpired,
	"nosuchdownload":        apierr.SessionExpired,
	"tablemodified":         apierr.SessionExpired,
	"schemamodified":        apierr.SchemaChanged,

	"invalidargument":          apierr.BadArgument,
	"invalidparameter":         apierr.BadArgument,
	"malformeddatastream":      apierr.BadArgument,
	"invalidstatesetting":      apierr.BadArgument,
	"invalidprojecttable":      apierr.BadArgument,
	"parseerror":               apierr.BadArgument,
	"scripterror":              apierr.BadArgument,
	"taskfailed":               apierr.BadArgument,
	"odps-0123055":             apierr.BadArgument,
	"odps-0130161":             apierr.BadArgument,
	"odps-0420411":             apierr.BadArgument,
	"invalidpartitionspec":     apierr.BadPartition,
	"checksumerror":            apierr.ChecksumMismatch,
	"methodnotallowed":         apierr.Unsupported,
	"nosuchpath":               apierr.Unsupported,
	"instancetypenotsupported": apierr.Unsupported,
	"overwritemodenotallowed":  apierr.Unsupported,

	"unauthorized":                 apierr.Unauthenticated,
	"authorizationrequired":        apierr.Unauthenticated,
	"signaturenotmatch":            apierr.Unauthenticated,
	"requesttimetooskewed":         apierr.Unauthenticated,
	"authenticationrequestexpired": apierr.Unauthenticated,
	"odps-0410051":                 apierr.Unauthenticated,
	"nopermission":                 apierr.Permission,
	"accessdenied":                 apierr.Permission,
	"odps-0130013":                 apierr.Permission,

	"flowexceeded":         apierr.Throttled,
	"slotexceeded":         apierr.Throttled,
	"qpsexceeded":          apierr.Throttled,
	"requestquotaexceeded": apierr.Throttled,

	"internalservererror":     apierr.BackendUnavailable,
	"internalconnectionerror": apierr.BackendUnavailable,
	"readmetaerror":           apierr.BackendUnavailable,
	"serviceunavailable":      apierr.BackendUnavailable,
	"dataversionerror":        apierr.BackendUnavailable,
	"instancenotterminate":    apierr.BackendUnavailable,
	"odps-0010000":            apierr.BackendUnavailable,
	"odps-0110141":            apierr.BackendUnavailable,
	"odps-0430055":            apierr.BackendUnavailable,
}

// reason decides what an upstream error means to our callers: its code first, then its number, then the status.
func (u upstream) reason(s scope) apierr.Reason {
	code := strings.ToLower(u.code)
	switch code {
	case "nosuchobject":
		return u.missing(s)
	case "nosuchschema":
		if s == scopeNewSession || s == scopeSession {
			return apierr.BackendUnavailable // a schema version that is not visible yet (3.2)
		}
		return apierr.TableNotFound
	case "statusconflict":
		return conflict(s)
	case "objectalreadyexists":
		return existing(s)
	}
	if r, ok := codeReasons[code]; ok {
		return r
	}
	if r, ok := codeReasons[strings.ToLower(odpsNumber.FindString(u.code+" "+u.message))]; ok {
		return r
	}
	if strings.HasPrefix(code, "odps-18") { // sessions of interactive SQL come and go
		return apierr.BackendUnavailable
	}
	return u.statusReason(s)
}

func (u upstream) statusReason(s scope) apierr.Reason {
	switch u.status {
	case http.StatusUnauthorized:
		return apierr.Unauthenticated
	case http.StatusForbidden:
		return apierr.Permission
	case http.StatusNotFound, http.StatusGone:
		return u.missing(s)
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return apierr.Unsupported
	case http.StatusConflict:
		if s == scopeInstance {
			return apierr.Throttled // too many instances (3.2)
		}
		return conflict(s)
	case http.StatusPreconditionFailed:
		return apierr.SchemaChanged
	case http.StatusRequestEntityTooLarge:
		return apierr.TooLarge
	case http.StatusTooManyRequests:
		return apierr.Throttled
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return apierr.BackendUnavailable
	}
	if u.status >= 400 && u.status < 500 {
		return apierr.BadArgument
	}
	return apierr.BackendUnavailable // 5xx; 308, a slot that moved; anything that should not be
}

// missing decides which object a bare "no such object" is about.
func (u upstream) missing(s scope) apierr.Reason {
	text := strings.ToLower(u.message)
	switch s {
	case scopeSession:
		return apierr.SessionExpired
	case scopeProject:
		return apierr.ProjectNotFound
	case scopeInstance:
		return apierr.BackendUnavailable
	}
	switch {
	case strings.Contains(text, "table not found"):
		return apierr.TableNotFound
	case strings.Contains(text, "partition not found") && s != scopeTable:
		return apierr.PartitionNotFound
	case strings.Contains(text, "odps-0130131"):
		return apierr.TableNotFound
	case strings.Contains(text, "project") && !strings.Contains(text, "table"):
		return apierr.ProjectNotFound
	case s == scopePartition, s == scopeNewSession && strings.Contains(text, "partition"):
		return apierr.PartitionNotFound
	}
	return apierr.TableNotFound
}

// conflict is a state that does not fit the call: for a session, it is over.
func conflict(s scope) apierr.Reason {
	if s == scopeSession {
		return apierr.SessionExpired
	}
	return apierr.BackendUnavailable
}

func existing(s scope) apierr.Reason {
	if s == scopePartition {
		return apierr.PartitionExists
	}
	return apierr.TableExists
}

// statusError turns an upstream refusal into ours.
func statusError(op string, o object, s scope, u upstream) error {
	r := u.reason(s)
	text := fmt.Sprintf("%s: %s (%d %s)", op, explain(r, o), u.status, u.code)
	if u.message != "" && !o.Data {
		text += ": " + clip(u.message)
	}
	e := o.annotate(apierr.Wrap(u, r, "%s", text))
	if code := u.odpsCode(); code != "" {
		e.With("odps_code", code)
	}
	if u.requestID != "" {
		e.With("odps_request_id", u.requestID)
	}
	return e.WithRetryAfter(u.retryAfter)
}

// explain says in words what a reason means for the object at hand.
func explain(r apierr.Reason, o object) string {
	switch r {
	case apierr.ProjectNotFound:
		return "project " + o.Project + " not found"
	case apierr.TableNotFound:
		return "table " + o.Table + " not found"
	case apierr.PartitionNotFound:
		return "partition " + o.Partition + " of table " + o.Table + " not found"
	case apierr.TableExists:
		return "table " + o.Table + " exists already"
	case apierr.PartitionExists:
		return "partition " + o.Partition + " of table " + o.Table + " exists already"
	case apierr.SessionExpired:
		return "the upstream session is over, or its table was changed"
	case apierr.Unauthenticated:
		return "maxcompute did not accept the service's credentials"
	case apierr.Throttled:
		return "maxcompute asks to slow down"
	case apierr.BackendUnavailable:
		return "maxcompute is not available"
	}
	return "maxcompute refused"
}

// notSent marks an error as having had no effect: no byte left.
func notSent(err error) error { return fmt.Errorf("%w (%w)", err, write.ErrNotSent) }

// onStream makes BACKEND_UNAVAILABLE say retry=resume: the caller continues at the row it has reached.
func onStream(err error) error {
	var e *apierr.Error
	if errors.As(err, &e) && e.Reason() == apierr.BackendUnavailable {
		return e.OnStream()
	}
	return err
}

// sqlError reads the text of a failed SQL task, "ODPS-0130131:[1,15] Table not found - …".
func sqlError(op string, o object, text string) error {
	u := upstream{status: http.StatusOK, code: odpsNumber.FindString(text), message: text}
	r, known := codeReasons[strings.ToLower(u.code)]
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "partition not found"): // with the number of a missing table, too
		r = apierr.PartitionNotFound
	case known:
	case strings.Contains(lower, "partition already exist"):
		r = apierr.PartitionExists
	case strings.Contains(lower, "already exist"):
		r = apierr.TableExists
	case strings.Contains(lower, "partition") && strings.Contains(lower, "does not exist"):
		r = apierr.PartitionNotFound
	case strings.HasPrefix(u.code, "ODPS-001"), strings.HasPrefix(u.code, "ODPS-043"):
		r = apierr.BackendUnavailable // the service's own faults
	default:
		r = apierr.BadArgument
	}
	e := o.annotate(apierr.Wrap(u, r, "%s: %s: %s", op, explain(r, o), clip(text)))
	if u.code != "" {
		e.With("odps_code", u.code)
	}
	return e
}
