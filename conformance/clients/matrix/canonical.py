"""Canonical JSON values of the matrix (README.md, "Values") to and from what PyODPS and pyarrow use.

Types are PyODPS's own parsed types. Nothing here rounds, shortens or guesses: a value that has no exact form raises.
"""

import datetime
import decimal
import json
import math
import struct

import pandas as pd
import pyarrow as pa
from odps import types as T
from odps.types import Monthdelta

EPOCH = datetime.datetime(1970, 1, 1)
DAY = 86400


def parse_type(text):
    return T.validate_data_type(text)


def scale(kind):
    """Digits after the point; DECIMAL without arguments is DECIMAL(54,18)."""
    return 18 if kind.precision is None else kind.scale or 0


# -- times: everything goes through (whole seconds, nanoseconds) from the epoch ------------------------------------------------------


def _seconds(text):
    """ISO text without zone to seconds and nanoseconds."""
    whole, _, fraction = text.partition(".")
    delta = datetime.datetime.fromisoformat(whole) - EPOCH
    return delta.days * DAY + delta.seconds, int(fraction.ljust(9, "0") or 0)


def _iso(seconds, nanos, digits):
    if not 0 <= nanos < 10**9 or nanos % 10 ** (9 - digits):
        raise ValueError(f"{nanos} ns do not fit {digits} digits")
    moment = EPOCH + datetime.timedelta(seconds=seconds)
    # strftime("%Y") of glibc does not pad the years before 1000.
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}.{nanos // 10 ** (9 - digits):0{digits}d}"


def _timestamp(text):
    """A pandas Timestamp counts nanoseconds in the years 1677 to 2262, and microseconds outside of them."""
    try:
        return pd.Timestamp(text)
    except pd.errors.OutOfBoundsDatetime:
        if not text.endswith("000"):
            raise
        return pd.Timestamp(datetime.datetime.fromisoformat(text[:-3]))


def _interval(text):
    """"-2.500000000" is minus two seconds and half a second more."""
    whole, nanos = text.split(".")
    return int(whole), int(nanos)


# -- floats: bits as hex -----------------------------------------------------------------------------------------------------------


def _to_float(text, letter):
    if text == "nan":
        return math.nan
    return struct.unpack(">" + letter, bytes.fromhex(text))[0]


def _from_float(value, letter):
    return "nan" if math.isnan(value) else struct.pack(">" + letter, value).hex()


def _from_decimal(value, kind):
    digits = scale(kind)
    context = decimal.Context(prec=80, traps=[decimal.Inexact, decimal.InvalidOperation])
    exact = decimal.Decimal(value).quantize(decimal.Decimal(1).scaleb(-digits), context=context)
    return f"{exact:f}" if exact else f"{abs(exact):f}"


def pairs(items):
    """MAP: pairs in the order of the keys' canonical text."""
    return sorted(items, key=lambda pair: json.dumps(pair[0]))


# -- records -----------------------------------------------------------------------------------------------------------------------


def to_record(value, kind):
    """Canonical to the value that a PyODPS record takes."""
    if value is None:
        return None
    if isinstance(kind, T.Array):
        return [to_record(v, kind.value_type) for v in value]
    if isinstance(kind, T.Map):
        return {to_record(k, kind.key_type): to_record(v, kind.value_type) for k, v in value}
    if isinstance(kind, T.Struct):
        return tuple(to_record(v, t) for v, t in zip(value, kind.field_types.values(), strict=True))
    if isinstance(kind, T.BaseInteger):
        return int(value)
    if kind == T.float_ or kind == T.double:
        return _to_float(value, "f" if kind == T.float_ else "d")
    if isinstance(kind, T.Decimal):
        return decimal.Decimal(value)
    if kind == T.binary:
        return bytes.fromhex(value)
    if kind == T.date:
        return datetime.date.fromisoformat(value)
    if kind == T.datetime:
        return datetime.datetime.fromisoformat(value)
    if kind == T.timestamp or kind == T.timestamp_ntz:
        return _timestamp(value)
    if kind == T.interval_day_time:
        seconds, nanos = _interval(value)
        return pd.Timedelta(seconds * 10**9 + nanos, "ns")
    if kind == T.interval_year_month:
        return Monthdelta(int(value))
    if isinstance(kind, T.Json):
        return json.loads(value)
    return value


def from_record(value, kind):
    """The inverse, for what PyODPS's record readers return."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(kind, T.Array):
        return [from_record(v, kind.value_type) for v in value]
    if isinstance(kind, T.Map):
        return pairs([from_record(k, kind.key_type), from_record(v, kind.value_type)] for k, v in value.items())
    if isinstance(kind, T.Struct):
        return [from_record(v, t) for v, t in zip(value, kind.field_types.values(), strict=True)]
    if isinstance(kind, T.BaseInteger):
        return str(int(value))
    if kind == T.float_ or kind == T.double:
        return _from_float(value, "f" if kind == T.float_ else "d")
    if isinstance(kind, T.Decimal):
        return _from_decimal(value, kind)
    if kind == T.binary:
        return bytes(value).hex()
    if kind == T.date:
        return value.isoformat()
    if kind == T.datetime:
        delta = value - EPOCH
        return _iso(delta.days * DAY + delta.seconds, delta.microseconds * 1000, 3)
    if kind == T.timestamp or kind == T.timestamp_ntz:
        moment = value.floor("s").to_pydatetime() - EPOCH
        return _iso(moment.days * DAY + moment.seconds, value.microsecond * 1000 + value.nanosecond, 9)
    if kind == T.interval_day_time:
        seconds, nanos = divmod(value.value, 10**9)
        return f"{seconds}.{nanos:09d}"
    if kind == T.interval_year_month:
        return str(value.total_months())
    if isinstance(kind, T.Json):
        return json.dumps(value, ensure_ascii=False)
    return value


def from_result(value, kind):
    """The same for the rows of a result in CSV: PyODPS leaves JSON and INTERVAL_DAY_TIME as text there."""
    if value is None or isinstance(kind, T.Json):
        return value
    if kind == T.interval_day_time:
        days, clock = value.removeprefix("-").split(" ")
        hours, minutes, seconds = clock.split(":")
        whole, fraction = seconds.split(".")
        nanos = (((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(whole)) * 10**9 + int(fraction.ljust(9, "0"))
        whole, nanos = divmod(-nanos if value.startswith("-") else nanos, 10**9)
        return f"{whole}.{nanos:09d}"
    return from_record(value, kind)


# -- Arrow -------------------------------------------------------------------------------------------------------------------------


def to_arrow(value, kind):
    """Canonical to what pyarrow.array takes for the Arrow type of PyODPS: times as counts of their unit."""
    if value is None:
        return None
    if isinstance(kind, T.Array):
        return [to_arrow(v, kind.value_type) for v in value]
    if isinstance(kind, T.Map):
        return [(to_arrow(k, kind.key_type), to_arrow(v, kind.value_type)) for k, v in value]
    if isinstance(kind, T.Struct):
        return {n: to_arrow(v, t) for v, (n, t) in zip(value, kind.field_types.items(), strict=True)}
    if kind == T.datetime:
        seconds, nanos = _seconds(value)
        return seconds * 1000 + nanos // 10**6
    if kind == T.timestamp or kind == T.timestamp_ntz:
        seconds, nanos = _seconds(value)
        return seconds * 10**9 + nanos
    if kind == T.interval_day_time:
        return dict(zip(("sec", "nano"), _interval(value)))
    if isinstance(kind, T.Json):
        return value
    return to_record(value, kind)


def from_arrow(scalar, kind):
    """A pyarrow scalar to canonical, by the declared type."""
    if not scalar.is_valid:
        return None
    if isinstance(kind, T.Array):
        return [from_arrow(v, kind.value_type) for v in scalar.values]
    if isinstance(kind, T.Map):
        keys, values = scalar.values.field(0), scalar.values.field(1)
        return pairs([from_arrow(k, kind.key_type), from_arrow(v, kind.value_type)] for k, v in zip(keys, values))
    if isinstance(kind, T.Struct):
        return [from_arrow(scalar[i], t) for i, t in enumerate(kind.field_types.values())]
    if kind in (T.datetime, T.timestamp, T.timestamp_ntz):
        digits = 3 if kind == T.datetime else 9
        if isinstance(scalar, pa.StructScalar):
            return _iso(scalar["sec"].as_py(), scalar["nano"].as_py(), digits)
        units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[scalar.type.unit]
        seconds, rest = divmod(scalar.value, units)
        return _iso(seconds, rest * (10**9 // units), digits)
    if kind == T.interval_day_time:
        return f"{scalar['sec'].as_py()}.{scalar['nano'].as_py():09d}"
    if isinstance(kind, T.Json):
        return scalar.as_py()
    return from_record(scalar.as_py(), kind)
