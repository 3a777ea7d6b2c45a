package store

import "errors"

// Errors callers tell apart with errors.Is; each is wrapped with the object's name.
var (
	ErrNoSuchTable        = errors.New("table not found")
	ErrTableExists        = errors.New("table already exists")
	ErrKind               = errors.New("wrong kind of table")
	ErrChanged            = errors.New("changed by somebody else meanwhile")
	ErrNoSuchPartition    = errors.New("partition not found")
	ErrPartitionExists    = errors.New("partition already exists")
	ErrInvalidPartition   = errors.New("invalid partition spec")
	ErrInvalidTable       = errors.New("invalid table definition")
	ErrNoSuchProject      = errors.New("project not found")
	ErrNoSuchSchema       = errors.New("schema not found")
	ErrSchemaExists       = errors.New("schema already exists")
	ErrSchemaNotEmpty     = errors.New("schema is not empty")
	ErrInvalidSchema      = errors.New("invalid schema")
	ErrNoSuchFunction     = errors.New("function not found")
	ErrFunctionExists     = errors.New("function already exists")
	ErrInvalidFunction    = errors.New("invalid function")
	ErrNoSuchUpload       = errors.New("session not found")
	ErrUploadState        = errors.New("wrong session state")
	ErrOverwriteForbidden = errors.New("overwrite is not allowed on transactional tables")
	ErrNoSuchResource     = errors.New("resource not found")
	ErrResourceExists     = errors.New("resource already exists")
	ErrInvalidResource    = errors.New("invalid resource definition")
	ErrNoSuchPart         = errors.New("part of a resource not found")
	// ErrBadContent marks bytes of a resource that are not those announced.
	ErrBadContent = errors.New("content differs from its checksum or size")
	// ErrTooLarge marks a resource beyond the limit.
	ErrTooLarge = errors.New("resource is too large")
	// ErrNoSuchSchemaVersion is a version of a table's columns that is not there yet.
	ErrNoSuchSchemaVersion = errors.New("schema version not known")
	// ErrBadData marks rows that do not fit the table or a damaged byte stream.
	ErrBadData = errors.New("bad data")
	// ErrStorage marks a failed write of the disk below (full, for instance): the
	// operation had no effect and the store stays usable.
	ErrStorage = errors.New("storage failure")
	// ErrTimestampRange marks a value that the asked-for Arrow layout cannot hold.
	ErrTimestampRange = errors.New("value does not fit the Arrow form")
)
