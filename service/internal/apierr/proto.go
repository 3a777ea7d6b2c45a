package apierr

import (
	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Proto is the message that travels inside streams (Rejected.error, Run.error) and among a status's details. An empty
// requestID leaves the id set by WithRequestID.
func (e *Error) Proto(requestID string) *sluicev1.Error {
	if requestID == "" {
		requestID = e.requestID
	}
	p := &sluicev1.Error{
		Reason:    sluicev1.Reason(e.reason),
		Code:      int32(e.Code()),
		Message:   e.message,
		Metadata:  e.Metadata(),
		RequestId: requestID,
	}
	for _, v := range e.violations {
		p.Violations = append(p.Violations, &sluicev1.FieldViolation{Field: v.Field, Message: v.Message})
	}
	if e.retryAfter > 0 {
		p.RetryAfter = durationpb.New(e.retryAfter)
	}
	return p
}

// FromProto rebuilds an Error from its message, as kept in the ledger. Unknown reasons become INTERNAL.
func FromProto(p *sluicev1.Error) *Error {
	if p == nil {
		return nil
	}
	r := Reason(p.GetReason())
	if _, known := reasons[r]; !known {
		r = Internal
	}
	e := &Error{reason: r, message: p.GetMessage(), requestID: p.GetRequestId()}
	for k, v := range p.GetMetadata() {
		e.With(k, v)
	}
	for _, v := range p.GetViolations() {
		e.WithViolation(v.GetField(), v.GetMessage())
	}
	if d := p.GetRetryAfter(); d != nil {
		e.WithRetryAfter(d.AsDuration())
	}
	return e
}
