package apierr_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
)

// Numbers and names are those of the proto, none is missing and none is more.
func TestReasonsAreThoseOfTheProto(t *testing.T) {
	for number, name := range sluicev1.Reason_name {
		want := strings.TrimPrefix(name, "REASON_")
		if number == 0 {
			continue
		}
		if got := apierr.Reason(number).String(); got != want {
			t.Errorf("reason %d is %s, the proto says %s", number, got, want)
		}
	}
	for n := range apierr.Reason(200) {
		_, inProto := sluicev1.Reason_name[int32(n)]
		known := n == 0 || n == apierr.Internal || n.String() != "INTERNAL"
		if known != inProto {
			t.Errorf("reason %d: known here %v, in the proto %v", n, known, inProto)
		}
	}
}

func details[T proto.Message](s *status.Status) (out []T) {
	for _, d := range s.Details() {
		if m, ok := d.(T); ok {
			out = append(out, m)
		}
	}
	return out
}

// An Error returned from a handler, wrapped or not, carries all details of api.md 3.
func TestStatusDetails(t *testing.T) {
	e := apierr.Wrap(errors.New("secret cause"), apierr.BadArgument, "bad %s", "thing").
		With("table", "t").WithViolation("open.output", "missing").WithViolation("open.run_id", "too long").
		WithRetryAfter(3 * time.Second).WithRequestID("req-1").WithDetail(&sluicev1.Run{RunId: "r"})
	s, ok := status.FromError(apierr.From(fmt.Errorf("open: %w", e)))
	if !ok || s.Code() != codes.InvalidArgument || strings.Contains(s.Message(), "secret") {
		t.Fatalf("status %v, %v", s, ok)
	}
	own := details[*sluicev1.Error](s)
	want := &sluicev1.Error{}
	proto.Merge(want, e.Proto(""))
	if len(own) != 1 || !proto.Equal(own[0], want) {
		t.Errorf("our detail: %v", own)
	}
	if own[0].GetReason() != sluicev1.Reason_REASON_BAD_ARGUMENT || own[0].GetRequestId() != "req-1" || own[0].GetMessage() != "bad thing" ||
		own[0].GetRetryAfter().AsDuration() != 3*time.Second || len(own[0].GetViolations()) != 2 || own[0].GetMetadata()["retry"] != "no" {
		t.Errorf("our detail: %v", own[0])
	}
	info := details[*errdetails.ErrorInfo](s)
	if len(info) != 1 || info[0].GetReason() != "BAD_ARGUMENT" || info[0].GetDomain() != "sluice" || info[0].GetMetadata()["table"] != "t" {
		t.Errorf("ErrorInfo: %v", info)
	}
	if br := details[*errdetails.BadRequest](s); len(br) != 1 || len(br[0].GetFieldViolations()) != 2 || br[0].GetFieldViolations()[1].GetField() != "open.run_id" {
		t.Errorf("BadRequest: %v", br)
	}
	if ri := details[*errdetails.RetryInfo](s); len(ri) != 1 || ri[0].GetRetryDelay().AsDuration() != 3*time.Second {
		t.Errorf("RetryInfo: %v", ri)
	}
	if ri := details[*errdetails.RequestInfo](s); len(ri) != 1 || ri[0].GetRequestId() != "req-1" {
		t.Errorf("RequestInfo: %v", ri)
	}
	if run := details[*sluicev1.Run](s); len(run) != 1 || run[0].GetRunId() != "r" {
		t.Errorf("Run: %v", run)
	}
	if back := apierr.FromProto(own[0]); back.Reason() != e.Reason() || back.Meta("table") != "t" || back.RetryAfter() != e.RetryAfter() {
		t.Errorf("FromProto = %v", back)
	}
}

func TestBareStatusHasNoExtras(t *testing.T) {
	s := status.Convert(apierr.New(apierr.SliceFenced, "x"))
	if s.Code() != codes.Aborted || len(s.Details()) != 2 {
		t.Errorf("status %v with %v", s, s.Details())
	}
}

func TestFrom(t *testing.T) {
	if apierr.From(nil) != nil || apierr.ReasonOf(nil) != apierr.Unspecified {
		t.Error("nil is an error")
	}
	inner := apierr.New(apierr.RunClosed, "closed")
	if got := apierr.From(fmt.Errorf("a: %w", fmt.Errorf("b: %w", inner))); got.Error() != inner.Error() {
		t.Errorf("From = %v", got)
	}
	_ = apierr.From(inner).With("k", "v").WithViolation("f", "m").WithRequestID("r")
	if inner.Meta("k") != "" || len(inner.Violations()) != 0 || inner.Proto("").GetRequestId() != "" {
		t.Error("decorating what From gives changes the original, which others may hold")
	}
	for err, code := range map[error]codes.Code{
		fmt.Errorf("read: %w", context.Canceled):               codes.Canceled,
		context.DeadlineExceeded:                               codes.DeadlineExceeded,
		status.Error(codes.Canceled, "stream cut"):             codes.Canceled,
		fmt.Errorf("x: %w", status.Error(codes.Internal, "s")): codes.Internal,
	} {
		e := apierr.From(err)
		if e.Code() != code || status.Code(e) != code {
			t.Errorf("From(%v).Code = %v, want %v", err, e.Code(), code)
		}
		if code != codes.Internal && (apierr.ReasonOf(err) != apierr.Unspecified || e.Meta("retry") != "" || len(status.Convert(e).Details()) != 0) {
			t.Errorf("From(%v) has a reason", err)
		}
	}
	hidden := errors.New("password=x")
	e := apierr.From(fmt.Errorf("dial: %w", hidden))
	if e.Reason() != apierr.Internal || strings.Contains(status.Convert(e).String(), "password") || !errors.Is(e, hidden) || e.Meta("debug_id") == "" {
		t.Errorf("From hides badly: %v", e)
	}
	if !strings.Contains(e.Message(), e.Meta("debug_id")) || !strings.Contains(e.Error(), "password") {
		t.Errorf("message %q, log %q", e.Message(), e.Error())
	}
	if !apierr.Is(fmt.Errorf("a: %w", inner), apierr.RunClosed) || apierr.Is(inner, apierr.RunIncomplete) || apierr.Is(hidden, apierr.Internal) {
		t.Error("Is")
	}
}

// What is repeated on a unary call is resumed on a stream.
func TestOnStream(t *testing.T) {
	for r, want := range map[apierr.Reason]string{
		apierr.BackendUnavailable: "resume", apierr.Draining: "resume", apierr.Throttled: "same", apierr.OffsetGap: "adjust", apierr.Internal: "no",
	} {
		e := apierr.New(r, "x").With("a", "b")
		if got := e.OnStream(); got.Meta("retry") != want || got.Proto("").GetMetadata()["retry"] != want || got.Meta("a") != "b" {
			t.Errorf("%v on a stream: %v", r, got.Metadata())
		}
		if e.Meta("retry") != r.Retry() {
			t.Errorf("%v was changed by OnStream", r)
		}
	}
}

func TestRowsAreCapped(t *testing.T) {
	rows, total := apierr.New(apierr.TypeMismatch, "x").WithRows(make([]apierr.RowError, 150), 1000).Rows()
	if len(rows) != apierr.MaxRowErrors || total != 1000 {
		t.Errorf("%d of %d", len(rows), total)
	}
}
