package client

import (
	"context"
	"iter"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// TablePath names a table, or one partition of it, by its one-line form: odps://project/tables/[schema.]table[/pt=1…].
func TablePath(path string) *sluicev1.TableRef { return &sluicev1.TableRef{Path: path} }

// TableName names a table of the server's default project and schema.
func TableName(name string) *sluicev1.TableRef { return &sluicev1.TableRef{Table: name} }

// GetTable describes a table. TABLE_NOT_FOUND, PROJECT_NOT_FOUND.
func (c *Client) GetTable(ctx context.Context, table *sluicev1.TableRef) (*sluicev1.Table, error) {
	reply, err := c.tables().GetTable(ctx, &sluicev1.GetTableRequest{Table: table})
	return reply.GetTable(), err
}

// CreateTable creates a table from its ref, schema, comment, lifecycle and kind of transactions. With allowExisting, a table that is
// there with an equal schema is no error and created is false. TABLE_EXISTS otherwise.
func (c *Client) CreateTable(ctx context.Context, table *sluicev1.Table, allowExisting bool) (made *sluicev1.Table, created bool, err error) {
	reply, err := c.tables().CreateTable(ctx, &sluicev1.CreateTableRequest{Table: table, AllowExisting: allowExisting})
	return reply.GetTable(), reply.GetCreated(), err
}

// DeleteTable drops a table with all its rows. With allowMissing, a table that is not there is no error and deleted is
// false.
func (c *Client) DeleteTable(ctx context.Context, table *sluicev1.TableRef, allowMissing bool) (deleted bool, err error) {
	reply, err := c.tables().DeleteTable(ctx, &sluicev1.DeleteTableRequest{Table: table, AllowMissing: allowMissing})
	return reply.GetDeleted(), err
}

// Tables lists the tables of a project, without their schemas, page by page as the loop goes on. Empty project and schema
// mean the server's defaults. The loop ends with the first error.
func (c *Client) Tables(ctx context.Context, project, schemaName, namePrefix string) iter.Seq2[*sluicev1.Table, error] {
	return pages(func(token string) ([]*sluicev1.Table, string, error) {
		reply, err := c.tables().ListTables(ctx, &sluicev1.ListTablesRequest{
			Project: project, SchemaName: schemaName, NamePrefix: namePrefix, PageSize: 1000, PageToken: token,
		})
		return reply.GetTables(), reply.GetNextPageToken(), err
	})
}

// Partitions lists partitions in name order; patterns as in a read session, none means all.
func (c *Client) Partitions(ctx context.Context, table *sluicev1.TableRef, patterns ...string) iter.Seq2[*sluicev1.Partition, error] {
	return pages(func(token string) ([]*sluicev1.Partition, string, error) {
		reply, err := c.tables().ListPartitions(ctx, &sluicev1.ListPartitionsRequest{
			Table: table, Partitions: patterns, PageSize: 1000, PageToken: token,
		})
		return reply.GetPartitions(), reply.GetNextPageToken(), err
	})
}

// CreatePartition adds a partition; with allowExisting one that is there is no error.
func (c *Client) CreatePartition(ctx context.Context, partition *sluicev1.TableRef, allowExisting bool) (*sluicev1.Partition, error) {
	reply, err := c.tables().CreatePartition(ctx, &sluicev1.CreatePartitionRequest{Table: partition, AllowExisting: allowExisting})
	return reply.GetPartition(), err
}

// DeletePartition drops a partition with its rows; with allowMissing one that is not there is no error.
func (c *Client) DeletePartition(ctx context.Context, partition *sluicev1.TableRef, allowMissing bool) (deleted bool, err error) {
	reply, err := c.tables().DeletePartition(ctx, &sluicev1.DeletePartitionRequest{Table: partition, AllowMissing: allowMissing})
	return reply.GetDeleted(), err
}

// pages turns a paged list call into a loop.
func pages[T any](fetch func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token, more := "", true; more; more = token != "" {
			items, next, err := fetch(token)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			token = next
		}
	}
}
