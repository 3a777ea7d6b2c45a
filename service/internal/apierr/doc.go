// Package apierr is the one error type of the service: a stable reason, a text for humans, and what a program needs
// to act on it.
//
// Build one with New or Wrap, decorate it with the With methods, return it. Error implements GRPCStatus, so a handler
// that returns it answers with the right code and with all details of api.md section 3. An error that wraps one must go
// through From at the door: grpc would show the text of the whole chain, causes included.
//
//	google.rpc.Status
//	├─ sluice.v1.Error     reason, code, message, metadata, violations, retry_after, request_id
//	├─ google.rpc.ErrorInfo    domain "sluice", reason name, metadata
//	├─ google.rpc.BadRequest   only for INVALID_ARGUMENT with field violations
//	├─ google.rpc.RetryInfo    only when waiting helps
//	├─ google.rpc.RequestInfo  once the request id is known
//	└─ details added with WithDetail (Run, Rejected)
//
// From turns any error into an Error; what it does not know becomes INTERNAL with its text hidden behind an id, and
// the full text stays reachable through errors.Unwrap for the log.
//
// The package does not log, does not count, and knows no other package of the service.
package apierr
