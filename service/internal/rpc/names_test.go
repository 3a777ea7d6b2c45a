package rpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

func TestResolve(t *testing.T) {
	d := Defaults{Project: "Def", Schema: ""}
	for _, c := range []struct {
		name   string
		ref    *sluicev1.TableRef
		want   table.Name
		given  map[string]string
		reason apierr.Reason
	}{
		{name: "path", ref: &sluicev1.TableRef{Path: "odps://P/tables/S.T/PT=1"}, want: table.Name{Project: "p", Schema: "s", Table: "t"}, given: map[string]string{"pt": "1"}},
		{name: "parts", ref: &sluicev1.TableRef{Project: "P", Table: "T", Partition: map[string]string{"pt": "a/b"}}, want: table.Name{Project: "p", Table: "t"}, given: map[string]string{"pt": "a/b"}},
		{name: "default project", ref: &sluicev1.TableRef{Table: "t"}, want: table.Name{Project: "def", Table: "t"}},
		{name: "both agree", ref: &sluicev1.TableRef{Path: "odps://p/tables/t/pt=1", Project: "P", Table: "T", Partition: map[string]string{"PT": "1"}}, want: table.Name{Project: "p", Table: "t"}, given: map[string]string{"pt": "1"}},
		{name: "tables disagree", ref: &sluicev1.TableRef{Path: "odps://p/tables/t", Project: "p", Table: "u"}, reason: apierr.BadArgument},
		{name: "partitions disagree", ref: &sluicev1.TableRef{Path: "odps://p/tables/t/pt=1", Partition: map[string]string{"pt": "2"}}, reason: apierr.BadArgument},
		{name: "nothing", ref: nil, reason: apierr.BadArgument},
		{name: "bad path", ref: &sluicev1.TableRef{Path: "p.t"}, reason: apierr.BadPath},
		{name: "dotted table", ref: &sluicev1.TableRef{Project: "p", Table: "s.t"}, reason: apierr.BadPath},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := d.resolve(c.ref, "table")
			if apierr.ReasonOf(err) != c.reason {
				t.Fatalf("resolve = %v, want reason %v", err, c.reason)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(c.want, got.name); diff != "" {
				t.Errorf("name differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.given, got.given); diff != "" {
				t.Errorf("partition differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefProtoLeavesThePathOutWhereItCouldNotBeReadBack(t *testing.T) {
	for value, path := range map[string]string{"1": "odps://p/tables/t/pt=1", "a/b": ""} {
		got := refProto(table.Ref{Name: table.NewName("p", "", "t"), Partition: table.Spec{{Column: "pt", Value: value}}})
		if got.GetPath() != path || got.GetPartition()["pt"] != value {
			t.Errorf("ref of pt=%s: path %q partition %v, want path %q", value, got.GetPath(), got.GetPartition(), path)
		}
	}
}

func TestResolveOfATableRefusesPartitions(t *testing.T) {
	_, err := Defaults{}.table(&sluicev1.TableRef{Path: "odps://p/tables/t/pt=1"}, "table")
	if !apierr.Is(err, apierr.BadArgument) {
		t.Errorf("table = %v, want BAD_ARGUMENT", err)
	}
}
