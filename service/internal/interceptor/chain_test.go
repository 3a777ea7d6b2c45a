package interceptor

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
)

// call runs one unary method that does what handle does, through the chain and a real connection.
func call(t *testing.T, log *bytes.Buffer, id string, handle func(context.Context) error) (metadata.MD, error) {
	t.Helper()
	logger := slog.New(slog.NewJSONHandler(log, nil))
	server := grpc.NewServer(New(logger, time.Now, "v1/r1").Options()...)
	sluicev1.RegisterInfoServiceServer(server, infoServer{handle: handle})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if id != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, RequestIDKey, id)
	}
	var header metadata.MD
	_, callErr := sluicev1.NewInfoServiceClient(conn).GetServerInfo(ctx, &sluicev1.GetServerInfoRequest{}, grpc.Header(&header))
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	return header, callErr
}

type infoServer struct {
	sluicev1.UnimplementedInfoServiceServer
	handle func(context.Context) error
}

func (s infoServer) GetServerInfo(ctx context.Context, _ *sluicev1.GetServerInfoRequest) (*sluicev1.GetServerInfoResponse, error) {
	return &sluicev1.GetServerInfoResponse{}, s.handle(ctx)
}

func detail(err error) *sluicev1.Error {
	for _, d := range status.Convert(err).Details() {
		if e, ok := d.(*sluicev1.Error); ok {
			return e
		}
	}
	return nil
}

func TestRequestIDsAreKeptOrMade(t *testing.T) {
	var log bytes.Buffer
	for sent, kept := range map[string]bool{"job-7/try-2": true, "": false, strings.Repeat("x", 129): false} {
		var seen string
		header, err := call(t, &log, sent, func(ctx context.Context) error { seen = RequestID(ctx); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if (seen == sent) != kept || seen == "" {
			t.Errorf("sent %.20q, the handler saw %.20q", sent, seen)
		}
		if got := header.Get(RequestIDKey); len(got) != 1 || got[0] != seen {
			t.Errorf("answer header %v, want %q", got, seen)
		}
		if got := header.Get("sluice-server"); len(got) != 1 || got[0] != "v1/r1" {
			t.Errorf("sluice-server = %v, want v1/r1", got)
		}
	}
}

func TestErrorsKeepTheirReasonAndGetTheRequestID(t *testing.T) {
	var log bytes.Buffer
	_, err := call(t, &log, "id-1", func(context.Context) error {
		return apierr.New(apierr.TableNotFound, "table p.t does not exist").With("table", "t")
	})
	e := detail(err)
	if status.Code(err) != codes.NotFound || e.GetReason() != sluicev1.Reason_REASON_TABLE_NOT_FOUND || e.GetRequestId() != "id-1" {
		t.Errorf("error = %v, detail %v", err, e)
	}
	if !strings.Contains(log.String(), `"reason":"TABLE_NOT_FOUND"`) || !strings.Contains(log.String(), `"request_id":"id-1"`) {
		t.Errorf("the call's log line lacks reason or id:\n%s", log.String())
	}
}

func TestUnclassifiedErrorsAndPanicsBecomeINTERNALWithoutTheirText(t *testing.T) {
	for name, handle := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("secret detail") },
		"panic": func(context.Context) error { panic("secret detail") },
	} {
		var log bytes.Buffer
		_, err := call(t, &log, "id-2", handle)
		if status.Code(err) != codes.Internal || detail(err).GetReason() != sluicev1.Reason_REASON_INTERNAL {
			t.Errorf("%s: %v, want INTERNAL", name, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the caller sees the text: %v", name, err)
		}
		if !strings.Contains(log.String(), "secret detail") {
			t.Errorf("%s: the log does not tell what happened:\n%s", name, log.String())
		}
	}
}
