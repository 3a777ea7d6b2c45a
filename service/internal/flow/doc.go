// Package flow bounds what is in flight: Budget counts bytes, Slots counts calls. Both grant in order of asking, so
// nobody starves, and both are asked before memory is taken or a call is made.
//
// It does not know what it bounds, starts no goroutine and reads no clock.
package flow
