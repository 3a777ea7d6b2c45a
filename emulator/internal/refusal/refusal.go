// Package refusal says what clients of the metadata half are told when something cannot be done: status, code and number
// of each error of the store and the types, in one table (protocol section 3.2). Main type: [Error].
//
// Requests answer with it, and failed SQL tasks have its text. The tunnel and the Storage API have codes of their own.
package refusal

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Error is a refusal as clients see it.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// New words a refusal.
func New(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// causes maps the store's errors to answers, the first match wins.
var causes = []struct {
	cause  error
	status int
	code   string
	number string
}{
	{store.ErrNoSuchTable, http.StatusNotFound, "NoSuchObject", "ODPS-0130131"},
	{store.ErrKind, http.StatusBadRequest, "InvalidArgument", "ODPS-0130071"},
	{store.ErrChanged, http.StatusConflict, "StatusConflict", "ODPS-0110999"},
	{store.ErrNoSuchPartition, http.StatusNotFound, "NoSuchPartition", "ODPS-0130131"},
	{store.ErrTableExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0130211"},
	{store.ErrPartitionExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0130211"},
	{store.ErrInvalidPartition, http.StatusBadRequest, "InvalidPartitionSpec", "ODPS-0130121"},
	{store.ErrInvalidTable, http.StatusBadRequest, "InvalidArgument", "ODPS-0130071"},
	{store.ErrNoSuchResource, http.StatusNotFound, "NoSuchObject", "ODPS-0420061"},
	{store.ErrNoSuchPart, http.StatusNotFound, "NoSuchObject", "ODPS-0420061"},
	{store.ErrResourceExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0420061"},
	{store.ErrInvalidResource, http.StatusBadRequest, "InvalidArgument", "ODPS-0420061"},
	{store.ErrBadContent, http.StatusBadRequest, "CheckSumError", "ODPS-0420061"},
	{store.ErrTooLarge, http.StatusRequestEntityTooLarge, "InvalidArgument", "ODPS-0420061"},
	{store.ErrBadData, http.StatusBadRequest, "InvalidArgument", "ODPS-0121095"},
	{types.ErrPartitionSpec, http.StatusBadRequest, "InvalidPartitionSpec", "ODPS-0130121"},
	{types.ErrUnsupported, http.StatusBadRequest, "InvalidArgument", "ODPS-0130071"},
	{store.ErrOverwriteForbidden, http.StatusBadRequest, "OverwriteModeNotAllowed", "ODPS-0130071"},
	{store.ErrNoSuchProject, http.StatusNotFound, "NoSuchProject", "ODPS-0420111"},
	// Not NoSuchSchema: one client takes that for a session whose schema is not there yet,
	// and its question whether a schema exists knows NoSuchObject only.
	{store.ErrNoSuchSchema, http.StatusNotFound, "NoSuchObject", "ODPS-0422155"},
	{store.ErrSchemaExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0110061"},
	{store.ErrSchemaNotEmpty, http.StatusConflict, "ObjectNotEmpty", "ODPS-0110061"},
	{store.ErrInvalidSchema, http.StatusBadRequest, "InvalidArgument", "ODPS-0420061"},
	{store.ErrNoSuchFunction, http.StatusNotFound, "NoSuchObject", "ODPS-0420111"},
	{store.ErrFunctionExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0420061"},
	{store.ErrInvalidFunction, http.StatusBadRequest, "InvalidArgument", "ODPS-0420061"},
	{store.ErrStorage, http.StatusInternalServerError, "InternalServerError", "ODPS-0010000"},
}

// Of turns any error into an answer: what is a refusal already stays, the store's and the types' errors have their
// codes, everything else is a 500.
func Of(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	for _, c := range causes {
		if errors.Is(err, c.cause) {
			return New(c.status, c.code, "%s:%s", c.number, err)
		}
	}
	return New(http.StatusInternalServerError, "InternalServerError", "ODPS-0010000:%s", err)
}
