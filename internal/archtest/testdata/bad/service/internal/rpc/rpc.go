package rpc

import (
	_ "context"

	_ "github.com/duckdb/duckdb-go/v2"
	_ "github.com/sluice-io/sluice/service/internal/ledger/bolt"
	_ "github.com/sluice-io/sluice/service/internal/write"
	_ "google.golang.org/grpc/codes"
)
