package emulator

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
)

// Query runs one SELECT for a program that embeds the server, without HTTP or an instance:
// names without a project are the given project's. each gets the rows, timestamps as
// struct<sec,nano>; a batch is valid until each returns. It takes no part in the limit of
// queries that run at once. Not to be called after Close.
func (s *Server) Query(ctx context.Context, project, text string, each func(arrow.RecordBatch) error) error {
	return s.instances.Query(ctx, project, text, each)
}
