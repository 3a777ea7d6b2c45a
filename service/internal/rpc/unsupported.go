package rpc

import (
	"context"

	"google.golang.org/grpc"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
)

// The methods of ResourceService and JobService are declared whole and answer UNSUPPORTED until they are built.

func unsupported(feature string) error {
	return apierr.New(apierr.Unsupported, "%s are not offered by this server yet", feature).With("feature", feature)
}

type resourceServer struct {
	sluicev1.UnimplementedResourceServiceServer
}

func (resourceServer) OpenResource(grpc.BidiStreamingServer[sluicev1.OpenResourceRequest, sluicev1.OpenResourceResponse]) error {
	return unsupported("resources")
}

func (resourceServer) ReadResource(*sluicev1.ReadResourceRequest, grpc.ServerStreamingServer[sluicev1.ReadResourceResponse]) error {
	return unsupported("resources")
}

func (resourceServer) WriteResource(grpc.ClientStreamingServer[sluicev1.WriteResourceRequest, sluicev1.WriteResourceResponse]) error {
	return unsupported("resources")
}

func (resourceServer) GetResource(context.Context, *sluicev1.GetResourceRequest) (*sluicev1.GetResourceResponse, error) {
	return nil, unsupported("resources")
}

func (resourceServer) ListResources(context.Context, *sluicev1.ListResourcesRequest) (*sluicev1.ListResourcesResponse, error) {
	return nil, unsupported("resources")
}

func (resourceServer) CreateResource(context.Context, *sluicev1.CreateResourceRequest) (*sluicev1.CreateResourceResponse, error) {
	return nil, unsupported("resources")
}

func (resourceServer) UpdateResource(context.Context, *sluicev1.UpdateResourceRequest) (*sluicev1.UpdateResourceResponse, error) {
	return nil, unsupported("resources")
}

func (resourceServer) DeleteResource(context.Context, *sluicev1.DeleteResourceRequest) (*sluicev1.DeleteResourceResponse, error) {
	return nil, unsupported("resources")
}

type jobServer struct {
	sluicev1.UnimplementedJobServiceServer
}

func (jobServer) ValidateJob(context.Context, *sluicev1.ValidateJobRequest) (*sluicev1.ValidateJobResponse, error) {
	return nil, unsupported("jobs")
}

func (jobServer) RunJob(grpc.BidiStreamingServer[sluicev1.RunJobRequest, sluicev1.RunJobResponse]) error {
	return unsupported("jobs")
}
