"""open_writer, open_reader, write_table, read_table: what goes in one way comes out another."""

import datetime
import multiprocessing

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from odps import errors
from odps.tunnel import TableTunnel


def ids(reader):
    return [r["id"] for r in reader]


def select(odps, sql):
    with odps.execute_sql(sql).open_reader(tunnel=True) as reader:
        return [list(r.values) for r in reader]


@pytest.mark.smoke
def test_records_in_sql_out(odps, table):
    t = table("id bigint, name string, v double")
    with t.open_writer() as writer:
        writer.write([[1, "a", 0.5], [2, None, None]])
        writer.write(t.new_record([3, "中文", -1.0]))
        record = t.new_record()
        record["id"], record[1] = 4, "set by name and by number"
        writer.write(record)
    assert select(odps, f"select name, id * 2, v is null from {t.name} where id > 1 order by id desc") == [
        ["set by name and by number", 8, True],
        ["中文", 6, False],
        [None, 4, True],
    ]


@pytest.mark.smoke
def test_records_in_arrow_out_of_a_range(odps, table):
    t = table("id bigint, name string")
    odps.write_table(t, [[i, f"n{i}"] for i in range(1000)])
    with t.open_reader(arrow=True, columns=["name"]) as reader:
        assert reader.count == 1000
        got = pa.Table.from_batches(list(reader.read(start=700, count=3)))
    assert got.to_pydict() == {"name": ["n700", "n701", "n702"]}


@pytest.mark.smoke
def test_arrow_in_records_out_of_a_slice(odps, table):
    t = table("id bigint, tags array<string>, at timestamp")
    moments = [datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=i) for i in range(100)]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(range(100)), pa.array([[str(i)] * (i % 3) for i in range(100)]), pa.array(moments, pa.timestamp("ns"))], names=["id", "tags", "at"]
    )
    with t.open_writer(arrow=True) as writer:
        writer.write(batch.slice(0, 30))
        writer.write(pa.Table.from_batches([batch.slice(30)]))
    with t.open_reader() as reader:
        assert ids(reader[10:20:3]) == [10, 13, 16, 19]
        assert [r["tags"] for r in reader[4:6]] == [["4"], ["5", "5"]]
        assert reader[99]["id"] == 99
        assert ids(reader[95:]) == [95, 96, 97, 98, 99]
        assert ids(reader[:2]) == [0, 1]
        assert list(reader[100:200]) == []


def test_pandas_in_records_out(odps, table):
    t = table("id bigint, name string, v double, flag boolean, at datetime")
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "name": ["x", None, "z"],
            "v": [0.5, np.nan, -1],
            "flag": [True, False, True],
            "at": pd.to_datetime(["2024-01-02 03:04:05", None, "2000-02-29 00:00:00"]),
        }
    )
    with t.open_writer(arrow=True) as writer:
        writer.write(frame)
    with t.open_reader(columns=["flag", "name", "at"]) as reader:
        got = [(r["name"], r["flag"], r["at"]) for r in reader]
    assert got == [("x", True, datetime.datetime(2024, 1, 2, 3, 4, 5)), (None, False, None), ("z", True, datetime.datetime(2000, 2, 29))]
    assert select(odps, f"select count(v), sum(id) from {t.name}") == [[2, 6]]


def test_records_in_pandas_out(odps, table):
    t = table("id bigint, name string, v decimal(10,2)")
    odps.write_table(t, [[i, f"n{i}", f"{i}.25"] for i in range(50)])
    frame = t.to_pandas(columns=["id", "v"], start=10, count=5)
    assert frame["id"].tolist() == [10, 11, 12, 13, 14]
    assert [str(v) for v in frame["v"]] == ["10.25", "11.25", "12.25", "13.25", "14.25"]
    assert pd.concat(list(t.iter_pandas(columns=["name"], batch_size=20)))["name"].tolist() == [f"n{i}" for i in range(50)]
    with t.open_reader() as reader:
        assert reader.to_pandas(n_process=2)["id"].tolist() == list(range(50))


