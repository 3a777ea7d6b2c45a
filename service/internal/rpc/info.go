package rpc

import (
	"context"
	"time"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Info is what GetServerInfo tells about this server.
type Info struct {
	Version, Revision, Replica string
	Embedded                   bool
	Features                   []string // stable words of api.md section 11
}

type infoServer struct {
	sluicev1.UnimplementedInfoServiceServer
	info     Info
	limits   Limits
	defaults Defaults
	now      func() time.Time
}

func (s *infoServer) GetServerInfo(ctx context.Context, _ *sluicev1.GetServerInfoRequest) (*sluicev1.GetServerInfoResponse, error) {
	formats := []sluicev1.DataFormat{
		sluicev1.DataFormat_DATA_FORMAT_ARROW, sluicev1.DataFormat_DATA_FORMAT_COLUMNS, sluicev1.DataFormat_DATA_FORMAT_ROWS,
	}
	return &sluicev1.GetServerInfoResponse{
		Version:      s.info.Version,
		Revision:     s.info.Revision,
		Replica:      s.info.Replica,
		Features:     s.info.Features,
		Limits:       s.limits.proto(),
		WriteFormats: formats,
		ReadFormats:  formats,
		Compressions: []sluicev1.Compression{
			sluicev1.Compression_COMPRESSION_NONE, sluicev1.Compression_COMPRESSION_LZ4_FRAME, sluicev1.Compression_COMPRESSION_ZSTD,
		},
		DefaultProject: s.defaults.Project,
		DefaultSchema:  s.defaults.Schema,
		Embedded:       s.info.Embedded,
		ServerTime:     stamp(s.now()),
		Principal:      principalOf(ctx),
	}, nil
}
