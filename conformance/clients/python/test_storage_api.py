"""The read side of the Storage API through PyODPS's Arrow client."""

import datetime
import decimal

import pyarrow as pa
import pytest
from odps import errors
from odps.apis.storage_api import (
    ArrowOptions,
    Compression,
    ReadRowsRequest,
    SessionRequest,
    SessionStatus,
    SplitOptions,
    Status,
    StorageApiArrowClient,
    TableBatchScanRequest,
    TableBatchWriteRequest,
)

ROWS = [[i, f"name {i}", i / 4, i % 3 == 0] for i in range(1000)]


@pytest.fixture
def client(odps):
    return lambda table: StorageApiArrowClient(odps, table)


@pytest.fixture
def filled(odps, table):
    """A partitioned table: 1000 rows in pt=a, 10 in pt=b."""
    t = table(("id bigint, s string, d double, b boolean", "pt string"))
    for pt, rows in (("a", ROWS), ("b", ROWS[:10])):
        odps.write_table(t.name, rows, partition=f"pt={pt}", create_partition=True)
    return t


def opened(client, **kw):
    session = client.create_read_session(TableBatchScanRequest(**kw))
    assert (session.status, session.session_status) == (Status.OK, SessionStatus.NORMAL)
    return session


def split(mode, number=None, cross=True):
    return SplitOptions(split_mode=mode, split_number=number, cross_partition=cross)


def read(client, session, **kw):
    reader = client.read_rows_arrow(ReadRowsRequest(session_id=session.session_id, **kw))
    batches = []
    while True:
        batch = reader.read()
        if batch is None:
            return batches
        batches.append(batch)


def rows_of(batches):
    return [tuple(r.values()) for b in batches for r in b.to_pylist()]


def everything(client, session):
    return [r for i in range(session.split_count) for r in rows_of(read(client, session, split_index=i))]


def expected(pts="ab"):
    return [(*r, pt) for pt in pts for r in (ROWS if pt == "a" else ROWS[:10])]


@pytest.mark.smoke
def test_all_rows_come_in_order_with_partition_columns(client, filled):
    c = client(filled)
    session = opened(c)
    assert [x.name for x in session.data_schema.data_columns] == ["id", "s", "d", "b"]
    assert [(x.name, x.type) for x in session.data_schema.partition_columns] == [("pt", "string")]
    assert everything(c, session) == expected()
    again = c.get_read_session(SessionRequest(session.session_id, refresh=True))
    assert (again.session_id, again.split_count) == (session.session_id, session.split_count)


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("mode, number", [("Size", 256 << 20), ("Parallelism", 7), ("Bucket", None)])
def test_splits_together_are_the_table(client, filled, mode, number, cross):
    c = client(filled)
    session = opened(c, split_options=split(SplitOptions.SplitMode(mode), number, cross))
    assert everything(c, session) == expected()
    if mode == "Parallelism" and cross:
        assert session.split_count == 7


def test_row_ranges_are_exact(client, filled):
    c = client(filled)
    session = opened(c, split_options=split(SplitOptions.SplitMode.ROW_OFFSET, 0))
    assert session.record_count == 1010
    for start, count in ((0, 1010), (0, 1), (995, 10), (1009, 1)):
        got = rows_of(read(c, session, row_index=start, row_count=count, max_batch_rows=4))
        assert got == expected()[start : start + count]


def test_columns_and_partitions_are_chosen(client, filled):
    c = client(filled)
    session = opened(c, required_data_columns=["s", "id"], required_partition_columns=["pt"], required_partitions=["pt=b"])
    assert everything(c, session) == [(r[0], r[1], "b") for r in ROWS[:10]]


@pytest.mark.parametrize(
    "predicate, keep",
    [
        ("`id` > 5", lambda r: r[0] > 5),
        ("id != 5 and (`s` = 'name 7' or `s` = \"name 8\")", lambda r: r[1] in ("name 7", "name 8")),
        ("`pt` = 'b'", lambda r: r[4] == "b"),
        ("`id` in (1, 2, 999)", lambda r: r[0] in (1, 2, 999)),
        ("`id` not in (1, 2)", lambda r: r[0] not in (1, 2)),
        ("`s` is null", lambda r: False),
        ("`s` is not null", lambda r: True),
        ("not (`b` = true)", lambda r: not r[3]),
        ("(`d` >= 1.5) and (`d` <= 2.5)", lambda r: 1.5 <= r[2] <= 2.5),
        ("id % 100 = 0", lambda r: r[0] % 100 == 0),
    ],
)
def test_filter_predicates_are_applied(client, filled, predicate, keep):
    c = client(filled)
    session = opened(c, filter_predicate=predicate, split_options=split(SplitOptions.SplitMode.PARALLELISM, 3))
    assert everything(c, session) == [r for r in expected() if keep(r)]


