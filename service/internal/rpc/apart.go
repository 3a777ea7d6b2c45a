package rpc

import (
	"fmt"
	"runtime/debug"
)

// apart runs f on a goroutine of its own and waits for it. What f needs of stack ends with that goroutine; run by the
// stream's own, it would stay grown for as long as the stream lives, and thousands of idle streams would pay for it. A
// panic of f goes on in the caller.
func apart(f func()) {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("%v\n%s", p, debug.Stack())
				return
			}
			done <- nil
		}()
		f()
	}()
	if err := <-done; err != nil {
		panic(err)
	}
}
