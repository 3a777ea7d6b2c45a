package batch

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/service/internal/table"
)

// SchemaOptions chooses among the Arrow layouts of one type.
type SchemaOptions struct {
	Timestamp       ArrowTimestamp
	StringsAsBinary bool
}

// TypeMetadataKey is the key of Arrow field metadata that holds the type's text (api.md 4.2).
const TypeMetadataKey = "sluice:type"

// ArrowSchema is the canonical read layout of the columns: the first Arrow entries of api.md 4.2.
func ArrowSchema(cols []table.Column, opts SchemaOptions) *arrow.Schema { panic("not yet") }

// SchemaOf is ArrowSchema as one encapsulated IPC Schema message.
func SchemaOf(cols []table.Column, opts SchemaOptions) []byte { panic("not yet") }
