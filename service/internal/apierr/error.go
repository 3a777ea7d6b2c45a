package apierr

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// MaxRowErrors is how many row errors an Error keeps and shows (api.md 6.1, Rejected.row_errors).
const MaxRowErrors = 100

// RowError says what is wrong with one value of a batch.
type RowError struct {
	Row     int    // index in the batch, from 0
	Column  string // name in the table
	Reason  Reason // TYPE_MISMATCH, TOO_LARGE or BAD_VALUES
	Message string // never holds the value itself
}

// Violation names one wrong field of a request by its path in the proto.
type Violation struct {
	Field   string
	Message string
}

// Error is a failure with a stable reason. Make it with New or Wrap. The With methods change and return the receiver,
// so they belong where the error is made, before it is shared; the accessors are safe for concurrent use.
type Error struct {
	reason     Reason
	code       codes.Code // only for cancelled and expired calls, else that of the reason
	message    string
	cause      error
	meta       map[string]string
	violations []Violation
	retryAfter time.Duration
	details    []proto.Message
	rows       []RowError
	rowTotal   int
	requestID  string
}

// New makes an Error; the format speaks to humans and must not hold values of users' rows.
func New(r Reason, format string, args ...any) *Error {
	return &Error{reason: r, message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error whose cause is kept for errors.Is, errors.As and the log, but is not shown to clients.
func Wrap(cause error, r Reason, format string, args ...any) *Error {
	e := New(r, format, args...)
	e.cause = cause
	return e
}

// Error is the reason and the message, followed by the cause for logs.
func (e *Error) Error() string {
	text := e.reason.String() + ": " + e.message
	if e.code != codes.OK {
		text = e.message
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap gives the cause, nil if there is none.
func (e *Error) Unwrap() error { return e.cause }

// With sets a metadata entry: the names of objects (project, table, partition, run_id, slice_id, attempt …) or what
// the reason's row in api.md 3 lists. Keys of internals begin with "debug_".
func (e *Error) With(key, value string) *Error {
	if e.meta == nil {
		e.meta = make(map[string]string, 4)
	}
	e.meta[key] = value
	return e
}

// WithRetryAfter tells the client how long to wait; d ≤ 0 means no hint.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	e.retryAfter = max(d, 0)
	return e
}

// WithViolation adds one wrong field; field is its path in the request message.
func (e *Error) WithViolation(field, message string) *Error {
	e.violations = append(e.violations, Violation{Field: field, Message: message})
	return e
}

// WithDetail adds a message of ours (Run, Rejected) to the status's details.
func (e *Error) WithDetail(m proto.Message) *Error {
	e.details = append(e.details, m)
	return e
}

// WithRows attaches the wrong values of a batch, of which the first MaxRowErrors are kept; total counts all of them.
func (e *Error) WithRows(rows []RowError, total int) *Error {
	e.rows, e.rowTotal = rows[:min(len(rows), MaxRowErrors)], max(total, len(rows))
	return e
}

// WithRequestID sets the id shown in RequestInfo and in our own detail.
func (e *Error) WithRequestID(id string) *Error {
	e.requestID = id
	return e
}

// OnStream gives a copy for use as a stream's status: BACKEND_UNAVAILABLE and DRAINING are answered there by a new
// stream (retry=resume), on unary calls by repeating the call.
func (e *Error) OnStream() *Error {
	c := e.clone()
	if e.reason == BackendUnavailable || e.reason == Draining {
		c.With("retry", RetryResume)
	}
	return c
}

// clone shares nothing with e that a With method changes.
func (e *Error) clone() *Error {
	c := *e
	c.meta = maps.Clone(e.meta)
	c.violations = slices.Clip(e.violations)
	c.details = slices.Clip(e.details)
	return &c
}

// Reason is the stable cause. It is Unspecified for cancelled and expired calls, which have only gRPC's code.
func (e *Error) Reason() Reason { return e.reason }

// Message is the text for humans, without the cause.
func (e *Error) Message() string { return e.message }

// Meta is one metadata entry, "" if absent. "retry" is always there for errors with a reason.
func (e *Error) Meta(key string) string {
	if v, ok := e.meta[key]; ok {
		return v
	}
	if key == "retry" && e.reason != Unspecified {
		return e.reason.Retry()
	}
	return ""
}

// Rows is the wrong values of a batch, at most MaxRowErrors of them in row order, and how many there are in all.
func (e *Error) Rows() ([]RowError, int) { return e.rows, e.rowTotal }

// Violations is the wrong fields of the request. The slice is the Error's own.
func (e *Error) Violations() []Violation { return e.violations }

// RetryAfter is the hint how long to wait, 0 if there is none.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// Code is gRPC's code for this error.
func (e *Error) Code() codes.Code {
	if e.code != codes.OK {
		return e.code
	}
	return e.reason.Code()
}

// From gives a copy of the Error inside err, nil for nil: the caller may decorate it, though err itself may be known to
// others, as the error that ended a writer is. A cancelled or expired context, ours or a remote call's, keeps gRPC's
// own code; anything else is INTERNAL with a fresh id in its message and in metadata "debug_id", and err as its cause.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.clone()
	}
	if c := contextCode(err); c != codes.OK {
		return &Error{code: c, message: contextText(c), cause: err}
	}
	id := newID()
	return Wrap(err, Internal, "internal error %s", id).With("debug_id", id)
}

func contextCode(err error) codes.Code {
	switch {
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	if s, ok := status.FromError(err); ok && (s.Code() == codes.Canceled || s.Code() == codes.DeadlineExceeded) {
		return s.Code()
	}
	return codes.OK
}

func contextText(c codes.Code) string {
	if c == codes.Canceled {
		return "call cancelled"
	}
	return "deadline exceeded"
}

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24 and later)
	return hex.EncodeToString(b[:])
}

// ReasonOf is the reason of the Error inside err: Unspecified for nil, cancelled and expired, Internal for others.
func ReasonOf(err error) Reason {
	if err == nil {
		return Unspecified
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.reason
	}
	if contextCode(err) != codes.OK {
		return Unspecified
	}
	return Internal
}

// Is reports whether err holds an Error with this reason.
func Is(err error, r Reason) bool {
	var e *Error
	return errors.As(err, &e) && e.reason == r
}
