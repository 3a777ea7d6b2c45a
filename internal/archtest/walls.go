package archtest

// Outsiders by the prefix of their import path.
const (
	aliyun     = "github.com/aliyun/"
	arrow      = "github.com/apache/arrow-go/v18/"
	backoff    = "github.com/cenkalti/backoff/v5"
	bbolt      = "go.etcd.io/bbolt"
	cobra      = "github.com/spf13/"
	duckdb     = "github.com/duckdb/duckdb-go/v2"
	flatbuffer = "github.com/google/flatbuffers/go"
	genproto   = "google.golang.org/genproto/googleapis/rpc/"
	goleak     = "go.uber.org/goleak"
	gocmp      = "github.com/google/go-cmp/"
	grpc       = "google.golang.org/grpc"
	isatty     = "github.com/mattn/go-isatty"
	klauspost  = "github.com/klauspost/compress/"
	koanf      = "github.com/knadh/koanf/"
	lz4        = "github.com/pierrec/lz4/v4"
	middleware = "github.com/grpc-ecosystem/go-grpc-middleware/v2/"
	pretty     = "github.com/jedib0t/go-pretty/v6/"
	progress   = "github.com/schollz/progressbar/v3"
	protobuf   = "google.golang.org/protobuf/"
	snappy     = "github.com/golang/snappy"
	uuid       = "github.com/google/uuid"
	xsync      = "golang.org/x/sync/"
	yaml       = "go.yaml.in/yaml/"
)

// anything in a wall's list allows every package of its kind.
const anything = "..."

// wall says what the non-test files of a package may import directly. The standard library is always allowed.
type wall struct {
	pkg     string   // path in the module; `a/...` is a and everything below
	ours    []string // packages of this module, written like pkg
	outside []string // prefixes of other import paths
	why     string
}

