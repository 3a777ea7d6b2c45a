package apierr

import "google.golang.org/grpc/codes"

// Reason is the stable cause of an error. The numbers are those of sluice.v1.Reason and are frozen.
type Reason int32

// The reasons of api.md section 3. When each arises is said in semantics.md section 0.3.
const (
	Unspecified        Reason = 0
	Internal           Reason = 1
	Unauthenticated    Reason = 2
	Permission         Reason = 3
	BadArgument        Reason = 4
	Unsupported        Reason = 5
	MessageTooLarge    Reason = 6
	Throttled          Reason = 7
	BackendUnavailable Reason = 8
	Draining           Reason = 9
	OutcomeUnknown     Reason = 10
	ChecksumMismatch   Reason = 11
	ProjectNotFound    Reason = 20
	TableNotFound      Reason = 21
	PartitionNotFound  Reason = 22
	TableExists        Reason = 23
	PartitionExists    Reason = 24
	BadPath            Reason = 25
	BadPartition       Reason = 26
	BadColumn          Reason = 27
	TypeMismatch       Reason = 28
	TypeUnsupported    Reason = 29
	SchemaChanged      Reason = 30
	TableNotPredefined Reason = 40
	RunNotFound        Reason = 41
	RowsLost           Reason = 42
	RunClosed          Reason = 43
	RunIncomplete      Reason = 44
	CommitFailed       Reason = 45
	OutputBusy         Reason = 46
	SliceConflict      Reason = 47
	SliceFenced        Reason = 48
	WriterClosed       Reason = 49
	BadSlice           Reason = 50
	BadValues          Reason = 51
	BadIndices         Reason = 52
	OffsetGap          Reason = 53
	OffsetOverlap      Reason = 54
	DataMismatch       Reason = 55
	TooManyBlocks      Reason = 56
	SessionExpired     Reason = 60
	EndOfSlice         Reason = 61
	SeekOutOfRange     Reason = 62
	ResourceNotFound   Reason = 70
	ResourceExists     Reason = 71
	ResourceChanged    Reason = 72
	BadName            Reason = 73
	BadMode            Reason = 74
	NotReadable        Reason = 75
	NotWritable        Reason = 76
	NotOpen            Reason = 77
	NotSeekable        Reason = 78
	NotAFile           Reason = 79
	TooLarge           Reason = 80
	BadJob             Reason = 90
	DirtyLimitExceeded Reason = 91
)

// Values of the metadata key "retry": what the client may do (api.md section 3).
const (
	RetryNo     = "no"     // not repeat this unchanged
	RetrySame   = "same"   // repeat the same call, after the hint or with backoff
	RetryResume = "resume" // open a new stream and continue
	RetryAdjust = "adjust" // send again what the metadata tells
)

type reasonInfo struct {
	name  string
	code  codes.Code
	retry string
}

