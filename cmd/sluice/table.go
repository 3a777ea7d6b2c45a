package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/cli/show"
	"github.com/sluice-io/sluice/internal/cli/startup"
	"github.com/sluice-io/sluice/internal/cli/tableio"
	"github.com/sluice-io/sluice/internal/cli/transfer"
)

// tableFlags are what all table commands share.
type tableFlags struct{ connection }

func newTable() *cobra.Command {
	f := &tableFlags{}
	cmd := &cobra.Command{
		Use: "table", Short: "Create, look at, fill and empty tables",
		Long: "TABLE is odps://project/tables/name[/pt=1...], or name, project.name, project.schema.name with --partition beside it.",
	}
	f.flags(cmd)
	cmd.AddCommand(newTableCreate(f), newTableDrop(f), newTableList(f), newTableDescribe(f), newTableHead(f), newTableImport(f), newTableExport(f))
	return cmd
}

type createFlags struct {
	*tableFlags
	columns, partitions   []string
	from, format, comment string
	lifecycle             int32
	ifNotExists           bool
}

func newTableCreate(t *tableFlags) *cobra.Command {
	f := &createFlags{tableFlags: t}
	cmd := &cobra.Command{
		Use: "create TABLE", Short: "Create a table", Args: cobra.ExactArgs(1),
		Example: "  sluice table create fruit -c 'id bigint not null' -c 'name string'\n  sluice table create birds --from birdstrikes.csv",
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	cmd.Flags().StringArrayVarP(&f.columns, "column", "c", nil, "column as 'name type [not null]', repeated")
	cmd.Flags().StringArrayVarP(&f.partitions, "partition-column", "p", nil, "partition column as 'name type', repeated")
	cmd.Flags().StringVar(&f.from, "from", "", "take the columns from this file")
	cmd.Flags().StringVar(&f.format, "format", "", "format of --from, if its name does not tell")
	cmd.Flags().StringVar(&f.comment, "comment", "", "comment on the table")
	cmd.Flags().Int32Var(&f.lifecycle, "lifecycle", 0, "days until unchanged rows are dropped, 0 never")
	cmd.Flags().BoolVar(&f.ifNotExists, "if-not-exists", false, "no error if a table with the same columns is there")
	return cmd
}

func (f *createFlags) run(cmd *cobra.Command, name string) error {
	ref, err := transfer.ParseTable(name, "")
	if err != nil {
		return startup.Usage(err)
	}
	schema, err := f.schema(cmd.Context())
	if err != nil {
		return err
	}
	want := &sluicev1.Table{Ref: ref, Schema: schema, Comment: f.comment, LifecycleDays: f.lifecycle}
	return f.with(cmd.Context(), func(c *client.Client) error {
		table, created, err := c.CreateTable(cmd.Context(), want, f.ifNotExists)
		if err != nil {
			return fmt.Errorf("create table %s: %w", name, err)
		}
		if f.json {
			return show.JSON(cmd.OutOrStdout(), table)
		}
		word := "created"
		if !created {
			word = "already there:"
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s, %d columns\n", word, show.RefText(table.GetRef()), len(table.GetSchema().GetColumns())); err != nil {
			return err
		}
		return nil
	})
}

func (f *createFlags) schema(ctx context.Context) (*sluicev1.TableSchema, error) {
	if (len(f.columns) == 0) == (f.from == "") {
		return nil, startup.Usage(errors.New("say the columns with --column, or take them --from a file"))
	}
	schema := &sluicev1.TableSchema{}
	var err error
	if f.from != "" {
		schema.Columns, err = columnsOf(ctx, f.from, f.format)
	} else {
		schema.Columns, err = parseColumns(f.columns)
	}
	if err != nil {
		return nil, err
	}
	schema.PartitionColumns, err = parseColumns(f.partitions)
	return schema, err
}

func parseColumns(texts []string) ([]*sluicev1.Column, error) {
	var columns []*sluicev1.Column
	for _, text := range texts {
		name, typ, ok := strings.Cut(strings.TrimSpace(text), " ")
		if !ok {
			return nil, startup.Usage(fmt.Errorf("%q is no column: 'name type [not null]'", text))
		}
		plain, notNull := strings.CutSuffix(strings.ToLower(strings.TrimSpace(typ)), "not null")
		columns = append(columns, newColumn(name, strings.TrimSpace(plain), notNull))
	}
	return columns, nil
}

func newColumn(name, typ string, notNull bool) *sluicev1.Column {
	return &sluicev1.Column{Name: name, Type: &sluicev1.DataType{Text: typ}, NotNull: notNull}
}

// columnsOf finds the columns that hold a file.
func columnsOf(ctx context.Context, path, format string) (_ []*sluicev1.Column, err error) {
	kind, err := tableio.FormatOf(path, format)
	if err != nil {
		return nil, startup.Usage(err)
	}
	var columns []*sluicev1.Column
	if kind == tableio.CSV || kind == tableio.JSON {
		guessed, err := tableio.Infer(path, format, "")
		for _, c := range guessed {
			columns = append(columns, newColumn(c.Name, c.Type, false))
		}
		return columns, err
	}
	source, err := tableio.Open(ctx, path, tableio.Options{Format: format})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	for _, field := range source.Schema().Fields() {
		text, err := client.TypeText(field.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", field.Name, err)
		}
		columns = append(columns, newColumn(tableio.ColumnName(field.Name), text, false))
	}
	return columns, nil
}

func newTableDrop(f *tableFlags) *cobra.Command {
	var ifExists bool
	cmd := &cobra.Command{
		Use: "drop TABLE", Short: "Drop a table with all its rows", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.onTable(cmd, args[0], func(ctx context.Context, c *client.Client, ref *sluicev1.TableRef) error {
				deleted, err := c.DeleteTable(ctx, ref, ifExists)
				if err != nil {
					return fmt.Errorf("drop table %s: %w", args[0], err)
				}
				if f.json {
					return show.JSON(cmd.OutOrStdout(), map[string]bool{"deleted": deleted})
				}
				word := "dropped"
				if !deleted {
					word = "was not there:"
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), word, args[0])
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&ifExists, "if-exists", false, "no error if it is not there")
	return cmd
}

// onTable parses the name, connects and calls do.
func (f *tableFlags) onTable(cmd *cobra.Command, name string, do func(context.Context, *client.Client, *sluicev1.TableRef) error) error {
	ref, err := transfer.ParseTable(name, "")
	if err != nil {
		return startup.Usage(err)
	}
	return f.with(cmd.Context(), func(c *client.Client) error { return do(cmd.Context(), c, ref) })
}

func newTableList(f *tableFlags) *cobra.Command {
	var project, schema, prefix string
	cmd := &cobra.Command{
		Use: "list", Short: "List tables",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd.Context(), func(c *client.Client) error {
				var tables []*sluicev1.Table
				for table, err := range c.Tables(cmd.Context(), project, schema, prefix) {
					if err != nil {
						return fmt.Errorf("list tables: %w", err)
					}
					tables = append(tables, table)
				}
				if f.json {
					return show.JSON(cmd.OutOrStdout(), &sluicev1.ListTablesResponse{Tables: tables})
				}
				return show.Tables(cmd.OutOrStdout(), tables)
			})
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "project; empty: the server's default")
	cmd.Flags().StringVar(&schema, "schema", "", "schema; empty: the server's default")
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	return cmd
}

func newTableDescribe(f *tableFlags) *cobra.Command {
	var partitions bool
	cmd := &cobra.Command{
		Use: "describe TABLE", Short: "Show a table's columns", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.onTable(cmd, args[0], func(ctx context.Context, c *client.Client, ref *sluicev1.TableRef) error {
				table, err := c.GetTable(ctx, ref)
				if err != nil {
					return fmt.Errorf("describe table %s: %w", args[0], err)
				}
				if f.json {
					return show.JSON(cmd.OutOrStdout(), table)
				}
				if err := show.Table(cmd.OutOrStdout(), table); err != nil || !partitions {
					return err
				}
				return f.listPartitions(ctx, cmd.OutOrStdout(), c, ref)
			})
		},
	}
	cmd.Flags().BoolVar(&partitions, "partitions", false, "list the partitions too")
	return cmd
}

