package apierr

import (
	"maps"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Domain is ErrorInfo.domain of every error of ours.
const Domain = "sluice"

// GRPCStatus makes the Error usable as the return value of a handler, see the package comment for the details sent.
func (e *Error) GRPCStatus() *status.Status {
	s := status.New(e.Code(), e.message)
	if e.reason == Unspecified {
		return s
	}
	with, err := s.WithDetails(e.allDetails()...)
	if err != nil { // a detail that cannot be marshalled must not hide the error itself
		return s
	}
	return with
}

func (e *Error) allDetails() []protoadapt.MessageV1 {
	out := make([]protoadapt.MessageV1, 0, 5+len(e.details))
	add := func(m proto.Message) { out = append(out, protoadapt.MessageV1Of(m)) }
	add(e.Proto(""))
	add(&errdetails.ErrorInfo{Reason: e.reason.String(), Domain: Domain, Metadata: e.Metadata()})
	if e.Code() == codes.InvalidArgument && len(e.violations) > 0 {
		add(e.badRequest())
	}
	if e.retryAfter > 0 {
		add(&errdetails.RetryInfo{RetryDelay: durationpb.New(e.retryAfter)})
	}
	if e.requestID != "" {
		add(&errdetails.RequestInfo{RequestId: e.requestID})
	}
	for _, d := range e.details {
		add(d)
	}
	return out
}

// Metadata is a copy of all metadata, "retry" included.
func (e *Error) Metadata() map[string]string {
	m := maps.Clone(e.meta)
	if m == nil {
		m = make(map[string]string, 1)
	}
	if r := e.Meta("retry"); r != "" {
		m["retry"] = r
	}
	return m
}

func (e *Error) badRequest() *errdetails.BadRequest {
	br := &errdetails.BadRequest{}
	for _, v := range e.violations {
		br.FieldViolations = append(br.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Message})
	}
	return br
}
