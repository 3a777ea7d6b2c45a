package maxcompute

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

func TestReasons_by_code_status_and_scope(t *testing.T) {
	for _, k := range []struct {
		status        int
		code, message string
		scope         scope
		want          apierr.Reason
	}{
		{404, "NoSuchProject", "", scopeTable, apierr.ProjectNotFound},
		{404, "NoSuchTable", "", scopeSession, apierr.TableNotFound},
		{404, "NoSuchPartition", "", scopeNewSession, apierr.PartitionNotFound},
		{404, "NoSuchObject", "ODPS-0130131:Table not found - p.t", scopeTable, apierr.TableNotFound},
		{404, "NoSuchObject", "ODPS-0130131:Table not found - p.partition", scopeNewSession, apierr.TableNotFound},
		{404, "NoSuchObject", "ODPS-0130131:Table not found - p.t", scopePartition, apierr.TableNotFound},
		{404, "NoSuchObject", "ODPS-0130131:partition not found - dt=1", scopePartition, apierr.PartitionNotFound},
		{404, "NoSuchPath", "", scopeSession, apierr.Unsupported},
		{404, "NoSuchObject", "Project not found - p", scopeTable, apierr.ProjectNotFound},
		{404, "NoSuchObject", "The specified partition does not exist", scopeNewSession, apierr.PartitionNotFound},
		{404, "NoSuchObject", "", scopePartition, apierr.PartitionNotFound},
		{404, "NoSuchObject", "upload session U1 not found", scopeSession, apierr.SessionExpired},
		{404, "NoSuchObject", "", scopeProject, apierr.ProjectNotFound},
		{404, "", "<html>", scopeSession, apierr.SessionExpired},
		{410, "", "", scopeSession, apierr.SessionExpired},
		{404, "", "", scopeInstance, apierr.BackendUnavailable},
		{404, "NoSuchSchema", "", scopeSession, apierr.BackendUnavailable},
		{404, "NoSuchSchema", "", scopeTable, apierr.TableNotFound},
		{404, "StreamSessionNotFound", "", scopeSession, apierr.SessionExpired},
		{404, "UpsertSessionNotFound", "", scopeSession, apierr.SessionExpired},
		{400, "TableModified", "", scopeSession, apierr.SessionExpired},
		{412, "SchemaModified", "", scopeSession, apierr.SchemaChanged},
		{412, "", "", scopeSession, apierr.SchemaChanged},
		{400, "InvalidArgument", "", scopeTable, apierr.BadArgument},
		{400, "InvalidParameter", "", scopeTable, apierr.BadArgument},
		{400, "InvalidParameter", "ODPS-0410051: access id", scopeTable, apierr.BadArgument},
		{400, "ODPS-0410051", "", scopeTable, apierr.Unauthenticated},
		{400, "InvalidPartitionSpec", "", scopeNewSession, apierr.BadPartition},
		{400, "CheckSumError", "", scopeSession, apierr.ChecksumMismatch},
		{400, "ParseError", "", scopeInstance, apierr.BadArgument},
		{400, "whatever", "", scopeTable, apierr.BadArgument},
		{405, "MethodNotAllowed", "", scopeTable, apierr.Unsupported},
		{400, "InstanceTypeNotSupported", "", scopeInstance, apierr.Unsupported},
		{400, "OverwriteModeNotAllowed", "", scopeNewSession, apierr.Unsupported},
		{401, "Unauthorized", "", scopeTable, apierr.Unauthenticated},
		{401, "AuthorizationRequired", "", scopeTable, apierr.Unauthenticated},
		{403, "SignatureNotMatch", "", scopeTable, apierr.Unauthenticated},
		{403, "RequestTimeTooSkewed", "", scopeTable, apierr.Unauthenticated},
		{401, "AuthenticationRequestExpired", "", scopeTable, apierr.Unauthenticated},
		{403, "NoPermission", "", scopeTable, apierr.Permission},
		{403, "AccessDenied", "", scopeTable, apierr.Permission},
		{403, "", "<html>", scopeTable, apierr.Permission},
		{400, "", "ODPS-0130013: Authorization exception", scopeTable, apierr.Permission},
		{429, "FlowExceeded", "", scopeSession, apierr.Throttled},
		{429, "SlotExceeded", "", scopeSession, apierr.Throttled},
		{503, "QPSExceeded", "", scopeSession, apierr.Throttled},
		{429, "", "", scopeSession, apierr.Throttled},
		{409, "", "", scopeInstance, apierr.Throttled},
		{409, "StatusConflict", "", scopeSession, apierr.SessionExpired},
		{409, "StatusConflict", "", scopeTable, apierr.BackendUnavailable},
		{409, "ObjectAlreadyExists", "", scopeTable, apierr.TableExists},
		{409, "ObjectAlreadyExists", "", scopePartition, apierr.PartitionExists},
		{400, "InstanceNotTerminate", "", scopeInstance, apierr.BackendUnavailable},
		{413, "", "", scopeSession, apierr.TooLarge},
		{308, "", "", scopeSession, apierr.BackendUnavailable},
		{408, "", "", scopeSession, apierr.BackendUnavailable},
		{425, "", "", scopeSession, apierr.BackendUnavailable},
		{500, "InternalServerError", "", scopeTable, apierr.BackendUnavailable},
		{500, "ODPS-0010000", "", scopeTable, apierr.BackendUnavailable},
		{500, "ReadMetaError", "", scopeTable, apierr.BackendUnavailable},
		{503, "ServiceUnavailable", "", scopeTable, apierr.BackendUnavailable},
		{400, "DataVersionError", "", scopeTable, apierr.BackendUnavailable},
		{400, "ODPS-0430055", "", scopeTable, apierr.BackendUnavailable},
		{400, "ODPS-1800001", "", scopeInstance, apierr.BackendUnavailable},
		{502, "", "<html>", scopeTable, apierr.BackendUnavailable},
		{504, "", "", scopeTable, apierr.BackendUnavailable},
		{399, "", "", scopeTable, apierr.BackendUnavailable},
	} {
		u := upstream{status: k.status, code: k.code, message: k.message}
		if got := u.reason(k.scope); got != k.want {
			t.Errorf("reason(%d %q %q, scope %d) = %v, want %v", k.status, k.code, k.message, k.scope, got, k.want)
		}
	}
}

