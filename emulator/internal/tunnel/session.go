package tunnel

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// schemaJSON is the schema of a session (protocol section 9).
type schemaJSON struct {
	IsVirtualView bool         `json:"IsVirtualView"`
	Columns       []columnJSON `json:"columns"`
	PartitionKeys []columnJSON `json:"partitionKeys"`
}

type columnJSON struct {
	ColumnID     string `json:"column_id"`
	Name         string `json:"name"`
	Type         string `json:"type"`
	Nullable     bool   `json:"nullable"`
	Comment      string `json:"comment"`
	DefaultValue string `json:"default_value"`
}

func schemaOf(cols, parts []store.Column) schemaJSON {
	return schemaJSON{Columns: columnsJSON(cols), PartitionKeys: columnsJSON(parts)}
}

func columnsJSON(cols []store.Column) []columnJSON {
	out := make([]columnJSON, len(cols)) // never null in JSON
	for i, c := range cols {
		out[i] = columnJSON{ColumnID: strconv.Itoa(i), Name: c.Name, Type: c.Type.String(), Nullable: c.Nullable, Comment: c.Comment}
		if c.Default != nil {
			out[i].DefaultValue = *c.Default
		}
	}
	return out
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

type uploadJSON struct {
	UploadID          string
	Initiated         string
	Owner             string
	Status            string
	IsOverwrite       bool
	MaxFieldSize      int64
	QuotaName         string
	Schema            schemaJSON
	UploadedBlockList []blockJSON
}

type blockJSON struct {
	BlockID     int
	CreateTime  int64
	Date        string
	FileName    string
	RecordCount int64
	Version     int64
}

type downloadJSON struct {
	DownloadID           string
	Initiated            string
	Owner                string
	Status               string
	RecordCount          int64
	QuotaName            string
	SupportReadByRawSize bool
	Schema               schemaJSON
	RAPInstanceId        string //nolint:revive // the wire's name
}

type streamJSON struct {
	SessionName   string     `json:"session_name"`
	Status        string     `json:"status"`
	Slots         [][2]any   `json:"slots"`
	Schema        schemaJSON `json:"schema"`
	SchemaVersion int        `json:"schema_version"`
	QuotaName     string     `json:"quota_name"`
	CompressMode  string     `json:"compress_mode"`
	FileFormat    string     `json:"file_format"`
}
