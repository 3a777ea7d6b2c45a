"""Values whose form is easily lost: times and zones, decimals, floats, texts; beyond what the matrix holds."""

import datetime
import decimal
import math
import zoneinfo

import pandas as pd
import pytest
from odps import errors, options
from odps.types import Monthdelta

UTC = datetime.timezone.utc
SHANGHAI = zoneinfo.ZoneInfo("Asia/Shanghai")


def text(odps, sql):
    with odps.execute_sql(sql).open_reader(tunnel=True) as reader:
        return [list(r.values) for r in reader]


@pytest.mark.smoke
@pytest.mark.parametrize("zone", [False, True, "Asia/Shanghai", "America/New_York"])
def test_datetime_written_in_one_zone_is_read_in_another(odps, table, zone):
    t = table("d datetime")
    options.local_timezone = zone
    wall = datetime.datetime(2024, 7, 1, 12, 30, 15)
    odps.write_table(t, [[wall]])
    options.local_timezone = False
    if zone is True:  # this machine's
        shift = wall.astimezone().utcoffset()
    else:
        shift = wall.replace(tzinfo=zoneinfo.ZoneInfo(zone or "UTC")).utcoffset()
    with t.open_reader() as reader:
        assert [r[0] for r in reader] == [wall - shift]
    options.local_timezone = "Asia/Shanghai"
    with t.open_reader(reopen=True) as reader:
        assert [r[0].replace(tzinfo=SHANGHAI) for r in reader] == [(wall - shift).replace(tzinfo=UTC)]


def test_datetime_with_a_zone_of_its_own(odps, table):
    t = table("d datetime")
    odps.write_table(t, [[datetime.datetime(2024, 7, 1, 12, tzinfo=SHANGHAI)], [datetime.datetime(2024, 7, 1, 12, tzinfo=UTC)]])
    options.local_timezone = False
    with t.open_reader() as reader:
        assert [r[0] for r in reader] == [datetime.datetime(2024, 7, 1, 4), datetime.datetime(2024, 7, 1, 12)]


@pytest.mark.parametrize("zone", [False, "Asia/Shanghai"])
def test_wall_time_has_no_zone(odps, table, zone):
    t = table("n timestamp_ntz, z timestamp")
    options.local_timezone = zone
    wall = pd.Timestamp("2024-07-01 12:30:15.123456789")
    odps.write_table(t, [[wall, wall]])
    options.local_timezone = False
    with t.open_reader() as reader:
        [(n, z)] = [r.values for r in reader]
    assert n == wall
    assert z == wall - (pd.Timedelta(0) if zone is False else pd.Timedelta(hours=8))


@pytest.mark.parametrize(
    "moment",
    [datetime.datetime(1, 1, 1), datetime.datetime(1582, 10, 15, 1, 2, 3), datetime.datetime(1969, 12, 31, 23, 59, 59, 999000), datetime.datetime(9999, 12, 31, 23, 59, 59, 999000)],
)
def test_datetime_of_any_year(odps, table, moment):
    t = table("id bigint, d datetime, day date")
    options.local_timezone, options.allow_antique_date = False, True
    odps.write_table(t, [[1, moment, moment.date()], [2, None, None]])
    with t.open_reader(arrow=True, columns=["d", "day"]) as reader:
        got = reader.read_all()
    assert [v and v.replace(tzinfo=None) for v in got.column("d").to_pylist()] == [moment, None]
    assert got.column("day").to_pylist() == [moment.date(), None]
    assert text(odps, f"select day from {t.name} where d is not null") == [[moment.date()]]


@pytest.mark.parametrize("nanos", [0, 1, 999_999_999, 123_456_789])
@pytest.mark.parametrize("second", [-5_000_000_000, -1, 0, 1_700_000_000])
def test_timestamp_to_the_nanosecond(odps, table, second, nanos):
    t = table("at timestamp")
    options.local_timezone, options.allow_antique_date = False, True
    moment = pd.Timestamp(second * 10**9 + nanos)
    odps.write_table(t, [[moment]])
    with t.open_reader(arrow=True) as reader:
        assert [v.value for v in reader.read_all().column("at")] == [moment.value]
    with t.open_reader(reopen=True) as reader:
        assert [r[0].value for r in reader] == [moment.value]


