package transfer

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// ParseTable reads a table as people type it: odps://project/tables/name[/pt=1…], or name, project.name,
// project.schema.name, with the partition ("dt=1/hr=05" or "dt=1,hr=05") beside it.
func ParseTable(text, partition string) (*sluicev1.TableRef, error) {
	ref := &sluicev1.TableRef{}
	if strings.Contains(text, "://") {
		ref = client.TablePath(text)
		if partition != "" {
			ref.Path = strings.TrimSuffix(text, "/") + "/" + strings.ReplaceAll(partition, ",", "/")
		}
		return ref, nil
	}
	switch parts := strings.Split(text, "."); len(parts) {
	case 1:
		ref.Table = parts[0]
	case 2:
		ref.Project, ref.Table = parts[0], parts[1]
	case 3:
		ref.Project, ref.SchemaName, ref.Table = parts[0], parts[1], parts[2]
	default:
		return nil, fmt.Errorf("%q is no table name: name, project.name, project.schema.name or odps://project/tables/name", text)
	}
	if ref.Table == "" {
		return nil, fmt.Errorf("the table's name is empty in %q", text)
	}
	var err error
	ref.Partition, err = parsePartition(partition)
	return ref, err
}

func parsePartition(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	spec := map[string]string{}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '/' || r == ',' }) {
		column, value, ok := strings.Cut(part, "=")
		if !ok || column == "" {
			return nil, fmt.Errorf("%q is no partition: column=value, several with / or , between", text)
		}
		spec[column] = strings.Trim(value, `'"`)
	}
	return spec, nil
}

// WithoutPartition names the table of an output.
func WithoutPartition(ref *sluicev1.TableRef) *sluicev1.TableRef {
	table := proto.CloneOf(ref)
	table.Partition = nil
	if _, rest, ok := strings.Cut(table.GetPath(), "://"); ok {
		if parts := strings.Split(rest, "/"); len(parts) > 3 {
			scheme, _, _ := strings.Cut(table.GetPath(), "://")
			table.Path = scheme + "://" + strings.Join(parts[:3], "/")
		}
	}
	return table
}