func TestUpstream_documents(t *testing.T) {
	header := http.Header{"X-Odps-Request-Id": {"H1"}}
	for name, k := range map[string]struct {
		body       string
		code, text string
	}{
		"xml":       {`<?xml version="1.0"?><Error><Code>NoSuchObject</Code><Message><![CDATA[gone]]></Message><RequestId>B1</RequestId><HostId>h</HostId></Error>`, "NoSuchObject", "gone"},
		"json":      {`{"Code":"InvalidArgument","Message":"bad","RequestId":"B1"}`, "InvalidArgument", "bad"},
		"html":      {`<html><body>502 Bad Gateway</body></html>`, "", ""},
		"empty":     {``, "", ""},
		"truncated": {`{"Code":"Inval`, "", ""},
	} {
		u := newUpstream(400, header, []byte(k.body), time.Now())
		if u.code != k.code || u.message != k.text || u.requestID != "H1" {
			t.Errorf("%s: %+v, want code %q, message %q, request id H1", name, u, k.code, k.text)
		}
	}
}

func TestStatusError_names_objects_and_keeps_row_text_out(t *testing.T) {
	u := upstream{status: 404, code: "NoSuchPartition", message: "value 'secret'", requestID: "R1", retryAfter: time.Second}
	o := object{Project: "p", Table: "p.t", Partition: "dt=1", Session: "U1"}
	e := apierr.From(statusError("put block", o, scopeSession, u))
	for key, want := range map[string]string{
		"project": "p", "table": "p.t", "partition": "dt=1", "debug_session": "U1", "odps_code": "NoSuchPartition", "odps_request_id": "R1", "retry": "no",
	} {
		if got := e.Meta(key); got != want {
			t.Errorf("Meta(%q) = %q, want %q", key, got, want)
		}
	}
	if !strings.Contains(e.Message(), "secret") || e.RetryAfter() != time.Second {
		t.Errorf("message %q, retry after %v: want upstream's text and 1s", e.Message(), e.RetryAfter())
	}
	o.Data = true
	if e := apierr.From(statusError("put block", o, scopeSession, u)); strings.Contains(e.Message(), "secret") {
		t.Errorf("message of a data request shows upstream's text: %q", e.Message())
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-1": 0, "soon": 0, "999999999": 24 * time.Hour,
		"Fri, 20 Nov 2026 12:00:30 GMT": 30 * time.Second, "Fri, 20 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(text, now); got != want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestSQLError_by_number_and_text(t *testing.T) {
	for text, want := range map[string]apierr.Reason{
		"ODPS-0130131:[1,15] Table not found - table p.t cannot be resolved":     apierr.TableNotFound,
		"ODPS-0130131:[1,15] partition not found - p.t dt='1'":                   apierr.PartitionNotFound,
		"ODPS-0130161:[1,1] Parse exception - invalid token":                     apierr.BadArgument,
		"ODPS-0130013:Authorization exception - no privilege":                    apierr.Permission,
		"ODPS-0123055:User script exception":                                     apierr.BadArgument,
		"ODPS-0110061: Failed to run ddltask - Table p.t already exists":         apierr.TableExists,
		"ODPS-0110061: Failed to run ddltask - Partition already exists: dt='1'": apierr.PartitionExists,
		"ODPS-0110061: Failed to run ddltask - Partition not found":              apierr.PartitionNotFound,
		"ODPS-0010000:System internal error":                                     apierr.BackendUnavailable,
		"ODPS-0430055:Internal connection error":                                 apierr.BackendUnavailable,
		"something else":                                                         apierr.BadArgument,
	} {
		if got := apierr.ReasonOf(sqlError("create table", object{}, text)); got != want {
			t.Errorf("sqlError(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestOnStream_says_resume(t *testing.T) {
	err := onStream(fmt.Errorf("read: %w", apierr.New(apierr.BackendUnavailable, "x")))
	var e *apierr.Error
	if !errors.As(err, &e) || e.Meta("retry") != apierr.RetryResume {
		t.Errorf("onStream = %v, want retry=resume", err)
	}
}
