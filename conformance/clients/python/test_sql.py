"""SQL by PyODPS: definitions that it generates, results with and without the tunnel, errors by class."""

import datetime
import decimal

import pytest
from odps import errors


def rows(odps, query, tunnel=True):
    with odps.execute_sql(query).open_reader(tunnel=tunnel) as reader:
        return [list(record.values) for record in reader]


@pytest.mark.parametrize("tunnel", [True, False], ids=["tunnel", "text"])
def test_results_have_the_types_of_the_dialect(odps, tunnel):
    query = """select 1 i, 2L b, 1.5 d, 1.50BD x, 'it''s' s, true t, date '2024-01-02' dt, datetime '2024-01-02 03:04:05' at,
        cast(null as string) n, array(1, 2) a, concat('a', 1) c, count(*) k, 7 / 2 q, 7 div 2 w from dual"""
    got = rows(odps, query, tunnel)[0]
    assert got == [1, 2, 1.5, decimal.Decimal("1.5"), "it's", True, datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5),
                   None, [1, 2], "a1", 1, 3.5, 3]


@pytest.mark.parametrize("tunnel", [True, False], ids=["tunnel", "text"])
def test_functions_of_the_dialect(odps, tunnel):
    query = """select dateadd(datetime '2024-01-31 00:00:00', 1, 'mm'), datediff('2024-03-01', '2024-02-28', 'dd'), to_char(datetime '2024-01-02 03:04:05', 'yyyymmdd'),
        regexp_replace('a.b', '\\\\.', '-'), get_json_object('{"a":[1,{"b":"x"}]}', '$.a[1].b'), split_part('a,b,c', ',', 2), round(125.315, 2), cast(1.9 as bigint),
        wm_concat('-', s), cast(1e10 as string) from values ('p'), ('q') v(s)"""
    assert rows(odps, query, tunnel)[0] == [datetime.datetime(2024, 2, 29), 2, "20240102", "a-b", "x", "b", 125.32, 1, "p-q", "1.0E10"]


def test_names_of_a_joined_result_are_apart(odps, table):
    a, b = table("id bigint, s string"), table("id bigint, s string")
    odps.execute_sql(f"insert into {a.name} values (1, 'a')")
    odps.execute_sql(f"insert into {b.name} values (1, 'b')")
    with odps.execute_sql(f"select * from {a.name} a join {b.name} b on a.id = b.id").open_reader(tunnel=True) as reader:
        frame = reader.to_pandas()
    assert frame.to_dict("records") == [{"id": 1, "s": "a", "id2": 1, "s2": "b"}]


def test_lateral_view(odps, table):
    t = table("id bigint, tags array<string>")
    odps.execute_sql(f"insert into {t.name} values (1, array('x', 'y')), (2, null)")
    query = f"select id, tag from {t.name} lateral view outer explode(tags) v as tag order by id, tag"
    assert rows(odps, query) == [[1, "x"], [1, "y"], [2, None]]


def test_views_are_told_from_tables(odps, table, name):
    t, v = table("id bigint, s string"), name("v")
    odps.execute_sql(f"insert into {t.name} values (1, 'a'), (2, 'b')")
    odps.execute_sql(f"create view {v} (n comment 'number') as select id * 10 from {t.name}")
    view = odps.get_table(v)
    try:
        assert view.is_virtual_view and "select id * 10" in view.view_text
        assert [(c.name, c.comment) for c in view.table_schema.columns] == [("n", "number")]
        assert rows(odps, f"select n from {v} order by n") == [[10], [20]]
        assert v in [x.name for x in odps.list_tables(type="virtual_view")]
        with pytest.raises(errors.ODPSError), view.open_reader() as reader:
            list(reader)
    finally:
        odps.delete_view(v)
    assert not odps.exist_table(v)


def test_a_column_changes_its_type_and_keeps_its_rows(odps, table):
    t = table("a int, d decimal(5, 2)")
    with t.open_writer() as writer:
        writer.write([[7, decimal.Decimal("1.25")], [None, None]])
    odps.execute_sql(f"alter table {t.name} change column a a bigint")
    odps.execute_sql(f"alter table {t.name} change column d d string first")
    odps.execute_sql(f"insert into {t.name} values ('text', 9223372036854775807)")
    t.reload()
    want = [["1.25", 7], [None, None], ["text", 9223372036854775807]]
    with t.open_reader() as reader:
        assert [list(r.values) for r in reader] == want
    with t.open_reader(arrow=True) as reader:
        assert reader.read_all().to_pylist() == [{"d": d, "a": a} for d, a in want]
    assert [list(r.values) for r in t.head(5)] == want
    assert rows(odps, f"select max(a), max(d) from {t.name}") == [[9223372036854775807, "text"]]


def test_defaults_fill_columns_that_insert_leaves_out(odps, name):
    t = name()
    odps.execute_sql(f"create table {t} (id bigint, s string default 'none', n decimal(4,1) default 2.5bd)")
    odps.execute_sql(f"insert into {t} (id) values (1), (2)")
    assert rows(odps, f"select * from {t} order by id") == [[1, "none", decimal.Decimal("2.5")], [2, "none", decimal.Decimal("2.5")]]


def test_update_delete_merge(odps, name):
    t = name()
    odps.execute_sql(f"create table {t} (id bigint, s string) tblproperties ('transactional'='true')")
    odps.execute_sql(f"insert into {t} values (1, 'a'), (2, 'b'), (3, 'c')")
    odps.execute_sql(f"update {t} set s = concat(s, '!') where id = 2")
    odps.execute_sql(f"delete from {t} where id = 3")
    odps.execute_sql(f"merge into {t} using (select 1 i union all select 9) x on {t}.id = x.i when matched then update set s = 'm' when not matched then insert values (x.i, 'new')")
    assert rows(odps, f"select * from {t} order by id") == [[1, "m"], [2, "b!"], [9, "new"]]


def test_a_script_of_queries_answers_with_the_last(odps):
    assert rows(odps, "select 1; select 2; select 3") == [[3]]


def test_a_script_answers_with_its_last_statement(odps, name):
    t = name()
    assert rows(odps, f"create table {t} as select 1 as id; @x := select id + 1 as n from {t}; select n from @x;") == [[2]]


@pytest.mark.parametrize("query, error, text", [
    ("selec 1", errors.ParseError, "[1,1]"),
    ("select 1 from\n nowhere_at_all", errors.ODPSError, "ODPS-0130131:[2,2]"),
    ("select nosuch from dual", errors.ODPSError, "ODPS-0130071:[1,8]"),
    ("select cast('x' as bigint)", errors.ODPSError, "ODPS-0123144"),
    ("select cluster_sample(1) over ()", errors.ODPSError, "cluster_sample is not supported"),
], ids=["parse", "table", "column", "value", "function"])
def test_errors_name_code_and_place(odps, query, error, text):
    with pytest.raises(error) as caught:
        odps.execute_sql(query)
    assert text in str(caught.value)
