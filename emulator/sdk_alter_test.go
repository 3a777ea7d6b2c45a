//go:build cgo && duckdb_arrow

package emulator_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator"
)

// What a change of a table does, and what none may do.
func TestGoSDK_alterations_hold_to_their_rules(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	steps(t, c,
		"create table k (id bigint not null primary key, name string comment 'old') tblproperties ('a'='b', 'c'='d', 'transactional'='true')",
		"alter table k add columns (x bigint not null) !! column x must allow NULL",
		"alter table k add columns if not exists (name bigint, y bigint comment 'new')",
		"alter table k add columns (y bigint) !! column y is there already",
		"alter table k change column id null !! column id belongs to the primary key",
		"alter table k change column id id string !! the type of key column id cannot change",
		"alter table k change column id id bigint comment 'the key'", // the type that it has
		"alter table k change column name not null !! column name allows NULL",
		"alter table k change column name name bigint !! not every value would fit",
		"alter table k drop columns id !! column id belongs to the primary key",
		"alter table k drop columns none !! column none is not there",
		"alter table k change column name comment 'shown'",
		"alter table k change column y z int !! not every value would fit",
		"alter table k change column y null",
		"alter table k set tblproperties ('e'='f')",
		"alter table k unset tblproperties ('a')",
		"alter table k changeowner to 'ALIYUN$me'",
	)
	table := c.Table("k")
	must(t, table.Load())
	if table.Owner() != "ALIYUN$me" {
		t.Errorf("owner %q after CHANGEOWNER", table.Owner())
	}
	if got := mustRun(t, c, "show tables"); got != "ALIYUN$me:k\n" {
		t.Errorf("SHOW TABLES = %q", got)
	}
	if got := mustRun(t, c, "desc k"); !strings.Contains(got, "Owner: ALIYUN$me | Project: p1") {
		t.Errorf("DESC =\n%s", got)
	}
	steps(t, c, "create table other (a bigint)")
	for owner, want := range map[string]string{"": "k other", "ALIYUN$me": "k", "aliyun$ME": "k", "ALIYUN$local": "other", "none": ""} {
		_, _, body := raw(t, s, http.MethodGet, "/api/projects/p1/tables?owner="+url.QueryEscape(owner), "")
		var names []string
		for part := range strings.SplitSeq(body, "<Name>") {
			if name, _, ok := strings.Cut(part, "</Name>"); ok {
				names = append(names, name)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("tables of owner %q: %s, want %s", owner, got, want)
		}
	}
	want := "CREATE TABLE IF NOT EXISTS `p1`.`k`(\n\t`id` BIGINT NOT NULL COMMENT 'the key',\n\t`name` STRING COMMENT 'shown',\n\t`y` BIGINT COMMENT 'new',\n\tPRIMARY KEY(`id`)\n)\nSTORED AS ALIORC\nTBLPROPERTIES ('c'='d', 'e'='f', 'transactional'='true');\n"
	if got := mustRun(t, c, "show create table k"); got != want {
		t.Errorf("SHOW CREATE TABLE =\n%s\nwant\n%s", got, want)
	}
}

func TestGoSDK_like_wants_a_table(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create view v as select 1 a",
		"create table t like v !! is a view",
		"select * from t !! ODPS-0130131",
	)
}

// The syntax of every query of a script is looked at before its first statement runs.
func TestGoSDK_scripts_are_checked_before_they_run(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	for _, second := range []string{
		"create table b as select from from", "create view b as select from from", "insert into a select from from", "select from from",
		"from a insert into a select from from",
	} {
		steps(t, c, "create table a (x bigint); "+second+" !! ODPS-0130161", "select * from a !! ODPS-0130131")
	}
}

// All INSERTs of a statement take effect or none, and none leaves a file behind.
func TestGoSDK_multi_insert_that_fails_leaves_nothing(t *testing.T) {
	dir := t.TempDir()
	s, err := emulator.New(emulator.Options{DataDir: dir})
	must(t, err)
	s.Start()
	c := client(s)
	steps(t, c,
		"create table u (x bigint)", "insert into u values (1), (2)",
		"create table a (x bigint)", "create table b (x bigint not null)",
		"from u insert into a select x insert into b select null !! ODPS-",
		"from u insert into a select x insert into none select x !! ODPS-0130131",
		"from u insert overwrite a select x insert into a select x !! written by two INSERTs",
		"from u insert into a select x insert overwrite a select x !! written by two INSERTs",
		"select count(*) from a => 0",
		"from u insert into a select x insert into a select x + 2",
		"select x from a order by x => 1 2 3 4",
	)
	must(t, s.Close()) // removes what is to be removed
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
	must(t, err)
	if len(files) != 3 {
		t.Errorf("%d files of rows, want one of u and two of a: %v", len(files), files)
	}
}

// Tokens are good for whole hours up to the service's bound.
func TestHTTP_token_hours_have_a_bound(t *testing.T) {
	s := start(t, emulator.Options{})
	for hours, ok := range map[string]bool{"1": true, "8760": true, "24": true, "0": false, "-1": false, "8761": false, "1.5": false, `"x"`: false} {
		status, _, body := raw(t, s, http.MethodPost, "/api/projects/p1/authorization?sign_bearer_token", `{"expires_in_hours":`+hours+`,"policy":{}}`)
		if got := !strings.Contains(body, "no number from 1 to") && !strings.Contains(body, "not the expected JSON"); got != ok {
			t.Errorf("%s hours: %s %s, want accepted %t", hours, status, body, ok)
		}
	}
}

// An update replaces what runs under a function's name; who owns it stays.
func TestHTTP_functions_keep_their_owner(t *testing.T) {
	s := start(t, emulator.Options{Schemas: true})
	const functions = "/api/projects/p1/registration/functions"
	function := func(class, schema string) string {
		return "<Function><Alias>f</Alias><ClassType>" + class + "</ClassType><SchemaName>" + schema + "</SchemaName></Function>"
	}
	call := func(want, method, target, body string, lines ...string) string {
		t.Helper()
		status, headers, content := rawWith(t, s, method, target, body, lines...)
		if !strings.Contains(status, want) {
			t.Errorf("%s %s: %s %s, want %s", method, target, status, content, want)
		}
		return strings.Join(headers, "\n") + content
	}
	call("201", http.MethodPost, functions, function("a.B", ""))
	call("200", http.MethodPut, functions+"/f?updateowner", "", "x-odps-owner: ALIYUN$me")
	call("400", http.MethodPut, functions+"/f?updateowner", "")
	call("200", http.MethodPut, functions+"/f", function("c.D", ""))
	call("400", http.MethodPut, functions+"/g", function("c.D", ""))
	if got := call("200", http.MethodGet, functions+"/f", ""); !strings.Contains(got, "c.D") || !strings.Contains(got, "ALIYUN$me") {
		t.Errorf("after the update:\n%s", got)
	}
	for owner, found := range map[string]bool{"": true, "ALIYUN$me": true, "aliyun$ME": true, "other": false} {
		got := call("200", http.MethodGet, functions+"?owner="+url.QueryEscape(owner), "")
		if strings.Contains(got, "<Alias>f</Alias>") != found {
			t.Errorf("functions of owner %q:\n%s\nwant f among them: %t", owner, got, found)
		}
	}
}
