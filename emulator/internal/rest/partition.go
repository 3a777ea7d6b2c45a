package rest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"

	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

type partitionXML struct {
	XMLName              xml.Name             `xml:"Partition"`
	Name                 string               `xml:",omitempty"`
	Columns              []partitionColumnXML `xml:"Column"`
	CreationTime         int64                `xml:",omitempty"`
	LastDDLTime          int64                `xml:",omitempty"`
	LastModifiedTime     int64                `xml:",omitempty"`
	PartitionSize        *int64
	PartitionRecordCount *int64
	Schema               *cdata
}

type partitionColumnXML struct {
	Name  string `xml:",attr"`
	Value string `xml:",attr"`
}

func (s *Service) listPartitions(w http.ResponseWriter, r *request, key store.Key) error {
	t, err := s.store.Table(key)
	if err != nil {
		return err
	}
	filter, err := r.spec(t, true)
	if err != nil {
		return err
	}
	q := store.PartitionQuery{Filter: filter, Reverse: r.has("reverse")}
	names := r.has("name") // all of them: no client follows a marker here
	if !names {
		p, err := r.page()
		if err != nil {
			return err
		}
		if q.Limit, q.After = p.limit, p.after; !isPartition(t, q.After) {
			return refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:marker=%q is of another table", r.query.Get("marker"))
		}
	}
	found, next, err := s.store.Partitions(key, q)
	if err != nil {
		return err
	}
	list := struct {
		XMLName    xml.Name `xml:"Partitions"`
		Marker     string
		MaxItems   int
		Partitions []partitionXML `xml:"Partition"`
	}{Marker: marker(next), MaxItems: q.Limit}
	for _, p := range found {
		if names {
			list.Partitions = append(list.Partitions, partitionXML{Name: p.Spec.String()})
		} else {
			list.Partitions = append(list.Partitions, describePartition(p))
		}
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// isPartition reports whether a marker's text is one of t's partitions, or nothing.
func isPartition(t store.Table, text string) bool {
	if text == "" {
		return true
	}
	spec, err := types.ParsePartitionSpec(text)
	if err == nil {
		_, err = t.Spec(spec, false)
	}
	return err == nil
}

func describePartition(p store.Partition) partitionXML {
	x := partitionXML{
		CreationTime: p.Created.Unix(), LastDDLTime: p.LastDDL.Unix(), LastModifiedTime: p.Modified.Unix(),
		PartitionSize: &p.Bytes, PartitionRecordCount: &p.Rows,
	}
	for _, v := range p.Spec {
		x.Columns = append(x.Columns, partitionColumnXML{Name: v.Column, Value: v.Value})
	}
	return x
}

// spec reads the partition parameter and orders it as the table does.
func (r *request) spec(t store.Table, partial bool) (types.PartitionSpec, error) {
	spec, err := types.ParsePartitionSpec(r.query.Get("partition"))
	if err != nil {
		return nil, err
	}
	return t.Spec(spec, partial)
}

func (s *Service) partition(w http.ResponseWriter, r *request, key store.Key) error {
	t, err := s.store.Table(key)
	if err != nil {
		return err
	}
	spec, err := r.spec(t, false)
	if err != nil {
		return err
	}
	p, err := s.store.Partition(key, spec)
	if err != nil {
		return err
	}
	content := any(map[string]int64{
		"createTime": p.Created.Unix(), "lastDDLTime": p.LastDDL.Unix(), "lastModifiedTime": p.Modified.Unix(),
		"lastAccessTime": 0, "partitionSize": p.Bytes, "partitionRecordNum": p.Rows,
	})
	if r.has("extended") {
		files, err := s.store.Files(key, spec)
		if err != nil {
			return err
		}
		content = map[string]any{
			"FileNum": files, "IsArchived": false, "IsExstore": false, "LifeCycle": -1, "PhysicalSize": p.Bytes, "Reserved": "{}",
		}
	}
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode partition %s: %w", p.Spec, err)
	}
	writeXML(w, http.StatusOK, partitionXML{Schema: &cdata{string(text)}})
	return nil
}