// walls are looked up in order, the first match counts. A package without one breaks the rule: give it a line.
// The drawing behind it is in CONTRIBUTING.md.
var walls = []wall{
	{"cmd/sluiced", []string{"service", "internal/cli/startup", "internal/version"}, []string{cobra},
		"flags, exit codes, signals; a static program without cgo, so nothing of the emulator"},
	{"cmd/sluice", []string{"service", "client", "emulator", "gen/...", "internal/cli/...", "internal/bench/...", "internal/version"}, []string{cobra, isatty, grpc, arrow},
		"flags, exit codes, signals"},
	{"internal/cli/startup", nil, []string{cobra},
		"flags, variables and addresses of both programs, so light enough for the static one"},
	{"internal/cli/...", []string{"client", "gen/...", "internal/cli/..."}, []string{arrow, grpc, protobuf, isatty, pretty, progress, uuid, xsync},
		"files to batches and back, progress, the demo: a user of the public API as any other, so neither service nor emulator"},
	{"internal/bench/...", []string{anything}, []string{anything},
		"measures us against our peers: anything"},
	{"internal/testkit", nil, []string{arrow, goleak, gocmp},
		"for tests of all packages, so it knows none of them"},
	{"internal/version", nil, nil, "what the build says about itself"},
	{"internal/testreport", nil, nil, "reads `go test -json`"},
	{"internal/archtest", nil, nil, "reads sources"},
	{"internal/zerocopy", []string{"gen/..."}, []string{grpc, protobuf},
		"the payload codec, used by service and client alike"},
	{"gen/...", []string{"gen/..."}, []string{grpc, protobuf, genproto},
		"generated"},

	{"client/...", []string{"client/...", "gen/...", "internal/zerocopy"}, []string{grpc, protobuf, genproto, arrow, flatbuffer, backoff, uuid, xsync},
		"what a user imports: no service, no emulator"},

	{"service", []string{"service/internal/...", "gen/...", "internal/zerocopy"}, []string{grpc, protobuf, middleware, koanf, yaml, bbolt, xsync},
		"the door and all wiring; no SDK types"},
	{"service/internal/rpc", []string{
		"service/internal/write", "service/internal/read", "service/internal/resource", "service/internal/job",
		"service/internal/table", "service/internal/batch", "service/internal/flow", "service/internal/apierr", "gen/...", "internal/zerocopy",
	}, []string{grpc, protobuf, arrow, genproto, uuid},
		"one method = validate, call, convert; reaches MaxCompute and the ledger only through write, read, resource, job"},
	{"service/internal/interceptor", []string{"service/internal/apierr", "service/internal/telemetry", "gen/..."}, []string{grpc, protobuf, middleware, uuid},
		"what every call gets, whatever it does: no rpc, write, read"},
	{"service/internal/write/writetest", []string{"service/internal/write", "service/internal/table", "service/internal/batch", "service/internal/apierr"}, []string{arrow},
		"the backend that fails before or after taking effect"},
	{"service/internal/write", []string{
		"service/internal/table", "service/internal/batch", "service/internal/retry", "service/internal/flow", "service/internal/apierr",
	}, []string{arrow, xsync},
		"life of runs, outputs, slices, blocks; declares what it needs of backend and ledger, so it runs on fakes: no gRPC, no SDK"},
	{"service/internal/read/...", []string{
		"service/internal/read/...", "service/internal/table", "service/internal/batch", "service/internal/retry", "service/internal/flow", "service/internal/apierr",
	}, []string{arrow, xsync},
		"as write, and without write itself"},
	{"service/internal/resource/...", []string{"service/internal/resource/...", "service/internal/retry", "service/internal/flow", "service/internal/apierr"}, []string{xsync},
		"as write"},
	{"service/internal/job/...", []string{
		"service/internal/job/...", "service/internal/read", "service/internal/write", "service/internal/table", "service/internal/batch", "service/internal/apierr",
	}, []string{arrow, xsync},
		"connector jobs over read and write: no MaxCompute, no gRPC"},
	{"service/internal/table", []string{"service/internal/apierr"}, nil,
		"names, partition specs, schemas, row ranges; pure: its only dependency makes the reasons of its errors"},
	{"service/internal/batch/...", []string{"service/internal/batch/...", "service/internal/table", "service/internal/apierr", "gen/..."}, []string{arrow, klauspost, lz4, protobuf},
		"rows to Arrow to tunnel records; gen for the wire's value types; no network, no SDK"},
	{"service/internal/governor", []string{"service/internal/apierr", "service/internal/retry"}, []string{xsync},
		"paces calls, never makes them"},
	{"service/internal/flow", []string{"service/internal/apierr"}, []string{xsync},
		"bounds calls and bytes in flight without knowing what they are"},
	{"service/internal/retry", []string{"service/internal/apierr"}, []string{backoff},
		"backoff as data"},
	{"service/internal/maxcompute/...", []string{
		"service/internal/maxcompute/...", "service/internal/write", "service/internal/read", "service/internal/resource",
		"service/internal/table", "service/internal/batch", "service/internal/governor", "service/internal/retry", "service/internal/apierr",
	}, []string{aliyun, arrow, backoff, klauspost, lz4, snappy, uuid, xsync},
		"the only user of the SDK; turns its errors into ours: no gRPC, no gen"},
	{"service/internal/ledger/...", []string{"service/internal/ledger/...", "service/internal/write", "service/internal/table", "service/internal/apierr"}, []string{bbolt, gocmp},
		"runs, leases, attempts, blocks in a store; no rpc, no MaxCompute"},
	{"service/internal/apierr", []string{"gen/..."}, []string{grpc, protobuf, genproto},
		"reasons, codes, status details: the one place that makes a gRPC status"},
	{"service/internal/telemetry", nil, []string{"go.opentelemetry.io/", "github.com/prometheus/"},
		"logs, metrics, traces; knows no business"},

	{"emulator/internal/sql/...", []string{"emulator/internal/..."}, []string{duckdb, arrow, uuid, xsync},
		"the only user of DuckDB"},
	{"emulator/...", []string{"emulator/..."}, []string{arrow, bbolt, klauspost, lz4, snappy, uuid, xsync, yaml},
		"MaxCompute's look-alike; shares no constant with our adapter, so one misreading cannot hide behind the other"},

	{"conformance/...", []string{"conformance/...", "client", "gen/...", "emulator", "internal/testkit"}, []string{anything},
		"promises checked through the public API only"},
}
