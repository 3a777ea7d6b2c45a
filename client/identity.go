package client

import (
	"sync/atomic"

	"github.com/google/uuid"
)

// processWorkerID names this process as a worker (api.md 6.1, worker_id). Made once, so that every writer of the process
// counts as the same worker.
var processWorkerID = "go-" + uuid.NewString()

// lastWriterNumber counts the writers of the process, whatever their client.
var lastWriterNumber atomic.Int64

func nextWriterNumber() int64 { return lastWriterNumber.Add(1) }