@pytest.mark.parametrize("predicate", ["`nope` = 1", "id >", "1=1) union all (select 1", "id = 1; drop table t", "id in (select id from t)", "id = (", "/* */"])
def test_other_predicates_are_refused(client, filled, predicate):
    with pytest.raises(errors.ODPSError) as refusal:
        opened(client(filled), filter_predicate=predicate)
    assert refusal.value.status_code == 400


@pytest.mark.parametrize("compression", list(Compression))
def test_compression_changes_nothing(client, filled, compression):
    c = client(filled)
    session = opened(c)
    assert rows_of(read(c, session, split_index=0, compression=compression)) == expected()


def test_batches_have_no_more_rows_than_asked_for(client, filled):
    c = client(filled)
    batches = read(c, opened(c), split_index=0, max_batch_rows=64)
    assert max(b.num_rows for b in batches) == 64 and rows_of(batches) == expected()


def test_rows_are_those_of_the_sessions_creation(odps, client, filled):
    c = client(filled)
    session = opened(c)
    filled.delete_partition("pt=b")
    odps.write_table(filled.name, [[-1, "new", 0.0, True]], partition="pt=a")
    assert everything(c, session) == expected()


def test_an_empty_table_has_no_rows(client, table):
    c = client(table("id bigint"))
    session = opened(c)
    assert everything(c, session) == []
    assert rows_of(read(c, session, split_index=0)) == []


def test_units_and_nested_types(odps, client, table):
    t = table("ts timestamp, tm datetime, dc decimal(20,3), dt date, y binary, l array<string>, m map<string,bigint>, st struct<a:bigint,b:timestamp>")
    odps.execute_sql(
        f"insert into {t.name} select timestamp '2024-01-02 03:04:05.123456', cast('2024-01-02 03:04:05' as datetime), cast('1.250' as decimal(20,3)), "
        "cast('2024-01-02' as date), cast('ab' as binary), array('x', null), map('k', 1L), null"
    )
    c = client(t)
    unit = ArrowOptions.TimestampUnit
    session = opened(c, arrow_options=ArrowOptions(timestamp_unit=unit.MICRO, date_time_unit=unit.SECOND))
    (batch,) = read(c, session, split_index=0)
    assert batch.schema.field("ts").type == pa.timestamp("us") and batch.schema.field("tm").type == pa.timestamp("s")
    at = datetime.datetime(2024, 1, 2, 3, 4, 5)
    assert batch.to_pylist() == [
        {
            "ts": at.replace(microsecond=123456),
            "tm": at,
            "dc": decimal.Decimal("1.250"),
            "dt": at.date(),
            "y": b"ab",
            "l": ["x", None],
            "m": [("k", 1)],
            "st": None,
        }
    ]
    coarse = opened(c, arrow_options=ArrowOptions(timestamp_unit=unit.MILLI))
    with pytest.raises(Exception, match="finer than the unit"):
        read(c, coarse, split_index=0)


def test_wrong_requests_are_refused(client, filled):
    c = client(filled)
    for kw in (
        {"required_data_columns": ["nope"]},
        {"required_data_columns": ["pt"]},
        {"required_data_columns": ["id", "ID"]},
        {"required_partitions": ["hh=1"]},
        {"split_options": split(SplitOptions.SplitMode.SIZE, 1)},
        {"required_bucket_ids": [3]},
    ):
        with pytest.raises(errors.ODPSError) as refusal:
            opened(c, **kw)
        assert refusal.value.status_code == 400, kw
    with pytest.raises(errors.ODPSError) as refusal:
        opened(c, required_partitions=["pt=zz"])
    assert refusal.value.status_code == 404
    with pytest.raises(errors.ODPSError) as refusal:
        c.get_read_session(SessionRequest("nobody"))
    assert refusal.value.status_code == 404
    with pytest.raises(errors.ODPSError) as refusal:
        c.create_write_session(TableBatchWriteRequest())
    assert refusal.value.status_code == 404
