// Command matrixgosdk is MaxCompute's Go SDK as a writer and a reader of the cross-client matrix: record, arrow and stream
// uploads; record and arrow downloads and results of queries (instance).
//
// Where the SDK offers several ways it takes the one with fewer faults: DECIMALs from their text, Arrow columns as they are
// and not converted to records. What is left is a limit of the SDK (docs/endpoint.md 6) and shows as a failure here.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tableschema"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"

	"github.com/sluice-io/sluice/conformance/clients/go/canon"
)

var adapter = canon.Adapter{
	WriteForms: []string{"record", "arrow", "stream"}, ReadForms: []string{"record", "arrow", "instance"},
	Write: write, Read: read,
}

func main() { adapter.Main() }

// connect returns the SDK's two clients and the options that name the table's schema.
func connect(job canon.Job) (*odps.Odps, *tunnel.Tunnel, []tunnel.Option) {
	client := odps.NewOdps(account.NewAliyunAccount("local", "local-secret"), job.Endpoint)
	client.SetDefaultProjectName(job.Project)
	var options []tunnel.Option
	if job.Schema != "" {
		options = append(options, tunnel.SessionCfg.WithSchemaName(job.Schema))
	}
	tunnelClient := tunnel.NewTunnel(client)
	return client, tunnelClient, options
}

func write(_ context.Context, job canon.Job, rows [][]canon.Value) error {
	_, client, options := connect(job)
	if job.Form == "stream" {
		return writeStream(client, job, options, rows)
	}
	session, err := client.CreateUploadSession(job.Project, job.Table, options...)
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	for id, half := range canon.Halves(rows) {
		put := writeRecords
		if job.Form == "arrow" {
			put = writeArrow
		}
		if err := put(session, id, job.Columns, half); err != nil {
			return fmt.Errorf("block %d: %w", id, err)
		}
	}
	return session.Commit([]int{0, 1})
}

func writeRecords(session *tunnel.UploadSession, block int, columns []canon.Column, rows [][]canon.Value) error {
	writer, err := session.OpenRecordWriter(block)
	if err != nil {
		return err
	}
	for _, row := range rows {
		record, err := toRecord(columns, session.Schema().Columns, row)
		if err == nil {
			err = writer.Write(record)
		}
		if err != nil {
			return errors.Join(err, writer.Close())
		}
	}
	return writer.Close()
}

// writeStream sends each half as a pack of its own.
func writeStream(client *tunnel.Tunnel, job canon.Job, options []tunnel.Option, rows [][]canon.Value) error {
	session, err := client.CreateStreamUploadSession(job.Project, job.Table, options...)
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	writer := session.OpenRecordPackWriter()
	for _, half := range canon.Halves(rows) {
		for _, row := range half {
			record, err := toRecord(job.Columns, session.Schema().Columns, row)
			if err != nil {
				return err
			}
			if err := writer.Append(record); err != nil {
				return err
			}
		}
		if _, _, _, err := writer.Flush(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	return nil
}

func toRecord(columns []canon.Column, schema []tableschema.Column, row []canon.Value) (data.Record, error) {
	if len(schema) != len(columns) {
		return nil, fmt.Errorf("the table has %d columns, want %d", len(schema), len(columns))
	}
	record := data.NewRecord(len(row))
	for i, v := range row {
		var err error
		if record[i], err = toData(columns[i].Type, schema[i].Type, v); err != nil {
			return nil, fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
	}
	return record, nil
}

func read(_ context.Context, job canon.Job, emit func([]canon.Value) error) error {
	client, tunnelClient, options := connect(job)
	if job.Form == "instance" {
		return readInstance(client, tunnelClient, job, emit)
	}
	session, err := tunnelClient.CreateDownloadSession(job.Project, job.Table, options...)
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	if job.Form == "arrow" {
		return readArrow(session, job.Columns, emit)
	}
	reader, err := session.OpenRecordReader(0, session.RecordCount(), canon.Names(job.Columns))
	if err != nil {
		return err
	}
	n, err := readRecords(reader, job.Columns, emit)
	if err == nil && n != session.RecordCount() {
		err = fmt.Errorf("%d rows came, want %d", n, session.RecordCount())
	}
	return errors.Join(err, reader.Close())
}

func readRecords(reader *tunnel.RecordProtocReader, columns []canon.Column, emit func([]canon.Value) error) (n int, err error) {
	for ; ; n++ {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if record.Len() != len(columns) {
			return n, fmt.Errorf("row %d has %d values, want %d", n, record.Len(), len(columns))
		}
		row := make([]canon.Value, len(columns))
		for i := range row {
			if row[i], err = fromData(columns[i].Type, record.Get(i)); err != nil {
				return n, fmt.Errorf("row %d, column %s: %w", n, columns[i].Name, err)
			}
		}
		if err := emit(row); err != nil {
			return n, err
		}
	}
}

// readInstance selects the columns and reads the result through the tunnel.
func readInstance(client *odps.Odps, tunnelClient *tunnel.Tunnel, job canon.Job, emit func([]canon.Value) error) error {
	name, hints := "`"+job.Table+"`", map[string]string{}
	if job.Schema != "" {
		name, hints["odps.namespace.schema"] = job.Project+".`"+job.Schema+"`."+name, "true"
	}
	instance, err := client.ExecSQl("select `"+strings.Join(canon.Names(job.Columns), "`, `")+"` from "+name+";", hints)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	if err := instance.WaitForSuccess(); err != nil {
		return fmt.Errorf("select: %w", err)
	}
	session, err := tunnelClient.CreateInstanceResultDownloadSession(job.Project, instance.Id())
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	reader, err := session.OpenRecordReader(0, session.RecordCount(), 0, nil)
	if err != nil {
		return err
	}
	n, err := readRecords(reader, job.Columns, emit)
	if err == nil && n != session.RecordCount() {
		err = fmt.Errorf("%d rows came, want %d", n, session.RecordCount())
	}
	return errors.Join(err, reader.Close())
}
