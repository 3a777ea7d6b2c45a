// Package rpc is the gRPC face of the service: one method = validate, call, convert. No policy lives here: what a run,
// a slice or a read session may do is decided in packages write and read, what a batch may hold in package batch.
//
// The one piece with a life of its own is the slice stream (stream.go): it reads one WriteRows stream, drives one
// write.Writer with it, and sends what the API promises to say by itself: acknowledgements, signs of life, fences.
//
//	recv goroutine (gRPC's own)           timer / engine
//	open, batch, flush, seal  ──▶ Writer     │ ack due, durable moved, fenced
//	        replies ◀── send (one mutex) ◀───┘
//
// An idle stream costs the goroutine that gRPC gave it and a runtime timer, nothing more.
package rpc