// reasons is the table of api.md section 3. One reason has one code.
var reasons = map[Reason]reasonInfo{
	Internal:           {"INTERNAL", codes.Internal, RetryNo},
	Unauthenticated:    {"UNAUTHENTICATED", codes.Unauthenticated, RetryNo},
	Permission:         {"PERMISSION", codes.PermissionDenied, RetryNo},
	BadArgument:        {"BAD_ARGUMENT", codes.InvalidArgument, RetryNo},
	Unsupported:        {"UNSUPPORTED", codes.Unimplemented, RetryNo},
	MessageTooLarge:    {"MESSAGE_TOO_LARGE", codes.InvalidArgument, RetryNo},
	Throttled:          {"THROTTLED", codes.ResourceExhausted, RetrySame},
	BackendUnavailable: {"BACKEND_UNAVAILABLE", codes.Unavailable, RetrySame},
	Draining:           {"DRAINING", codes.Unavailable, RetrySame},
	OutcomeUnknown:     {"OUTCOME_UNKNOWN", codes.Unknown, RetrySame},
	ChecksumMismatch:   {"CHECKSUM_MISMATCH", codes.DataLoss, RetrySame},
	ProjectNotFound:    {"PROJECT_NOT_FOUND", codes.NotFound, RetryNo},
	TableNotFound:      {"TABLE_NOT_FOUND", codes.NotFound, RetryNo},
	PartitionNotFound:  {"PARTITION_NOT_FOUND", codes.NotFound, RetryNo},
	TableExists:        {"TABLE_EXISTS", codes.AlreadyExists, RetryNo},
	PartitionExists:    {"PARTITION_EXISTS", codes.AlreadyExists, RetryNo},
	BadPath:            {"BAD_PATH", codes.InvalidArgument, RetryNo},
	BadPartition:       {"BAD_PARTITION", codes.InvalidArgument, RetryNo},
	BadColumn:          {"BAD_COLUMN", codes.InvalidArgument, RetryNo},
	TypeMismatch:       {"TYPE_MISMATCH", codes.InvalidArgument, RetryNo},
	TypeUnsupported:    {"TYPE_UNSUPPORTED", codes.Unimplemented, RetryNo},
	SchemaChanged:      {"SCHEMA_CHANGED", codes.FailedPrecondition, RetryNo},
	TableNotPredefined: {"TABLE_NOT_PREDEFINED", codes.FailedPrecondition, RetryNo},
	RunNotFound:        {"RUN_NOT_FOUND", codes.NotFound, RetryNo},
	RowsLost:           {"ROWS_LOST", codes.DataLoss, RetryNo},
	RunClosed:          {"RUN_CLOSED", codes.FailedPrecondition, RetryNo},
	RunIncomplete:      {"RUN_INCOMPLETE", codes.FailedPrecondition, RetryNo},
	CommitFailed:       {"COMMIT_FAILED", codes.FailedPrecondition, RetryNo},
	OutputBusy:         {"OUTPUT_BUSY", codes.AlreadyExists, RetrySame},
	SliceConflict:      {"SLICE_CONFLICT", codes.AlreadyExists, RetrySame},
	SliceFenced:        {"SLICE_FENCED", codes.Aborted, RetryNo},
	WriterClosed:       {"WRITER_CLOSED", codes.FailedPrecondition, RetryNo},
	BadSlice:           {"BAD_SLICE", codes.InvalidArgument, RetryNo},
	BadValues:          {"BAD_VALUES", codes.InvalidArgument, RetryNo},
	BadIndices:         {"BAD_INDICES", codes.InvalidArgument, RetryNo},
	OffsetGap:          {"OFFSET_GAP", codes.OutOfRange, RetryAdjust},
	OffsetOverlap:      {"OFFSET_OVERLAP", codes.OutOfRange, RetryAdjust},
	DataMismatch:       {"DATA_MISMATCH", codes.DataLoss, RetryNo},
	TooManyBlocks:      {"TOO_MANY_BLOCKS", codes.ResourceExhausted, RetryNo},
	SessionExpired:     {"SESSION_EXPIRED", codes.NotFound, RetryNo},
	EndOfSlice:         {"END_OF_SLICE", codes.OutOfRange, RetryNo},
	SeekOutOfRange:     {"SEEK_OUT_OF_RANGE", codes.OutOfRange, RetryNo},
	ResourceNotFound:   {"RESOURCE_NOT_FOUND", codes.NotFound, RetryNo},
	ResourceExists:     {"RESOURCE_EXISTS", codes.AlreadyExists, RetryNo},
	ResourceChanged:    {"RESOURCE_CHANGED", codes.Aborted, RetryNo},
	BadName:            {"BAD_NAME", codes.InvalidArgument, RetryNo},
	BadMode:            {"BAD_MODE", codes.InvalidArgument, RetryNo},
	NotReadable:        {"NOT_READABLE", codes.FailedPrecondition, RetryNo},
	NotWritable:        {"NOT_WRITABLE", codes.FailedPrecondition, RetryNo},
	NotOpen:            {"NOT_OPEN", codes.FailedPrecondition, RetryNo},
	NotSeekable:        {"NOT_SEEKABLE", codes.Unimplemented, RetryNo},
	NotAFile:           {"NOT_A_FILE", codes.FailedPrecondition, RetryNo},
	TooLarge:           {"TOO_LARGE", codes.ResourceExhausted, RetryNo},
	BadJob:             {"BAD_JOB", codes.InvalidArgument, RetryNo},
	DirtyLimitExceeded: {"DIRTY_LIMIT_EXCEEDED", codes.FailedPrecondition, RetryNo},
}

// String is the wire name, without the enum's prefix: "SLICE_CONFLICT". Unknown numbers read as "INTERNAL".
func (r Reason) String() string { return r.info().name }

// Code is the one gRPC code of the reason.
func (r Reason) Code() codes.Code { return r.info().code }

// Retry is what a client may do after this reason on a unary call: one of the Retry constants.
func (r Reason) Retry() string { return r.info().retry }

func (r Reason) info() reasonInfo {
	if i, ok := reasons[r]; ok {
		return i
	}
	return reasons[Internal]
}
