"""The database interface (PEP 249) of PyODPS, as pandas and tools use it."""

import pytest
from odps import dbapi, errors


@pytest.fixture
def connection(odps):
    with dbapi.connect(odps) as connection:
        yield connection


@pytest.mark.smoke
def test_cursor_fetches_what_was_written_otherwise(odps, connection, table):
    t = table("id bigint, s string")
    odps.write_table(t, [[i, f"n{i}"] for i in range(10)])
    cursor = connection.cursor()
    cursor.execute(f"select s, id + 1 as next from {t.name} where id >= 4 order by id")
    assert [d[0] for d in cursor.description] == ["s", "next"]
    assert list(cursor.fetchone()) == ["n4", 5]
    assert [list(r) for r in cursor.fetchmany(2)] == [["n5", 6], ["n6", 7]]
    assert [list(r) for r in cursor.fetchall()] == [["n7", 8], ["n8", 9], ["n9", 10]]
    assert cursor.fetchone() is None


def test_parameters_are_quoted(connection):
    cursor = connection.cursor()
    cursor.execute("select :a as a, :b as b", parameters={"a": "it's \\ \"q\"", "b": 7})
    assert list(cursor.fetchone()) == ["it's \\ \"q\"", 7]


def test_statements_without_rows(odps, connection, name):
    n = name()
    cursor = connection.cursor()
    cursor.execute(f"create table {n} (id bigint)")
    cursor.execute(f"insert into {n} values (1L), (2L)")
    assert odps.get_table(n).to_pandas()["id"].tolist() == [1, 2]


def test_errors_come_through(connection):
    with pytest.raises(errors.NoSuchTable):
        connection.cursor().execute("select * from nobody_made_this")
