// Package flow bounds what is in flight: Budget counts bytes and never waits, Slots counts calls and grants in
// order of asking, so nobody starves. Both are asked before memory is taken or a call is made.
//
// It does not know what it bounds, starts no goroutine and reads no clock.
package flow
