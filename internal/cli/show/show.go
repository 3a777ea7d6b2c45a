// Package show prints tables, rows and results: as drawn tables for people, as JSON for machines.
package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jedib0t/go-pretty/v6/table"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/cli/tableio"
)

// Grid draws rows under a header.
func Grid(w io.Writer, header []string, rows [][]string) error {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = 0 // as given, not in capitals
	t.SetStyle(style)
	t.AppendHeader(toRow(header))
	for _, row := range rows {
		t.AppendRow(toRow(row))
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func toRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		row[i] = cell
	}
	return row
}

// JSON prints one value as JSON.
func JSON(w io.Writer, v any) error {
	var data []byte
	var err error
	if m, ok := v.(proto.Message); ok {
		data, err = protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(m)
	} else {
		data, err = json.MarshalIndent(v, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}

// Tables lists tables.
func Tables(w io.Writer, tables []*sluicev1.Table) error {
	var rows [][]string
	for _, t := range tables {
		rows = append(rows, []string{RefText(t.GetRef()), count(t.RowCount), count(t.SizeBytes), when(t.GetDataUpdateTime()), t.GetComment()})
	}
	return Grid(w, []string{"table", "rows", "bytes", "changed", "comment"}, rows)
}

// Table describes one table.
func Table(w io.Writer, t *sluicev1.Table) error {
	if _, err := fmt.Fprintf(w, "%s  rows %s  bytes %s  changed %s\n", RefText(t.GetRef()), count(t.RowCount), count(t.SizeBytes), when(t.GetDataUpdateTime())); err != nil {
		return err
	}
	if t.GetComment() != "" {
		if _, err := fmt.Fprintln(w, t.GetComment()); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, c := range t.GetSchema().GetColumns() {
		rows = append(rows, columnRow(c, ""))
	}
	for _, c := range t.GetSchema().GetPartitionColumns() {
		rows = append(rows, columnRow(c, "partition"))
	}
	return Grid(w, []string{"column", "type", "", "comment"}, rows)
}

func columnRow(c *sluicev1.Column, note string) []string {
	if c.GetNotNull() {
		note = strings.TrimSpace(note + " not null")
	}
	return []string{c.GetName(), c.GetType().GetText(), note, c.GetComment()}
}

// Partitions lists partitions.
func Partitions(w io.Writer, partitions []*sluicev1.Partition) error {
	var rows [][]string
	for _, p := range partitions {
		rows = append(rows, []string{p.GetText(), count(p.RowCount), count(p.SizeBytes), when(p.GetDataUpdateTime())})
	}
	return Grid(w, []string{"partition", "rows", "bytes", "changed"}, rows)
}

// widest is the longest text of a value that is drawn whole.
const widest = 60

// Rows draws batches of one schema.
func Rows(w io.Writer, schema *arrow.Schema, batches []arrow.RecordBatch) error {
	header := make([]string, schema.NumFields())
	for i, field := range schema.Fields() {
		header[i] = field.Name
	}
	var rows [][]string
	for _, rec := range batches {
		for row := range int(rec.NumRows()) {
			cells := make([]string, len(header))
			for i, col := range rec.Columns() {
				cells[i] = shorten(tableio.Text(col, row, "NULL"))
			}
			rows = append(rows, cells)
		}
	}
	return Grid(w, header, rows)
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > widest {
		return string(runes[:widest-1]) + "…"
	}
	return text
}

// RefText is a table's one-line name.
func RefText(ref *sluicev1.TableRef) string {
	if ref.GetPath() != "" {
		return ref.GetPath()
	}
	parts := []string{}
	for _, part := range []string{ref.GetProject(), ref.GetSchemaName(), ref.GetTable()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ".")
}

func count(n *int64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return "?"
	}
	return t.AsTime().Local().Format(time.DateTime)
}
