"""Partitions as PyODPS makes, finds and drops them."""

import pytest
from odps import errors
from odps.types import PartitionSpec


@pytest.fixture
def days(odps, table):
    """A table with partitions dt=1..3 × hour=a,b and one row in each: id = 10 · dt + hour."""
    t = table(("id bigint", "dt string, hour string"))
    for dt in (1, 2, 3):
        for number, hour in enumerate("ab"):
            odps.write_table(t, [[10 * dt + number]], partition=f"dt={dt},hour={hour}", create_partition=True)
    return t


def specs(partitions):
    return [str(p.partition_spec) for p in partitions]


@pytest.mark.smoke
def test_partition_life(table):
    t = table(("id bigint", "dt string"))
    assert not t.exist_partition("dt=1")
    p = t.create_partition("dt=1")
    assert p.name == "dt='1'"
    assert t.exist_partition("dt='1'") and t.exist_partition("dt=1") and not t.exist_partition("dt=2")
    with pytest.raises(errors.ODPSError, match="(?i)exist"):
        t.create_partition("dt=1")
    t.create_partition("dt=1", if_not_exists=True)
    t.delete_partition("dt=1")
    assert not t.exist_partition("dt=1")
    with pytest.raises(errors.NoSuchObject, match="partition not found"):
        t.delete_partition("dt=1")
    t.delete_partition("dt=1", if_exists=True)


@pytest.mark.smoke
def test_partitions_are_iterated_and_filtered(days):
    everything = [f"dt='{d}',hour='{h}'" for d in (1, 2, 3) for h in "ab"]
    assert specs(days.partitions) == everything
    assert specs(days.iterate_partitions(spec="dt=2")) == everything[2:4]
    assert specs(days.iterate_partitions(spec="dt=2", reverse=True)) == everything[3:1:-1]
    assert specs(days.iterate_partitions(spec="dt=9")) == []
    assert days.exist_partitions("dt=3") and not days.exist_partitions("dt=4")


@pytest.mark.parametrize(
    "condition, kept",
    [("dt>=2", [2, 2, 3, 3]), ("dt>1,dt<3", [2, 2]), ("dt!=2", [1, 1, 3, 3]), ("dt=1,hour=b", [1])],
)
def test_partition_conditions_of_the_client(days, condition, kept):
    assert [int(PartitionSpec(p.partition_spec)["dt"]) for p in days.iterate_partitions(spec=condition)] == kept


def test_greatest_partition(days):
    assert str(days.get_max_partition().partition_spec) == "dt='3',hour='b'"
    assert str(days.get_max_partition("dt=2").partition_spec) == "dt='2',hour='b'"
    days.create_partition("dt=4,hour=a")
    assert str(days.get_max_partition(skip_empty=True).partition_spec) == "dt='3',hour='b'"
    assert str(days.get_max_partition(skip_empty=False).partition_spec) == "dt='4',hour='a'"


def test_partition_tells_size_rows_and_times(odps, days):
    p = days.get_partition("dt=1,hour=a")
    p.reload()
    assert p.size > 0
    assert p.record_num == 1
    assert p.creation_time <= p.last_data_modified_time


def test_partition_reads_its_own_rows(days):
    p = days.get_partition("dt=2,hour=b")
    with p.open_reader() as reader:
        assert [r["id"] for r in reader] == [21]
        assert reader.count == 1
    assert [r["id"] for r in p.head(5)] == [21]


def test_partition_columns_are_appended_on_demand(days):
    with days.open_reader(partition="dt=2,hour=b") as reader:
        assert [list(r.values) for r in reader] == [[21, "2", "b"]]
    with days.open_reader(partition="dt=2,hour=b", append_partitions=False, reopen=True) as reader:
        assert [list(r.values) for r in reader] == [[21]]
    with days.open_reader(partition="dt=2,hour=b", columns=["id", "hour"], reopen=True) as reader:
        assert [(r["hour"], r["id"]) for r in reader] == [("b", 21)]


def test_truncating_one_partition_leaves_the_others(odps, days):
    days.truncate("dt=1,hour=a")
    assert days.exist_partition("dt=1,hour=a")
    with odps.execute_sql(f"select id from {days.name} order by id").open_reader(tunnel=True) as reader:
        assert [r[0] for r in reader] == [11, 20, 21, 30, 31]


def test_deleting_a_partition_deletes_its_rows(odps, days):
    days.get_partition("dt=3,hour=a").drop()
    with odps.execute_sql(f"select count(*), sum(id) from {days.name} where dt = '3'").open_reader(tunnel=True) as reader:
        assert [list(r.values) for r in reader] == [[1, 31]]
    days.create_partition("dt=3,hour=a")
    with days.open_reader(partition="dt=3,hour=a") as reader:
        assert list(reader) == []


def test_several_partitions_in_one_statement(odps, table):
    t = table(("id bigint", "dt string"))
    odps.execute_sql(f"alter table {t.name} add partition (dt='1') partition (dt='2')")
    odps.execute_sql(f"alter table {t.name} drop partition (dt='1'), partition (dt='2')")
    assert specs(t.partitions) == []


def test_values_with_unusual_characters(odps, table):
    t = table(("id bigint", "dt string"))
    for i, value in enumerate(["2024-01-02 03:04:05", "中文", "a.b-c_d", "50%", "x+y&z"]):
        odps.write_table(t, [[i]], partition=f"dt='{value}'", create_partition=True)
        with t.open_reader(partition=f"dt='{value}'") as reader:
            assert [list(r.values) for r in reader] == [[i, value]]
    with odps.execute_sql(f"select dt from {t.name} where dt = '中文'").open_reader(tunnel=True) as reader:
        assert [r[0] for r in reader] == ["中文"]


def test_number_partitions(odps, table):
    t = table(("id bigint", "n bigint"))
    odps.write_table(t, [[1]], partition="n=7", create_partition=True)
    with odps.execute_sql(f"select id, n + 1 from {t.name} where n > 6").open_reader(tunnel=True) as reader:
        assert [list(r.values) for r in reader] == [[1, 8]]


@pytest.mark.parametrize("spec", ["nosuch=1", "dt=1,more=2"])
def test_wrong_partition_columns_are_refused(table, spec):
    t = table(("id bigint", "dt string"))
    with pytest.raises(errors.ODPSError):
        t.create_partition(spec)
    assert specs(t.partitions) == []


def test_missing_partition_is_named(table):
    t = table(("id bigint", "dt string"))
    with pytest.raises(errors.NoSuchPartition):
        t.open_reader(partition="dt=1")
    with pytest.raises(errors.NoSuchPartition):
        t.open_writer(partition="dt=1")
    with pytest.raises(errors.NoSuchPartition):
        t.get_partition("dt=1").reload()


def test_partitioned_table_wants_a_partition(table):
    t = table(("id bigint", "dt string"))
    with pytest.raises(errors.ODPSError, match="(?i)partition"):
        t.open_writer()
