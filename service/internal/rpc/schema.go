package rpc

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

func typeProto(t table.Type) *sluicev1.DataType {
	p := &sluicev1.DataType{
		Text:      t.String(),
		Kind:      sluicev1.TypeKind(t.Kind),
		Precision: int32(t.Precision),
		Scale:     int32(t.Scale),
		Length:    int32(t.Length),
	}
	for _, c := range t.Children {
		p.Children = append(p.Children, columnProto(c))
	}
	return p
}

func columnProto(c table.Column) *sluicev1.Column {
	return &sluicev1.Column{Name: c.Name, Type: typeProto(c.Type), NotNull: c.NotNull, Comment: c.Comment, DefaultValue: c.Default}
}

func columnsProto(cs []table.Column) []*sluicev1.Column {
	out := make([]*sluicev1.Column, len(cs))
	for i, c := range cs {
		out[i] = columnProto(c)
	}
	return out
}

func schemaProto(s *table.Schema) *sluicev1.TableSchema {
	return &sluicev1.TableSchema{
		Columns:          columnsProto(s.Columns),
		PartitionColumns: columnsProto(s.PartitionColumns),
		PrimaryKey:       s.PrimaryKey,
	}
}

// typeOf reads a type of a request: its text, its parts, or both if they agree.
func typeOf(p *sluicev1.DataType, field string) (table.Type, error) {
	switch {
	case p.GetText() == "" && p.GetKind() == sluicev1.TypeKind_TYPE_KIND_UNSPECIFIED:
		return table.Type{}, missing(field, "a type is required: its text is enough")
	case p.GetText() == "":
		return typeOfParts(p, field)
	}
	t, err := table.ParseType(p.GetText())
	if err != nil {
		return table.Type{}, err
	}
	if p.GetKind() == sluicev1.TypeKind_TYPE_KIND_UNSPECIFIED {
		return t, nil
	}
	parts, err := typeOfParts(p, field)
	if err != nil {
		return table.Type{}, err
	}
	if !parts.Equal(t) {
		return table.Type{}, missing(field, fmt.Sprintf("text says %s, the other fields say %s", t, parts))
	}
	return t, nil
}

func typeOfParts(p *sluicev1.DataType, field string) (table.Type, error) {
	if p.GetKind() < 0 || p.GetKind() > sluicev1.TypeKind_TYPE_KIND_STRUCT {
		return table.Type{}, unknownEnum(field+".kind", int32(p.GetKind()))
	}
	t := table.Type{Kind: table.Kind(p.GetKind()), Precision: int(p.GetPrecision()), Scale: int(p.GetScale()), Length: int(p.GetLength())}
	for i, c := range p.GetChildren() {
		child, err := columnOf(c, fmt.Sprintf("%s.children[%d]", field, i))
		if err != nil {
			return table.Type{}, err
		}
		t.Children = append(t.Children, child)
	}
	// The text form is the one place that knows which combinations are types.
	checked, err := table.ParseType(t.String())
	if err != nil {
		return table.Type{}, err
	}
	return checked, nil
}

func columnOf(c *sluicev1.Column, field string) (table.Column, error) {
	t, err := typeOf(c.GetType(), field+".type")
	if err != nil {
		if e, ok := errors.AsType[*apierr.Error](err); ok && len(e.Violations()) == 0 {
			e.WithViolation(field+".type", fmt.Sprintf("the type of column %q", c.GetName()))
		}
		return table.Column{}, err
	}
	return table.Column{Name: c.GetName(), Type: t, NotNull: c.GetNotNull(), Comment: c.GetComment(), Default: c.DefaultValue}, nil
}

func columnsOf(cs []*sluicev1.Column, field string) ([]table.Column, error) {
	out := make([]table.Column, len(cs))
	for i, c := range cs {
		column, err := columnOf(c, fmt.Sprintf("%s[%d]", field, i))
		if err != nil {
			return nil, err
		}
		if column.Name == "" {
			return nil, missing(fmt.Sprintf("%s[%d].name", field, i), "a column needs a name")
		}
		out[i] = column
	}
	return out, nil
}

func schemaOf(p *sluicev1.TableSchema, field string) (table.Schema, error) {
	columns, err := columnsOf(p.GetColumns(), field+".columns")
	if err != nil {
		return table.Schema{}, err
	}
	partitions, err := columnsOf(p.GetPartitionColumns(), field+".partition_columns")
	if err != nil {
		return table.Schema{}, err
	}
	return table.Schema{Columns: columns, PartitionColumns: partitions, PrimaryKey: p.GetPrimaryKey()}, nil
}

func unknownEnum(field string, n int32) error {
	return missing(field, fmt.Sprintf("this server does not know the value %d", n))
}

// stamp is a time in answers; the zero time is absent.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
