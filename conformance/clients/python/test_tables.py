"""Tables as PyODPS makes, changes and shows them."""

import pytest
from odps import errors
from odps.models import TableSchema
from odps.types import Column, Partition


def columns(t):
    return [(c.name, c.type.name.lower().replace("`", ""), c.comment or "") for c in t.table_schema.simple_columns]


def rows(t, **kw):
    with t.open_reader(reopen=True, **kw) as reader:
        return [list(r.values) for r in reader]


def test_compiled_record_codec_is_in_use():
    """The pure Python codec of PyODPS is another program; what users run is this one."""
    from odps.tunnel.io import reader, writer

    assert writer.BaseRecordWriter.__mro__[1].__module__ == "odps.tunnel.io.writer_c"
    assert reader.BaseTunnelRecordReader.__module__ == "odps.tunnel.io.reader_c"


@pytest.mark.smoke
def test_table_created_from_text_is_found_with_its_columns(odps, table):
    t = table("id bigint, name string comment 'it\\'s who'", lifecycle=3, comment="people's")
    again = odps.get_table(t.name)
    again.reload()
    assert columns(again) == [("id", "bigint", ""), ("name", "string", "it's who")]
    assert (again.lifecycle, again.comment) == (3, "people's")
    assert odps.exist_table(t.name)


@pytest.mark.smoke
def test_table_created_from_a_schema_object_keeps_everything(odps, name):
    schema = TableSchema(
        columns=[Column("id", "bigint", comment="key", nullable=False), Column("tags", "array<string>")],
        partitions=[Partition("dt", "string", comment="day"), Partition("region", "string")],
    )
    t = odps.create_table(name(), schema)
    again = odps.get_table(t.name)
    again.reload()
    assert columns(again) == [("id", "bigint", "key"), ("tags", "array<string>", "")]
    assert [(p.name, str(p.type).lower(), p.comment or "") for p in again.table_schema.partitions] == [("dt", "string", "day"), ("region", "string", "")]
    assert [c.nullable for c in again.table_schema.simple_columns] == [False, True]


@pytest.mark.parametrize(
    "kind",
    [
        "array<array<bigint>>",
        "map<string,array<decimal(38,18)>>",
        "struct<a:bigint,b:struct<c:string,d:array<map<string,double>>>>",
        "varchar(65535)",
        "char(255)",
        "decimal(38,18)",
        "timestamp_ntz",
        "interval_day_time",
        "json",
        "binary",
    ],
)
def test_types_come_back_as_declared(odps, name, kind):
    t = odps.create_table(name(), TableSchema.from_lists(["id", "v"], ["bigint", kind]))
    again = odps.get_table(t.name)
    again.reload()
    assert columns(again)[1][1] == kind


def test_table_is_made_once(odps, table):
    t = table("id bigint")
    with pytest.raises(errors.ODPSError, match="already exists"):
        odps.create_table(t.name, "id bigint")
    odps.create_table(t.name, "other string", if_not_exists=True)
    again = odps.get_table(t.name)
    again.reload()
    assert columns(again) == [("id", "bigint", "")]


def test_dropped_table_is_gone(odps, table):
    t = table("id bigint")
    t.drop()
    assert not odps.exist_table(t.name)
    with pytest.raises(errors.NoSuchTable):
        t.drop()
    odps.delete_table(t.name, if_exists=True)
    with pytest.raises(errors.NoSuchObject):
        odps.get_table(t.name).reload()


def test_name_made_again_is_an_empty_table(odps, table):
    t = table("id bigint")
    odps.write_table(t, [[1]])
    t.drop()
    again = odps.create_table(t.name, "id string, other bigint")
    assert columns(again) == [("id", "string", ""), ("other", "bigint", "")]
    assert rows(again) == []


def test_rename_moves_the_rows(odps, table, name):
    t, new = table("id bigint"), name()
    old = t.name
    odps.write_table(t, [[1], [2]])
    t.rename(new)
    assert not odps.exist_table(old)
    assert rows(odps.get_table(new)) == [[1], [2]]


def test_lifecycle_and_comment_are_changed(odps, table):
    t = table("id bigint")
    t.set_lifecycle(11)
    t.set_comment("changed; it's new")
    again = odps.get_table(t.name)
    again.reload()
    assert (again.lifecycle, again.comment) == (11, "changed; it's new")


