"""Canonical values as MaxCompute SQL expressions."""

import decimal
import struct

from odps import types as T

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


_SUFFIXES = {"tinyint": "Y", "smallint": "S", "int": "", "bigint": "L"}


def text(value):
    return "'" + "".join(_ESCAPES.get(c, c) for c in value) + "'"


def _cast(value, type_text):
    return f"cast({text(value)} as {type_text})"


def _float(value, letter):
    if value == "nan":
        return "nan"
    return repr(struct.unpack(">" + letter, bytes.fromhex(value))[0])


def literal(value, kind, type_text):
    """One value; NULL gets its type, so that a UNION of rows agrees."""
    if value is None:
        return f"cast(null as {type_text})"
    if isinstance(kind, T.Array):
        inner = kind.value_type
        items = ", ".join(literal(v, inner, inner.name) for v in value)
        return f"array({items})" if value else f"cast(array() as {type_text})"
    if isinstance(kind, T.Map):
        keys, values = kind.key_type, kind.value_type
        items = ", ".join(f"{literal(k, keys, keys.name)}, {literal(v, values, values.name)}" for k, v in value)
        return f"map({items})" if value else f"cast(map() as {type_text})"
    if isinstance(kind, T.Struct):
        fields = zip(value, kind.field_types.items(), strict=True)
        return "named_struct(" + ", ".join(f"{text(n)}, {literal(v, t, t.name)}" for v, (n, t) in fields) + ")"
    if kind == T.boolean:
        return str(value).lower()
    if isinstance(kind, T.BaseInteger):
        # The sign is an operator, and 128Y alone would be out of range.
        return _cast(value, type_text) if value.startswith("-") else value + _SUFFIXES[kind.name]
    if kind == T.float_ or kind == T.double:
        return _cast(_float(value, "f" if kind == T.float_ else "d"), type_text)
    if isinstance(kind, T.Decimal):
        short = len(decimal.Decimal(value).as_tuple().digits) <= 18
        return f"cast({value}BD as {type_text})" if short else _cast(value, type_text)
    if kind == T.binary:
        return f"unhex('{value}')"
    if kind == T.date:
        return f"date '{value}'"
    if kind == T.datetime:
        seconds, fraction = value.split(".")
        return "datetime '" + (seconds if fraction == "000" else value).replace("T", " ") + "'"
    if kind == T.timestamp:
        return f"timestamp '{value.replace('T', ' ')}'"
    if kind == T.timestamp_ntz:
        return f"timestamp_ntz '{value.replace('T', ' ')}'"
    if kind == T.interval_day_time:
        return f"interval '{_day_time(value)}' day to second"
    if kind == T.interval_year_month:
        months = int(value)
        sign, months = ("-" if months < 0 else ""), abs(months)
        return f"interval '{sign}{months // 12}-{months % 12}' year to month"
    if isinstance(kind, T.Json):
        return "json " + text(value)
    return text(value)


def _day_time(value):
    """"-2.500000000" (floored) is "-0 00:00:01.500000000"."""
    whole, fraction = value.split(".")
    nanos = int(whole) * 10**9 + int(fraction)
    sign, nanos = ("-" if nanos < 0 else ""), abs(nanos)
    seconds, nanos = divmod(nanos, 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours // 24} {hours % 24:02d}:{minutes:02d}:{seconds:02d}.{nanos:09d}"
