package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Reason says why a call failed; the constants are those of the API, sluicev1.Reason_REASON_….
type Reason = sluicev1.Reason

// Retry says what may be repeated after an error.
type Retry string

// The values of Retry. Writer and Reader act on RetryResume and RetryAdjust themselves.
const (
	RetryNo     Retry = "no"     // not this, unchanged
	RetrySame   Retry = "same"   // the same call, after RetryAfter or a while
	RetryResume Retry = "resume" // on a new stream
	RetryAdjust Retry = "adjust" // from what the metadata tells
)

// Error is a failure told by the service or by the connection to it. Its text is for humans; programs look at Reason,
// or at Code where Reason is unspecified: such an error comes from the connection, or from a newer server.
type Error struct {
	Reason     Reason
	Code       codes.Code
	Message    string
	Metadata   map[string]string // names of the objects it is about: project, table, partition, run_id, slice_id, …
	Violations []*sluicev1.FieldViolation
	RetryAfter time.Duration // 0: no hint
	RequestID  string
	// Run is filled for a commit that was not done: RUN_INCOMPLETE, COMMIT_FAILED, OUTCOME_UNKNOWN.
	Run *sluicev1.Run
	// Rejected is filled where a unary call was refused for its rows.
	Rejected *sluicev1.Rejected

	cause error
}

// Error returns the reason, the server's message and the fields it found wrong.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.reasonText())
	b.WriteString(": ")
	b.WriteString(e.Message)
	for _, v := range e.Violations {
		fmt.Fprintf(&b, "; %s: %s", v.GetField(), v.GetMessage())
	}
	return b.String()
}

func (e *Error) reasonText() string {
	if e.Reason == sluicev1.Reason_REASON_UNSPECIFIED {
		return e.Code.String()
	}
	return strings.TrimPrefix(e.Reason.String(), "REASON_")
}

// Unwrap returns what gRPC gave, or a local cause.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus makes status.Code and the like work.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// Retry says what may be repeated. An error without the server's word is judged by its code.
func (e *Error) Retry() Retry {
	if r := e.Metadata["retry"]; r != "" {
		return Retry(r)
	}
	switch e.Code {
	case codes.Unavailable:
		return RetryResume
	case codes.ResourceExhausted:
		return RetrySame
	}
	return RetryNo
}

// ReasonOf returns the reason of the first *Error in err's tree, or REASON_UNSPECIFIED.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return sluicev1.Reason_REASON_UNSPECIFIED
}

// Is tells whether err has one of the reasons.
func Is(err error, reasons ...Reason) bool {
	r := ReasonOf(err)
	return r != sluicev1.Reason_REASON_UNSPECIFIED && slices.Contains(reasons, r)
}

// RejectedError tells of rows that the server refused: none of the batch is in the table's new content, everything
// before and after it is. The Writer goes on; see [Writer.WriteArrow] for when it is reported.
type RejectedError struct {
	// FirstRow and Rows say which rows: counted from 0 over all rows ever given to this Writer.
	FirstRow, Rows int64
	// RowErrors are the first of the faulty rows, at most 100; their Row counts within the batch, from 0.
	RowErrors []*sluicev1.RowError
	// RowErrorCount is how many rows are faulty in all.
	RowErrorCount int64
	// Err is the reason.
	Err *Error
}

// Error names the batch, the reason and the first faulty row.
func (e *RejectedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rows %d to %d refused: %v", e.FirstRow, e.FirstRow+e.Rows-1, e.Err)
	for i, row := range e.RowErrors {
		if i == 3 {
			break
		}
		fmt.Fprintf(&b, "; row %d", e.FirstRow+row.GetRow())
		if row.GetColumn() != "" {
			fmt.Fprintf(&b, ", column %s", row.GetColumn())
		}
		fmt.Fprintf(&b, ": %s", row.GetMessage())
	}
	if rest := e.RowErrorCount - int64(min(3, len(e.RowErrors))); rest > 0 {
		fmt.Fprintf(&b, "; and %d more", rest)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *RejectedError) Unwrap() error { return e.Err }

// fromRPC turns an error of gRPC into an *Error; nil, io.EOF and errors of this package pass.
func fromRPC(err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*Error](err); known {
		return err
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	e := &Error{Code: st.Code(), Message: st.Message(), cause: err}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *sluicev1.Error:
			e.fill(d)
		case *sluicev1.Run:
			e.Run = d
		case *sluicev1.Rejected:
			e.Rejected = d
		}
	}
	return e
}

// fromProto turns an error that came inside a message into an *Error.
func fromProto(p *sluicev1.Error) *Error {
	e := &Error{Code: codes.Code(p.GetCode())} //nolint:gosec // a gRPC code
	e.fill(p)
	return e
}

func (e *Error) fill(p *sluicev1.Error) {
	e.Reason, e.Metadata, e.Violations = p.GetReason(), p.GetMetadata(), p.GetViolations()
	e.RequestID = p.GetRequestId()
	if p.GetMessage() != "" {
		e.Message = p.GetMessage()
	}
	if d := p.GetRetryAfter(); d != nil {
		e.RetryAfter = d.AsDuration()
	}
}

// newError makes an error of the client's own, in the server's words.
func newError(reason Reason, code codes.Code, format string, args ...any) *Error {
	return &Error{Reason: reason, Code: code, Message: fmt.Sprintf(format, args...), Metadata: map[string]string{"retry": string(RetryNo)}}
}

func badArgument(format string, args ...any) *Error {
	return newError(sluicev1.Reason_REASON_BAD_ARGUMENT, codes.InvalidArgument, format, args...)
}
