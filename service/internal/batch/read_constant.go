package batch

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// specValue is the value of a partition column as the bytes of one vector entry.
func specValue(spec table.Spec, c table.Column) (constant, error) {
	for _, p := range spec {
		if strings.EqualFold(p.Column, c.Name) {
			v, err := parseConstant(c.Type, p.Value)
			if err != nil {
				return v, apierr.Wrap(err, apierr.TypeMismatch, "partition %s: the value of %q is not of type %s", spec, c.Name, c.Type).
					With("column", c.Name).With("partition", spec.String())
			}
			return v, nil
		}
	}
	return constant{}, fmt.Errorf("partition %q has no column %q", spec, c.Name)
}

// constant is one value: text for laneBytes, else an integer of the column's width.
type constant struct {
	text    []byte
	integer int64
	width   int
}

func parseConstant(t table.Type, text string) (constant, error) {
	switch t.Kind {
	case table.KindString, table.KindChar, table.KindVarchar:
		return constant{text: []byte(text)}, nil
	case table.KindDate:
		day, err := time.Parse(time.DateOnly, text)
		return constant{integer: day.Unix() / 86400, width: 4}, err
	}
	width := map[table.Kind]int{table.KindTinyint: 1, table.KindSmallint: 2, table.KindInt: 4, table.KindBigint: 8}[t.Kind]
	if width == 0 {
		return constant{}, fmt.Errorf("no partition column can have type %s", t)
	}
	n, err := strconv.ParseInt(text, 10, 8*width)
	return constant{integer: n, width: width}, err
}

// appendConstant appends one value that is not NULL.
func (v *vector) appendConstant(c constant) {
	if c.width == 0 {
		v.data = append(v.data, c.text...)
		v.offsets = binary.LittleEndian.AppendUint32(v.offsets, uint32(len(v.data)))
	} else {
		v.data = append(v.data, binary.LittleEndian.AppendUint64(nil, uint64(c.integer))[:c.width]...)
	}
	v.n++
}