@pytest.mark.smoke
@pytest.mark.parametrize(
    "kind, given, want",
    [
        ("decimal(10,2)", "1.005", "1.01"),
        ("decimal(10,2)", "-1.005", "-1.01"),
        ("decimal(38,18)", "0E-18", "0.000000000000000000"),
        ("decimal(38,18)", "1E-18", "0.000000000000000001"),
        ("decimal(38,18)", "99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
        ("decimal(38,0)", "-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"),
        ("decimal", "123456789012345678901234567890.5", "123456789012345678901234567890.500000000000000000"),
    ],
)
def test_decimals(odps, table, kind, given, want):
    t = table(f"d {kind}")
    odps.write_table(t, [[decimal.Decimal(given)], [None]])
    with t.open_reader() as reader:
        assert [None if r[0] is None else f"{r[0]:f}" for r in reader] == [want, None]


def test_decimal_read_and_written_back(odps, table):
    t, copy = table("d decimal(38,18)"), table("d decimal(38,18)")
    odps.write_table(t, [[decimal.Decimal(v)] for v in ("0", "0.0000001", "-0.000000000000000001", "12")])
    with t.open_reader() as reader:
        odps.write_table(copy, [list(r.values) for r in reader])
    assert text(odps, f"select count(*), sum(d) from {copy.name}") == [[4, decimal.Decimal("12.000000099999999999")]]


@pytest.mark.parametrize("kind", ["float", "double"])
def test_floats_that_are_no_numbers(odps, table, kind):
    t = table(f"id bigint, v {kind}")
    odps.write_table(t, [[1, math.nan], [2, math.inf], [3, -math.inf], [4, -0.0], [5, None]])
    with t.open_reader(arrow=True, columns=["v"]) as reader:
        got = reader.read_all().column("v").to_pylist()
    assert math.isnan(got[0]) and got[1:3] == [math.inf, -math.inf] and math.copysign(1, got[3]) == -1 and got[4] is None
    assert text(odps, f"select id from {t.name} where v > 1e30 and v < cast('nan' as double) order by id") == [[2]]


def test_intervals(odps, table):
    t = table("d interval_day_time, m interval_year_month")
    odps.write_table(t, [[pd.Timedelta(days=-1, nanoseconds=5), Monthdelta(-14)], [pd.Timedelta(0), Monthdelta(0)]])
    assert [[d, m.total_months()] for d, m in text(odps, f"select d, m from {t.name}")] == [[pd.Timedelta(days=-1, nanoseconds=5), -14], [pd.Timedelta(0), 0]]


def test_json_is_a_document(odps, table):
    t = table("j json")
    documents = [{"a": [1, None, {"b": "中文 😀"}]}, [], "text", 1.5, True]
    odps.write_table(t, [[d] for d in documents])
    assert [r[0] for r in text(odps, f"select j from {t.name}")] == documents


def test_texts_as_bytes(odps, table):
    t = table("s string, b binary")
    odps.write_table(t, [["中文", b"\xff\x00"]])
    options.tunnel.string_as_binary = True
    with t.open_reader() as reader:
        assert [list(r.values) for r in reader] == [["中文".encode(), b"\xff\x00"]]


def test_deep_nesting(odps, table):
    t = table("v array<map<string,struct<a:array<struct<b:map<bigint,string>>>>>>")
    value = [{"k": {"a": [{"b": {1: "x", -1: None}}, {"b": {}}]}}, {}]
    odps.write_table(t, [[value], [[]], [None]])
    with t.open_reader(arrow=True) as reader:
        got = reader.read_all().column("v").to_pylist()
    assert got == [[[("k", {"a": [{"b": [(1, "x"), (-1, None)]}, {"b": []}]})], []], [], None]


@pytest.mark.parametrize("kind, value", [("tinyint", 128), ("smallint", 32768), ("int", 2**31), ("bigint", 2**63), ("varchar(3)", "abcd"), ("char(2)", "abc"), ("decimal(4,2)", decimal.Decimal("100"))])
def test_values_out_of_range_are_refused(odps, table, kind, value):
    t = table(f"v {kind}")
    with pytest.raises((ValueError, OverflowError, errors.ODPSError)):
        odps.write_table(t, [[value]])
    assert text(odps, f"select count(*) from {t.name}") == [[0]]