func (f *tableFlags) listPartitions(ctx context.Context, out io.Writer, c *client.Client, ref *sluicev1.TableRef) error {
	var partitions []*sluicev1.Partition
	for p, err := range c.Partitions(ctx, ref) {
		if err != nil {
			return fmt.Errorf("list partitions: %w", err)
		}
		partitions = append(partitions, p)
	}
	return show.Partitions(out, partitions)
}

func newTableHead(f *tableFlags) *cobra.Command {
	var rows int64
	var sel selection
	cmd := &cobra.Command{
		Use: "head TABLE", Short: "Show the first rows", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := sel.spec(args[0])
			if err != nil {
				return err
			}
			return f.with(cmd.Context(), func(c *client.Client) error {
				return f.head(cmd, c, spec, rows, args[0])
			})
		},
	}
	cmd.Flags().Int64VarP(&rows, "rows", "n", 10, "how many")
	sel.flags(cmd)
	return cmd
}

func (f *tableFlags) head(cmd *cobra.Command, c *client.Client, spec *sluicev1.ReadSessionSpec, rows int64, name string) (err error) {
	if f.json {
		_, err := transfer.Export{Spec: spec, File: "-", Format: string(tableio.JSON), Limit: rows}.Do(cmd.Context(), c)
		return err
	}
	reader, err := c.Read(cmd.Context(), client.ReadOptions{Spec: spec, RowLimit: rows})
	if err != nil {
		return fmt.Errorf("read table %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	var batches []arrow.RecordBatch
	for reader.Next() {
		rec := reader.RecordBatch()
		rec.Retain()
		defer rec.Release()
		batches = append(batches, rec)
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("read table %s: %w", name, err)
	}
	return show.Rows(cmd.OutOrStdout(), reader.Schema(), batches)
}

// selection are the flags that say which rows of a table.
type selection struct {
	columns, partitions []string
	where               string
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&s.columns, "columns", nil, "columns, in this order; empty: all data columns")
	cmd.Flags().StringSliceVar(&s.partitions, "partition", nil, "partitions: dt=1/hr=05, * and ? allowed; empty: all")
	cmd.Flags().StringVar(&s.where, "where", "", "SQL condition on the rows")
	cmd.Flags().Lookup("where").Hidden = true // until the service offers filters; today it answers UNSUPPORTED
}

func (s *selection) spec(name string) (*sluicev1.ReadSessionSpec, error) {
	ref, err := transfer.ParseTable(name, "")
	if err != nil {
		return nil, startup.Usage(err)
	}
	return &sluicev1.ReadSessionSpec{Table: ref, Columns: s.columns, Partitions: s.partitions, RowFilter: s.where}, nil
}

const reasonTableNotFound = sluicev1.Reason_REASON_TABLE_NOT_FOUND

func newTableOf(ref *sluicev1.TableRef, columns []*sluicev1.Column) *sluicev1.Table {
	return &sluicev1.Table{Ref: transfer.WithoutPartition(ref), Schema: &sluicev1.TableSchema{Columns: columns}}
}
