package emulator

import (
	"context"
	"errors"
	"net/http"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// results hands what SELECTs gave to the instance tunnel.
type results struct{ instances *instance.Registry }

var _ tunnel.Results = results{}

// InstanceResult returns the rows of a finished SELECT, or says why there are none.
func (r results) InstanceResult(_ context.Context, project, id string) (*tunnel.Result, error) {
	i, err := r.instances.Get(project, id)
	if err != nil {
		return nil, tunnelError(err)
	}
	refuse := func(code, message string) error {
		return &tunnel.Error{Status: http.StatusBadRequest, Code: code, Message: message}
	}
	switch {
	case i.State == instance.Waiting || i.State == instance.Running:
		return nil, refuse("InstanceNotTerminate", "instance "+id+" is not terminated yet")
	case i.State != instance.Succeeded:
		return nil, refuse("TaskFailed", i.Text)
	case i.Result == nil:
		return nil, refuse("InstanceTypeNotSupported", "instance "+id+" has no rows to download: it is no SELECT")
	}
	columns := make([]wire.Column, len(i.Result.Columns))
	for k, c := range i.Result.Columns {
		columns[k] = wire.Column{Name: c.Name, Type: c.Type, Nullable: true}
	}
	return &tunnel.Result{Columns: columns, Rows: i.Result.Rows, Batches: i.Result.Batches}, nil
}

// tunnelError gives an error of the REST half the form of the tunnel's.
func tunnelError(err error) error {
	if e, ok := errors.AsType[*refusal.Error](err); ok {
		return &tunnel.Error{Status: e.Status, Code: e.Code, Message: e.Message}
	}
	return err
}
