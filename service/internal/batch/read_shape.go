package batch

import (
	"fmt"

	"github.com/sluice-io/sluice/service/internal/table"
)

// lane is how the values of one node of a type lie in memory.
type lane uint8

const (
	laneBits   lane = iota + 1 // one bit each, lowest first
	laneFixed                  // width bytes each, little-endian
	laneBytes                  // int32 offsets and bytes
	laneList                   // int32 offsets and one child
	laneStruct                 // children of the same length
	lanePair                   // int64 seconds and int32 nanos, in Arrow a struct of the two
)

// stamp is how a timestamp is counted; other nodes have none.
type stamp uint8

const (
	stampNone stamp = iota
	stampNanos
	stampMicros
	stampPair
)

// shape is a type compiled for reading: a tree that runs parallel to the vectors holding its values. A MAP is a list of
// a struct of two, as in Arrow. Shapes do not change once built and may be shared.
type shape struct {
	lane     lane
	stamp    stamp
	width    int // laneFixed: bytes of one value
	typ      table.Type
	children []shape
	nodes    int // Arrow field nodes of the tree, this one included
	buffers  int // Arrow buffers of the tree
}

// shapeOf compiles a type. Timestamps take the lane that ts asks for; strings are bytes either way.
func shapeOf(t table.Type, ts stamp) (shape, error) {
	s := shape{typ: t}
	switch t.Kind {
	case table.KindBoolean:
		s.lane = laneBits
	case table.KindTinyint:
		s.lane, s.width = laneFixed, 1
	case table.KindSmallint:
		s.lane, s.width = laneFixed, 2
	case table.KindInt, table.KindFloat, table.KindDate, table.KindIntervalYearMonth:
		s.lane, s.width = laneFixed, 4
	case table.KindBigint, table.KindDouble, table.KindDatetime:
		s.lane, s.width = laneFixed, 8
	case table.KindDecimal:
		s.lane, s.width = laneFixed, decimalWidth(t)
	case table.KindString, table.KindChar, table.KindVarchar, table.KindBinary, table.KindJSON:
		s.lane = laneBytes
	case table.KindTimestamp, table.KindTimestampNTZ:
		s.lane, s.width, s.stamp = laneFixed, 8, ts
		if ts == stampPair {
			s.lane, s.width = lanePair, 0
		}
	case table.KindIntervalDayTime:
		s.lane = lanePair
	case table.KindArray:
		s.lane = laneList
	case table.KindMap:
		return mapShape(t, ts)
	case table.KindStruct:
		s.lane = laneStruct
	default:
		return s, fmt.Errorf("no layout for type %s", t)
	}
	for _, c := range t.Children {
		child, err := shapeOf(c.Type, ts)
		if err != nil {
			return s, err
		}
		s.children = append(s.children, child)
	}
	s.count()
	return s, nil
}

func mapShape(t table.Type, ts stamp) (shape, error) {
	entry, err := shapeOf(table.Type{Kind: table.KindStruct, Children: t.Children}, ts)
	if err != nil {
		return entry, err
	}
	s := shape{lane: laneList, typ: t, children: []shape{entry}}
	s.count()
	return s, nil
}

// count fills nodes and buffers from the lane and the children.
func (s *shape) count() {
	s.nodes = 1
	switch s.lane {
	case laneBits, laneFixed, laneList:
		s.buffers = 2
	case laneBytes:
		s.buffers = 3
	case laneStruct:
		s.buffers = 1
	case lanePair: // struct: validity; two children: validity and data
		s.nodes, s.buffers = 3, 5
	}
	for i := range s.children {
		s.nodes += s.children[i].nodes
		s.buffers += s.children[i].buffers
	}
}

// decimalWidth is the bytes of one unscaled value: 16 up to 38 digits, else 32.
func decimalWidth(t table.Type) int {
	if t.Precision > 38 {
		return 32
	}
	return 16
}