@pytest.mark.smoke
def test_blocks_are_ordered_by_id_not_by_time(table):
    t = table("id bigint")
    with t.open_writer(blocks=[0, 1, 2]) as writer:
        writer.write(2, [[20], [21]])
        writer.write(0, [[0]])
        writer.write(1, [[10], [11]])
        writer.write(0, [[1]])
    with t.open_reader() as reader:
        assert ids(reader) == [0, 1, 10, 11, 20, 21]
        assert ids(reader[1:5]) == [1, 10, 11, 20]


def test_small_buffers_make_many_blocks(odps, table):
    t = table("id bigint, s string")
    session = TableTunnel(odps).create_upload_session(t.name)
    with session.open_record_writer(buffer_size=4096) as writer:
        for i in range(1000):
            writer.write(session.new_record([i, "x" * 50]))
    blocks = writer.get_blocks_written()
    assert len(blocks) > 10
    session.commit(blocks)
    assert select(odps, f"select count(*), count(distinct id), min(id), max(id), sum(length(s)) from {t.name}") == [[1000, 1000, 0, 999, 50000]]


def _write_part(writer, part):
    writer.write([[part * 100 + i] for i in range(100)])
    writer.close()


def test_processes_share_one_upload(odps, table):
    t = table("id bigint")
    context = multiprocessing.get_context("fork")
    with t.open_writer(mp_context=context) as writer:
        workers = [context.Process(target=_write_part, args=(writer, part)) for part in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
    assert select(odps, f"select count(*), count(distinct id), sum(id) from {t.name}") == [[300, 300, 44850]]


def _write_block(access, table_name, upload_id, block):
    from odps import ODPS

    session = TableTunnel(ODPS(**access)).create_upload_session(table_name, upload_id=upload_id)
    with session.open_record_writer(block) as writer:
        writer.write(session.new_record([block]))


def test_processes_attach_by_upload_id(odps, endpoint, table):
    t = table("id bigint")
    session = TableTunnel(odps).create_upload_session(t.name)
    access = dict(access_id="local", secret_access_key="local-secret", project="local", endpoint=endpoint.url)
    workers = [multiprocessing.get_context("fork").Process(target=_write_block, args=(access, t.name, session.id, block)) for block in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert sorted(session.get_block_list()) == [0, 1, 2]
    session.commit([0, 1, 2])
    assert select(odps, f"select id from {t.name}") == [[0], [1], [2]]


@pytest.mark.smoke
def test_overwrite_replaces_and_append_appends(odps, table):
    t = table("id bigint")
    odps.write_table(t, [[1], [2]])
    odps.write_table(t, [[3]])
    assert select(odps, f"select id from {t.name} order by id") == [[1], [2], [3]]
    odps.write_table(t, [[4]], overwrite=True)
    assert select(odps, f"select id from {t.name}") == [[4]]
    with t.open_writer(overwrite=True):
        pass
    assert select(odps, f"select count(*) from {t.name}") == [[0]]


def test_nothing_is_visible_before_commit(odps, table):
    t = table("id bigint")
    writer = t.open_writer(commit=False)
    writer.write([[1]])
    writer.close()
    assert select(odps, f"select count(*) from {t.name}") == [[0]]
    session = TableTunnel(odps).create_upload_session(t.name, upload_id=writer.upload_id)
    session.commit(session.get_block_list())
    assert select(odps, f"select id from {t.name}") == [[1]]


def test_error_in_the_block_commits_nothing(odps, table):
    t = table("id bigint")
    with pytest.raises(ZeroDivisionError):
        with t.open_writer() as writer:
            writer.write([[1]])
            _ = 1 / 0
    assert select(odps, f"select count(*) from {t.name}") == [[0]]


def test_partition_is_made_by_the_writer(odps, table):
    t = table(("id bigint", "dt string"))
    with t.open_writer(partition="dt=1", create_partition=True) as writer:
        writer.write([[1]])
    odps.write_table(t, [[2]], partition="dt=2", create_partition=True)
    assert select(odps, f"select dt, id from {t.name} order by dt") == [["1", 1], ["2", 2]]


def test_overwrite_of_one_partition(odps, table):
    t = table(("id bigint", "dt string"))
    for day in "12":
        odps.write_table(t, [[int(day)]], partition=f"dt={day}", create_partition=True)
    odps.write_table(t, [[9]], partition="dt=2", overwrite=True)
    assert select(odps, f"select dt, id from {t.name} order by dt") == [["1", 1], ["2", 9]]


def test_write_table_spreads_rows_over_partitions(odps, table):
    t = table(("id bigint", "dt string"))
    frame = pd.DataFrame({"id": [1, 2, 3], "dt": ["a", "b", "a"]})
    odps.write_table(t.name, frame, partitions=["dt"], create_partition=True)
    assert select(odps, f"select dt, count(*), sum(id) from {t.name} group by dt order by dt") == [["a", 2, 4], ["b", 1, 2]]


def test_write_table_makes_the_table(odps, name):
    n = name()
    odps.write_table(n, pd.DataFrame({"id": [1, 2], "s": ["x", "y"]}), create_table=True)
    assert select(odps, f"select s, id from {n} order by id desc") == [["y", 2], ["x", 1]]


def test_read_table_by_range_and_columns(odps, table):
    t = table(("id bigint, s string", "dt string"))
    odps.write_table(t, [[i, str(i)] for i in range(100)], partition="dt=1", create_partition=True)
    assert [list(r.values) for r in odps.read_table(t.name, partition="dt=1", columns=["s"], start=5, limit=12, step=4)][:3] == [["5"], ["9"], ["13"]]
    assert len(list(odps.read_table(t.name, 7, partition="dt=1"))) == 7


def test_reader_keeps_its_snapshot(odps, table):
    t = table("id bigint")
    odps.write_table(t, [[1]])
    with t.open_reader() as reader:
        odps.write_table(t, [[2]])
        assert ids(reader) == [1]
    with t.open_reader(reopen=True) as fresh:
        assert sorted(ids(fresh)) == [1, 2]


def test_download_session_survives_overwrite(odps, table):
    t = table("id bigint")
    odps.write_table(t, [[1], [2]])
    session = TableTunnel(odps).create_download_session(t.name)
    odps.write_table(t, [[3]], overwrite=True)
    with session.open_record_reader(0, session.count) as reader:
        assert [r[0] for r in reader] == [1, 2]


def test_columns_in_any_order(odps, table):
    t = table("a bigint, b string, c double")
    odps.write_table(t, [[1, "x", 0.5]])
    with t.open_reader(columns=["c", "a"]) as reader:
        assert [(r["c"], r["a"]) for r in reader] == [(0.5, 1)]
    with t.open_reader(arrow=True, columns=["c", "a"], reopen=True) as reader:
        got = reader.read_all()
        assert (got.column("a").to_pylist(), got.column("c").to_pylist()) == ([1], [0.5])


@pytest.mark.parametrize("arrow", [False, True])
def test_empty_table(table, arrow):
    t = table("id bigint, s string")
    with t.open_reader(arrow=arrow) as reader:
        assert reader.count == 0
        assert len(reader.read_all() if arrow else list(reader)) == 0
    with t.open_writer(arrow=arrow):
        pass
    with t.open_reader(arrow=arrow, reopen=True) as reader:
        assert reader.count == 0


def test_wide_rows_and_large_values(odps, table):
    width = 300
    t = table(", ".join(f"c{i} string" for i in range(width)))
    odps.write_table(t, [[f"{i}" for i in range(width)], ["y" * 10000] * width])
    assert select(odps, f"select c0, c299, length(c150) from {t.name} order by length(c0)") == [["0", "299", 3], ["y" * 10000, "y" * 10000, 10000]]


def test_value_beyond_eight_megabytes_is_refused(odps, table):
    t = table("s string")
    with pytest.raises((ValueError, errors.ODPSError)):
        odps.write_table(t, [["x" * (8 * 1024 * 1024 + 1)]])
    assert select(odps, f"select count(*) from {t.name}") == [[0]]
    odps.write_table(t, [["x" * (8 * 1024 * 1024)]])
    assert select(odps, f"select length(s) from {t.name}") == [[8 * 1024 * 1024]]


def test_not_null_columns_refuse_null(odps, name):
    n = name()
    odps.execute_sql(f"create table {n} (id bigint not null, s string)")
    t = odps.get_table(n)
    with pytest.raises((ValueError, errors.ODPSError)):
        odps.write_table(t, [[None, "x"]])
    assert select(odps, f"select count(*) from {n}") == [[0]]
