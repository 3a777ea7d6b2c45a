package rpc

import (
	"context"
	"slices"
	"strings"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Catalog is MaxCompute as TableService needs it. All methods may be called concurrently.
type Catalog interface {
	// Table describes a table. TABLE_NOT_FOUND, PROJECT_NOT_FOUND, PERMISSION.
	Table(ctx context.Context, name table.Name) (*table.Info, error)
	// ListTables returns one page of a project's tables in name order, without their schemas. An empty token asks for
	// the first page and means, in the answer, that there are no more.
	ListTables(ctx context.Context, project, schema, prefix string, pageSize int, token string) (page []table.Info, next string, err error)
	// CreateTable creates a table from Name, Schema, Comment, LifecycleDays, Transactional. TABLE_EXISTS.
	CreateTable(ctx context.Context, info *table.Info) error
	// DropTable drops a table. TABLE_NOT_FOUND.
	DropTable(ctx context.Context, name table.Name) error
	// Partitions lists all partitions in name order.
	Partitions(ctx context.Context, name table.Name) ([]table.PartitionInfo, error)
	// CreatePartition adds a partition. PARTITION_EXISTS.
	CreatePartition(ctx context.Context, ref table.Ref) error
	// DropPartition drops a partition and its rows. PARTITION_NOT_FOUND.
	DropPartition(ctx context.Context, ref table.Ref) error
}

type tableServer struct {
	sluicev1.UnimplementedTableServiceServer
	catalog  Catalog
	defaults Defaults
	pages    *pager
}

func (s *tableServer) GetTable(ctx context.Context, req *sluicev1.GetTableRequest) (*sluicev1.GetTableResponse, error) {
	name, err := s.defaults.table(req.GetTable(), "table")
	if err != nil {
		return nil, err
	}
	info, err := s.catalog.Table(ctx, name)
	if err != nil {
		return nil, err
	}
	return &sluicev1.GetTableResponse{Table: tableProto(info)}, nil
}

func (s *tableServer) ListTables(ctx context.Context, req *sluicev1.ListTablesRequest) (*sluicev1.ListTablesResponse, error) {
	name := s.defaults.fill(table.NewName(req.GetProject(), req.GetSchemaName(), ""))
	if name.Project == "" {
		return nil, missing("project", "a project is required: this server has no default one")
	}
	prefix := strings.ToLower(req.GetNamePrefix())
	size, token, err := s.pages.open(req.GetPageSize(), req.GetPageToken(), "ListTables", name.Project, name.Schema, prefix)
	if err != nil {
		return nil, err
	}
	tables, next, err := s.catalog.ListTables(ctx, name.Project, name.Schema, prefix, size, token)
	if err != nil {
		return nil, err
	}
	resp := &sluicev1.ListTablesResponse{
		NextPageToken: s.pages.next(next, "ListTables", name.Project, name.Schema, prefix),
	}
	for i := range tables {
		p := tableProto(&tables[i])
		p.Schema = nil
		resp.Tables = append(resp.Tables, p)
	}
	return resp, nil
}

func (s *tableServer) CreateTable(ctx context.Context, req *sluicev1.CreateTableRequest) (*sluicev1.CreateTableResponse, error) {
	info, err := s.newTable(req.GetTable())
	if err != nil {
		return nil, err
	}
	err = s.catalog.CreateTable(ctx, info)
	created := err == nil
	if apierr.Is(err, apierr.TableExists) && req.GetAllowExisting() {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	got, err := s.catalog.Table(ctx, info.Name)
	if err != nil {
		return nil, err
	}
	if diff := got.Schema.Diff(&info.Schema); !created && diff != "" {
		return nil, apierr.New(apierr.TableExists, "table %s exists with another schema: %s", info.Name, diff).
			With("project", info.Name.Project).With("table", info.Name.Table)
	}
	return &sluicev1.CreateTableResponse{Table: tableProto(got), Created: created}, nil
}

// newTable reads the table of a CreateTable request. Fields that only answers fill must be empty.
func (s *tableServer) newTable(p *sluicev1.Table) (*table.Info, error) {
	name, err := s.defaults.table(p.GetRef(), "table.ref")
	if err != nil {
		return nil, err
	}
	if p.GetKind() > sluicev1.TableKind_TABLE_KIND_MANAGED {
		return nil, missing("table.kind", "only managed tables are created here")
	}
	if p.GetOwner() != "" || p.CreateTime != nil || p.UpdateTime != nil || p.DataUpdateTime != nil || p.RowCount != nil || p.SizeBytes != nil {
		return nil, missing("table", "owner, times, row_count and size_bytes are for answers only")
	}
	if p.GetLifecycleDays() < 0 {
		return nil, missing("table.lifecycle_days", "must not be negative")
	}
	schema, err := schemaOf(p.GetSchema(), "table.schema")
	if err != nil {
		return nil, err
	}
	if len(schema.Columns) == 0 {
		return nil, missing("table.schema.columns", "a table needs at least one column")
	}
	return &table.Info{
		Name: name, Kind: table.Managed, Schema: schema, Comment: p.GetComment(),
		LifecycleDays: int(p.GetLifecycleDays()), Transactional: p.GetTransactional(),
	}, nil
}

func (s *tableServer) DeleteTable(ctx context.Context, req *sluicev1.DeleteTableRequest) (*sluicev1.DeleteTableResponse, error) {
	name, err := s.defaults.table(req.GetTable(), "table")
	if err != nil {
		return nil, err
	}
	err = s.catalog.DropTable(ctx, name)
	if apierr.Is(err, apierr.TableNotFound) && req.GetAllowMissing() {
		return &sluicev1.DeleteTableResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &sluicev1.DeleteTableResponse{Deleted: true}, nil
}

func (s *tableServer) ListPartitions(ctx context.Context, req *sluicev1.ListPartitionsRequest) (*sluicev1.ListPartitionsResponse, error) {
	name, err := s.defaults.table(req.GetTable(), "table")
	if err != nil {
		return nil, err
	}
	scope := append([]string{"ListPartitions", table.Ref{Name: name}.Key()}, req.GetPartitions()...)
	size, token, err := s.pages.open(req.GetPageSize(), req.GetPageToken(), scope...)
	if err != nil {
		return nil, err
	}
	info, err := s.catalog.Table(ctx, name)
	if err != nil {
		return nil, err
	}
	all, err := s.catalog.Partitions(ctx, name)
	if err != nil {
		return nil, err
	}
	all, err = selectPartitions(info, all, req.GetPartitions())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p table.PartitionInfo) bool { return token != "" && p.Spec.String() <= token })
	resp := &sluicev1.ListPartitionsResponse{}
	for _, p := range all[:min(size, len(all))] {
		resp.Partitions = append(resp.Partitions, partitionProto(&p))
	}
	if len(all) > size {
		resp.NextPageToken = s.pages.next(all[size-1].Spec.String(), scope...)
	}
	return resp, nil
}

// selectPartitions keeps what the texts of semantics.md 3.3 name, in name order.
func selectPartitions(info *table.Info, all []table.PartitionInfo, texts []string) ([]table.PartitionInfo, error) {
	byText := func(a, b table.PartitionInfo) int { return strings.Compare(a.Spec.String(), b.Spec.String()) }
	if len(texts) == 0 {
		slices.SortFunc(all, byText)
		return all, nil
	}
	patterns, err := table.CompilePatterns(&info.Schema, texts)
	if err != nil {
		return nil, err
	}
	specs := make([]table.Spec, len(all))
	for i := range all {
		specs[i] = all[i].Spec
	}
	chosen, _ := patterns.Select(specs) // a listing does not mind a text that names nothing
	picked := make([]table.PartitionInfo, len(chosen))
	for i, at := range chosen {
		picked[i] = all[at]
	}
	slices.SortFunc(picked, byText)
	return picked, nil
}

func (s *tableServer) CreatePartition(ctx context.Context, req *sluicev1.CreatePartitionRequest) (*sluicev1.CreatePartitionResponse, error) {
	ref, err := s.partition(ctx, req.GetTable())
	if err != nil {
		return nil, err
	}
	err = s.catalog.CreatePartition(ctx, ref)
	created := err == nil
	if err != nil && (!apierr.Is(err, apierr.PartitionExists) || !req.GetAllowExisting()) {
		return nil, err
	}
	all, err := s.catalog.Partitions(ctx, ref.Name)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Spec.Equal(ref.Partition) {
			return &sluicev1.CreatePartitionResponse{Partition: partitionProto(&all[i]), Created: created}, nil
		}
	}
	return nil, apierr.New(apierr.PartitionNotFound, "partition %s of %s was dropped by somebody else meanwhile", ref.Partition, ref.Name)
}

