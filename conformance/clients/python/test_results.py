"""Queries and how PyODPS reads their results."""

import datetime

import pyarrow as pa
import pytest
from odps import errors, options


@pytest.fixture
def numbers(odps, table):
    """A table of 12,000 rows: more than a result text may hold."""
    t = table("id bigint, s string")
    odps.write_table(t, [[i, f"n{i % 10}"] for i in range(12000)])
    return t


@pytest.mark.smoke
def test_result_text_and_tunnel_agree(odps, table):
    t = table("id bigint, s string, v double, d datetime")
    odps.write_table(t, [[1, 'q"u,o\nte', 0.1, datetime.datetime(2024, 2, 29, 12)], [2, None, None, None]])
    instance = odps.execute_sql(f"select * from {t.name} order by id")
    with instance.open_reader(tunnel=True) as by_tunnel, instance.open_reader(tunnel=False) as by_text:
        assert [list(r.values) for r in by_tunnel] == [list(r.values) for r in by_text] == [
            [1, 'q"u,o\nte', 0.1, datetime.datetime(2024, 2, 29, 12)],
            [2, None, None, None],
        ]


@pytest.mark.smoke
def test_tunnel_returns_all_rows_the_text_ten_thousand(odps, numbers):
    sql = f"select id from {numbers.name} order by id"
    with odps.execute_sql(sql).open_reader(tunnel=True, limit=False) as reader:
        assert reader.count == 12000
        assert [r[0] for r in reader[11998:]] == [11998, 11999]
    instance = odps.execute_sql(sql)
    with instance.open_reader(tunnel=True, limit=True) as reader:
        assert reader.count == 10000
        assert sum(1 for _ in reader) == 10000
    with instance.open_reader(tunnel=False, limit=True) as reader:
        assert sum(1 for _ in reader) == 10000
    with pytest.raises(errors.NotSupportedError, match="truncated"):
        with instance.open_reader(tunnel=False, limit=False) as reader:
            list(reader)


@pytest.mark.smoke
def test_arrow_result_by_slices(odps, numbers):
    instance = odps.execute_sql(f"select s, count(*) c, min(id) from {numbers.name} group by s order by s")
    with instance.open_reader(tunnel=True, arrow=True) as reader:
        got = reader.read_all()
    assert got.column("c").to_pylist() == [1200] * 10
    assert got.column("s").to_pylist()[:2] == ["n0", "n1"]
    with instance.open_reader(tunnel=True, arrow=True) as reader:
        assert pa.Table.from_batches(list(reader)).num_rows == 10


def test_result_as_pandas(odps, numbers):
    with odps.execute_sql(f"select id, s from {numbers.name} where id < 3 order by id").open_reader(tunnel=True) as reader:
        frame = reader.to_pandas()
    assert frame["id"].tolist() == [0, 1, 2]
    assert frame["s"].tolist() == ["n0", "n1", "n2"]


def test_slices_of_a_result(odps, numbers):
    with odps.execute_sql(f"select id from {numbers.name} order by id").open_reader(tunnel=True) as reader:
        assert [r[0] for r in reader[10:20:4]] == [10, 14, 18]
        assert reader[5][0] == 5


def test_limits_chosen_by_options(odps, numbers):
    options.tunnel.use_instance_tunnel = True
    options.tunnel.limit_instance_tunnel = False
    with odps.execute_sql(f"select * from {numbers.name}").open_reader() as reader:
        assert reader.count == 12000
    options.tunnel.limit_instance_tunnel = True
    with odps.execute_sql(f"select * from {numbers.name}").open_reader() as reader:
        assert reader.count == 10000


@pytest.mark.smoke
def test_query_runs_apart_and_is_waited_for(odps, table):
    t = table("id bigint")
    instance = odps.run_sql(f"insert into {t.name} values (1L), (2L)")
    instance.wait_for_success()
    assert instance.is_terminated() and instance.is_successful()
    assert odps.get_instance(instance.id).get_sql_query().strip().startswith("insert into")
    assert odps.exist_instance(instance.id)
    with odps.execute_sql(f"select sum(id) from {t.name}").open_reader(tunnel=True) as reader:
        assert [r[0] for r in reader] == [3]


def test_task_tells_status_results_and_summary(odps):
    instance = odps.execute_sql("select 1 as a")
    task = instance.get_task_names()[0]
    statuses = instance.get_task_statuses()
    assert statuses[task].status.name == "SUCCESS"
    assert instance.get_task_results()[task] == '"a"\n1\n'
    assert instance.get_task_summary(task) is not None
    assert instance.get_task_progress(task) is not None
    assert instance.get_task_detail(task) is not None
    assert instance.start_time <= instance.end_time


def test_query_has_a_log_view_and_logs(odps):
    instance = odps.execute_sql("select 1 as a")
    assert instance.id in instance.get_logview_address()
    assert instance.project.name == "local"
    assert instance.owner == odps.get_project().owner


def test_failed_query_raises_its_own_error(odps):
    with pytest.raises(errors.ParseError):
        odps.execute_sql("selct 1")
    with pytest.raises(errors.NoSuchTable):
        odps.execute_sql("select * from nobody_made_this")
    instance = odps.run_sql("select * from nobody_made_this")
    instance.wait_for_completion()
    assert instance.is_terminated() and not instance.is_successful()
    with pytest.raises(errors.ODPSError):
        instance.open_reader(tunnel=True)


def test_hints_travel_with_the_query(odps):
    instance = odps.execute_sql("select 1", hints={"odps.sql.type.system.odps2": "true", "odps.sql.mapper.split.size": 16})
    assert '"odps.sql.mapper.split.size": "16"' in odps.get_instance(instance.id).tasks[0].properties["settings"]


def test_settings_before_the_query(odps):
    with odps.execute_sql("set odps.sql.type.system.odps2=true; select 2 as b;").open_reader(tunnel=True) as reader:
        assert [r["b"] for r in reader] == [2]


def test_create_table_as_select(odps, numbers, name):
    n = name()
    odps.execute_sql(f"create table {n} lifecycle 1 as select s, max(id) as top from {numbers.name} group by s")
    with odps.get_table(n).open_reader() as reader:
        assert sorted((r["s"], r["top"]) for r in reader)[:2] == [("n0", 11990), ("n1", 11991)]


def test_dynamic_partitions(odps, numbers, table):
    t = table(("id bigint", "s string"))
    odps.execute_sql(f"insert overwrite table {t.name} partition (s) select id, s from {numbers.name} where id < 25")
    assert [str(p.partition_spec) for p in t.partitions] == [f"s='n{i}'" for i in range(10)]
    with t.open_reader(partition="s=n4", append_partitions=False) as reader:
        assert sorted(r["id"] for r in reader) == [4, 14, 24]


def test_result_kept_for_a_second_reader(odps):
    instance = odps.execute_sql("select 42 as a")
    again = odps.get_instance(instance.id)
    for source in (instance, again, again):
        with source.open_reader(tunnel=True) as reader:
            assert [r[0] for r in reader] == [42]


def test_text_of_definitions_is_readable(odps, table):
    t = table(("id bigint comment 'key'", "dt string"))
    t.create_partition("dt=1")
    with odps.execute_sql(f"desc {t.name}").open_reader() as reader:
        assert "key" in reader.raw
    with odps.execute_sql(f"show partitions {t.name}").open_reader() as reader:
        assert "dt=1" in reader.raw
