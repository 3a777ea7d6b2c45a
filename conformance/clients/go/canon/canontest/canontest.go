// Package canontest tries an adapter on an endpoint of its own, in the test's process.
package canontest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/conformance/clients/go/canon"
	"github.com/sluice-io/sluice/emulator"
)

// Project is the endpoint's project.
const Project = "local"

// column is a type and three of its values; the fourth row is NULL.
type column struct {
	kind   string
	values [3]string
}

var columns = []column{
	{"boolean", [3]string{`true`, `false`, `true`}},
	{"tinyint", [3]string{`"-128"`, `"0"`, `"127"`}},
	{"smallint", [3]string{`"-32768"`, `"0"`, `"32767"`}},
	{"int", [3]string{`"-2147483648"`, `"0"`, `"2147483647"`}},
	{"bigint", [3]string{`"-9223372036854775807"`, `"0"`, `"9223372036854775807"`}},
	{"float", [3]string{`"80000000"`, `"7f7fffff"`, `"nan"`}},
	{"double", [3]string{`"8000000000000000"`, `"fff0000000000000"`, `"nan"`}},
	{"decimal(10,2)", [3]string{`"-99999999.99"`, `"0.00"`, `"0.01"`}},
	{"decimal(38,18)", [3]string{`"-99999999999999999999.999999999999999999"`, `"0.000000000000000000"`, `"0.000000000000000001"`}},
	{"decimal", [3]string{`"-999999999999999999999999999999999999.999999999999999999"`, `"0.000000000000000000"`, `"1.500000000000000000"`}},
	{"string", [3]string{`""`, `"𝄞 中文"`, `"\u0000\\'"`}},
	{"char(4)", [3]string{`"abcd"`, `"wxyz"`, `"1234"`}},
	{"varchar(4)", [3]string{`""`, `"ab"`, `"wxyz"`}},
	{"binary", [3]string{`""`, `"00ff80"`, `"c328"`}},
	{"json", [3]string{`"{\"a\":1}"`, `"[]"`, `"null"`}},
	{"date", [3]string{`"0001-01-01"`, `"1969-12-31"`, `"9999-12-31"`}},
	{"datetime", [3]string{`"0001-01-01T00:00:00.000"`, `"1969-12-31T23:59:59.999"`, `"9999-12-31T23:59:59.999"`}},
	{"timestamp", [3]string{`"1677-09-22T00:00:00.000000001"`, `"1969-12-31T23:59:59.999999999"`, `"2262-04-11T00:00:00.000000000"`}},
	{"timestamp_ntz", [3]string{`"0001-01-01T00:00:00.000000001"`, `"1970-01-01T00:00:00.000000000"`, `"9999-12-31T23:59:59.999999999"`}},
	{"interval_day_time", [3]string{`"-1.999999999"`, `"0.000000000"`, `"86401.000000005"`}},
	{"interval_year_month", [3]string{`"-13"`, `"0"`, `"14"`}},
	{"array<bigint>", [3]string{`[]`, `["1",null]`, `[null]`}},
	{"map<string,bigint>", [3]string{`[]`, `[["a",null],["b","2"]]`, `[["","1"]]`}},
	{"struct<a:bigint,b:string>", [3]string{`["1",null]`, `[null,""]`, `["2","x"]`}},
	{"array<struct<t:timestamp,m:array<double>>>", [3]string{`[["2024-01-02T03:04:05.000000006",[]]]`, `[]`, `[null,[null,null]]`}},
}

// Run writes a table in every form and reads it in every form. Kinds for which cannot gives a reason, for a form of writing or
// reading, are left out of that pair.
func Run(t *testing.T, a canon.Adapter, serve func(t *testing.T, endpoint string), cannot func(form, kind string) bool) {
	server, err := emulator.New(emulator.Options{DataDir: t.TempDir(), Projects: []string{Project}, AccessID: "local", AccessKey: "local-secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	server.Start()
	serve(t, server.Endpoint())
	for _, writes := range a.WriteForms {
		for _, reads := range a.ReadForms {
			t.Run(writes+" to "+reads, func(t *testing.T) {
				able := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return cannot(writes, c.kind) || cannot(reads, c.kind) })
				pair(t, a, able, canon.Job{Endpoint: server.Endpoint(), Project: Project, Table: writes + "_" + reads}, writes, reads)
			})
		}
	}
}

func pair(t *testing.T, a canon.Adapter, columns []column, job canon.Job, writes, reads string) {
	declared := make([]string, len(columns))
	rows := make([][]canon.Value, 4)
	want := make([]string, len(rows))
	for c, column := range columns {
		of, err := canon.ParseType(column.kind)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("c%d", c)
		declared[c] = name + " " + column.kind
		job.Columns = append(job.Columns, canon.Column{Name: name, Type: of})
		for r, text := range append(column.values[:], "null") {
			v, err := canon.Parse(of, json.RawMessage(text))
			if err != nil {
				t.Fatal(err)
			}
			rows[r] = append(rows[r], v)
			want[r] += "," + text
		}
	}
	create(t, job.Endpoint, "create table "+job.Table+" ("+strings.Join(declared, ", ")+");")
	job.Form = writes
	if err := a.Write(t.Context(), job, rows); err != nil {
		t.Fatalf("write: %v", err)
	}
	var got []string
	job.Form = reads
	err := a.Read(t.Context(), job, func(row []canon.Value) error {
		text, err := canon.FormatRow(job.Columns, row)
		got = append(got, string(text))
		return err
	})
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	for r := range want {
		want[r] = "[" + want[r][1:] + "]"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows: -want +got\n%s", diff)
	}
}

func create(t *testing.T, endpoint, statement string) {
	client := odps.NewOdps(account.NewAliyunAccount("local", "local-secret"), endpoint)
	client.SetDefaultProjectName(Project)
	instance, err := client.ExecSQl(statement)
	if err == nil {
		err = instance.WaitForSuccess()
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
