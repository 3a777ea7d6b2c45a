// Package batch turns what clients send into what the tunnel takes, and back. It knows bytes, types and limits; no
// network, no tables beyond their schema, no state beyond one stream's.
//
// Writing. Compile reads a schema definition once; Layout.Check then takes one batch in any of the three forms of
// api.md 4 and gives a Checked:
//
//	Arrow message ─┐                           ┌─▶ the same message, bytes untouched: the layout was the tunnel's
//	ColumnBatch   ─┼─▶ load ─▶ bring ─▶ verify ┼─▶ an Arrow message written anew                  (FormArrow)
//	RowList       ─┘                           └─▶ tunnel records, for what Arrow cannot hold     (FormRecord)
//
// The three steps:
//
//   - load (column.go) trusts nothing: metadata is read by a checked flatbuffer reader (meta.go, message.go), lengths,
//     offsets and NULL counts are compared with the buffers, and sizes are checked before memory is taken.
//   - bring (convert.go) takes columns as they lie when the layout is already right, moves lists and structs column by
//     column, and casts everything else value by value (cell.go, cast.go, builder.go) by semantics.md 1.4.
//   - verify (verify.go) looks for values that a type cannot hold: ranges, UTF-8, lengths, digits, map keys, NOT NULL.
//     A value under a NULL, or that no row refers to, does not count.
//
// One wrong value refuses the batch, with the rows and columns of the first hundred.
//
// Choices where the texts leave one: BIGINT does not hold −2^63 (MaxCompute's range begins one above). A JSON column
// takes only JSON. Dates and times in text, and dates without a zone, are UTC. A DATETIME takes finer timestamps with
// their digits cut, under EXACT only without such digits. Fields of Arrow structs are matched by name. A timestamp of a
// zone other than UTC is an instant and so does not go into TIMESTAMP_NTZ.
//
// Records. The encoder (record.go) and RecordDecoder (record_decode.go) are the tunnel's record form, protocol section
// 13. INTERVAL types and decimals of more than 38 digits make a table travel as records, because endpoints disagree on
// their Arrow layout; a TIMESTAMP outside int64 nanoseconds turns a single Layout to records from that batch on.
//
// Reading (files read_*.go): Encoder turns tunnel messages and records into the messages that clients asked for.
//
// Memory. A Payload is bytes with one owner and one release. Converted bodies and scratch come from pools of
// power-of-two buffers; between two batches a Layout holds none.
package batch
