// Package interceptor holds what every call of the service gets, in this order from the outside in:
//
//	request id → one log line → recovery → status (errors of ours with the request id among their details)
//
// It knows nothing of what a method does, but the log line names what the first message was about (run, table, slice,
// rows; docs/operations.md). Order matters: the status is made innermost, so that the log line and the
// caller see the same error; recovery lies inside the log, so that a call that panicked leaves its line too.
package interceptor
