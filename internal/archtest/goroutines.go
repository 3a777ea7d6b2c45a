package archtest

// goroutines lists the hand-written, non-test files that may hold `go` statements, each with who waits for them.
// Prefer errgroup or WaitGroup.Go, which need no entry.
var goroutines = map[string]string{
	"client/session.go":                    "the receiver of one stream; serve waits for received",
	"client/writer.go":                     "the writer's loop; NewWriter and Close wait for ready or done",
	"emulator/internal/store/store.go":     "the collector of dropped segments; Close stops it and waits for gcDone",
	"service/internal/maxcompute/block.go": "one block's request; Close and Abort of the block wait for done",
	"service/internal/rpc/apart.go":        "one function, which the caller waits for",
	"service/internal/rpc/stream.go":       "one receive ahead of a seal's answer; gRPC ends it when the handler returns",
	"service/service.go":                   "the graceful stop of gRPC beside its time limit; shutdown waits for it",
}