@pytest.mark.smoke
def test_added_column_is_null_in_old_rows(odps, table):
    t = table("id bigint, a string")
    odps.write_table(t, [[1, "old"]])
    t.add_columns("b double comment 'new one', c array<bigint>")
    odps.write_table(t, [[2, "new", 0.5, [1, None]]])
    assert columns(t)[2:] == [("b", "double", "new one"), ("c", "array<bigint>", "")]
    assert rows(t) == [[1, "old", None, None], [2, "new", 0.5, [1, None]]]
    assert rows(t, columns=["id", "c"]) == [[1, None], [2, [1, None]]]


def test_dropped_column_leaves_the_others(odps, table):
    t = table("id bigint, a string, b string")
    odps.write_table(t, [[1, "x", "y"]])
    t.delete_columns(["a"])
    assert columns(t) == [("id", "bigint", ""), ("b", "string", "")]
    assert rows(t) == [[1, "y"]]
    t.add_columns("a string")
    assert rows(t) == [[1, "y", None]], "the rows of a dropped column are not those of a new one"


def test_renamed_column_keeps_its_values(odps, table):
    t = table("id bigint, a string")
    odps.write_table(t, [[1, "x"]])
    t.rename_column("a", "z", comment="last")
    assert columns(t)[1] == ("z", "string", "last")
    with t.open_reader(reopen=True, columns=["z"]) as reader:
        assert [r["z"] for r in reader] == ["x"]


def test_truncate_empties_a_table(odps, table):
    t = table("id bigint")
    odps.write_table(t, [[1]])
    t.truncate()
    assert rows(t) == []
    odps.write_table(t, [[2]])
    assert rows(t) == [[2]]


@pytest.mark.smoke
def test_head_shows_the_first_rows(odps, table):
    t = table("id bigint, name string, d double")
    odps.write_table(t, [[i, f"n{i}", i / 2] for i in range(20)])
    assert [r["id"] for r in t.head(3)] == [0, 1, 2]
    assert [r["name"] for r in t.head(5, columns=["name"])] == ["n0", "n1", "n2", "n3", "n4"]
    assert len(list(t.head(100))) == 20


def test_head_of_a_partition(odps, table):
    t = table(("id bigint", "dt string"))
    for day in ("a", "b"):
        odps.write_table(t, [[1 if day == "a" else 2]], partition=f"dt={day}", create_partition=True)
    assert [r["id"] for r in t.head(10, partition="dt=b")] == [2]


def test_size_and_rows_are_told(odps, table):
    t = table("id bigint, s string")
    odps.write_table(t, [[i, "x" * 100] for i in range(1000)])
    t.reload()
    assert t.size > 0
    assert t.record_num == 1000


def test_table_definition_is_shown_as_sql_that_makes_it_again(odps, table, name):
    t = table(("id bigint, tags map<string,array<bigint>> comment 'it\\'s'", "dt string, hour bigint"), comment="c", lifecycle=5)
    copy = name()
    odps.execute_sql(t.get_ddl().replace(t.name, copy))
    assert columns(odps.get_table(copy)) == columns(t)
    assert [p.name for p in odps.get_table(copy).table_schema.partitions] == ["dt", "hour"]
    assert odps.get_table(copy).lifecycle == 5


def test_tables_are_listed_by_prefix(odps, name):
    names = sorted(name("prefixed") for _ in range(3))
    for n in names:
        odps.create_table(n, "id bigint")
    odps.create_table(name("other"), "id bigint")
    assert sorted(t.name for t in odps.list_tables(prefix=names[0].rsplit("_", 1)[0])) == names
    assert names[1] in {t.name for t in odps.list_tables()}
    assert [t.name for t in odps.list_tables(prefix="nobody_has_this")] == []


def test_async_definitions_finish(odps, name):
    n = name()
    odps.create_table(n, "id bigint", async_=True).wait_for_success()
    assert odps.exist_table(n)
    odps.delete_table(n, async_=True).wait_for_success()
    assert not odps.exist_table(n)


def test_names_do_not_mind_case(odps, table):
    t = table("Id bigint")
    assert odps.exist_table(t.name.upper())
    odps.write_table(t, [[7]])
    with odps.execute_sql(f"select ID from {t.name.upper()}").open_reader(tunnel=True) as reader:
        assert [r[0] for r in reader] == [7]


@pytest.mark.parametrize("bad", ["id bigint, id string", "id nosuchtype", "id array<>", "id bigint, s struct<>", ""])
def test_bad_definitions_are_refused(odps, name, bad):
    n = name()
    with pytest.raises(errors.ODPSError):
        odps.execute_sql(f"create table {n} ({bad})")
    assert not odps.exist_table(n)
