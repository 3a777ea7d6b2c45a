// Package types is the MaxCompute type model of the embedded endpoint: column
// types as SQL text, as Arrow layouts and as session-schema text, and partition
// specs.
//
// Main types: [Type] (one column type, nested types included), [Layout] (which
// Arrow form the few types with more than one form take), [PartitionSpec].
//
// A Type travels as text everywhere outside memory: in the catalogue, in session
// JSON and in DDL. [Parse] accepts any case and spacing; [Type.String] writes the
// one canonical lower-case text, and Parse(t.String()) equals t.
//
// Arrow forms (protocol section 14):
//
//	TIMESTAMP, TIMESTAMP_NTZ   timestamp[ns]               LayoutNanos, LayoutDayTime
//	                           struct<sec:int64,nano:int32>  LayoutWide
//	INTERVAL_DAY_TIME          struct<sec:int64,nano:int32>  LayoutNanos, LayoutWide
//	                           interval[day_time]          LayoutDayTime
//	everything else            one form
//
// The package does no I/O and knows neither tables nor rows.
package types