func (s *tableServer) DeletePartition(ctx context.Context, req *sluicev1.DeletePartitionRequest) (*sluicev1.DeletePartitionResponse, error) {
	ref, err := s.partition(ctx, req.GetTable())
	if err != nil {
		return nil, err
	}
	err = s.catalog.DropPartition(ctx, ref)
	if apierr.Is(err, apierr.PartitionNotFound) && req.GetAllowMissing() {
		return &sluicev1.DeletePartitionResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &sluicev1.DeletePartitionResponse{Deleted: true}, nil
}

// partition resolves a TableRef that must name one whole partition of an existing table.
func (s *tableServer) partition(ctx context.Context, p *sluicev1.TableRef) (table.Ref, error) {
	t, err := s.defaults.resolve(p, "table")
	if err != nil {
		return table.Ref{}, err
	}
	info, err := s.catalog.Table(ctx, t.name)
	if err != nil {
		return table.Ref{}, err
	}
	if len(t.given) == 0 {
		return table.Ref{}, apierr.New(apierr.BadPartition, "a full partition of %s is wanted here", t.name)
	}
	spec, err := table.ResolveSpec(&info.Schema, t.given)
	return table.Ref{Name: t.name, Partition: spec}, err
}

func tableProto(i *table.Info) *sluicev1.Table {
	return &sluicev1.Table{
		Ref:            refProto(table.Ref{Name: i.Name}),
		Kind:           sluicev1.TableKind(i.Kind),
		Schema:         schemaProto(&i.Schema),
		Comment:        i.Comment,
		LifecycleDays:  int32(i.LifecycleDays),
		Transactional:  i.Transactional,
		Owner:          i.Owner,
		CreateTime:     stamp(i.Created),
		UpdateTime:     stamp(i.Updated),
		DataUpdateTime: stamp(i.DataUpdated),
		RowCount:       i.Rows,
		SizeBytes:      i.Bytes,
	}
}

func partitionProto(p *table.PartitionInfo) *sluicev1.Partition {
	return &sluicev1.Partition{
		Partition:      p.Spec.Map(),
		Text:           p.Spec.String(),
		CreateTime:     stamp(p.Created),
		DataUpdateTime: stamp(p.DataUpdated),
		RowCount:       p.Rows,
		SizeBytes:      p.Bytes,
	}
}
