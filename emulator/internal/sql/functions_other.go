package sql

// otherFunctions are conditions and conversions. A cast to an integer cuts the fraction off.
const otherFunctions = `
nvl/2 => coalesce($1, $2)
ifnull/2 => coalesce($1, $2)
nvl2(a, b, c) = CASE WHEN a IS NOT NULL THEN b ELSE c END
nullif/2 => CASE WHEN ($1) = ($2) THEN NULL ELSE $1 END
decode => $k
greatest => CASE WHEN $n THEN NULL ELSE greatest($*) END
least => CASE WHEN $n THEN NULL ELSE least($*) END
ordinal => list_sort([$r], 'ASC', 'NULLS FIRST')[$1]
isnull(x) = x IS NULL
isnotnull(x) = x IS NOT NULL
assert_true(x) = CASE WHEN x THEN NULL ELSE error('ASSERT_TRUE(): assertion failed') END
_isint(t) = t IN ('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'BOOLEAN')
_cast_bigint(x) = CASE WHEN @_isint(typeof(x)) THEN CAST(x AS BIGINT) WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN CAST(trunc(CAST(x AS DOUBLE)) AS BIGINT) WHEN regexp_matches(CAST(x AS VARCHAR), '[eE]') THEN CAST(trunc(CAST(CAST(x AS VARCHAR) AS DOUBLE)) AS BIGINT) ELSE CAST(regexp_replace(CAST(x AS VARCHAR), '\.\d*\s*$', '') AS BIGINT) END
_try_cast_bigint(x) = CASE WHEN @_isint(typeof(x)) THEN TRY_CAST(x AS BIGINT) WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN TRY_CAST(trunc(TRY_CAST(x AS DOUBLE)) AS BIGINT) WHEN regexp_matches(CAST(x AS VARCHAR), '[eE]') THEN TRY_CAST(trunc(TRY_CAST(CAST(x AS VARCHAR) AS DOUBLE)) AS BIGINT) ELSE TRY_CAST(regexp_replace(CAST(x AS VARCHAR), '\.\d*\s*$', '') AS BIGINT) END
_cast_int(x) = CAST(@_cast_bigint(x) AS INTEGER)
_cast_smallint(x) = CAST(@_cast_bigint(x) AS SMALLINT)
_cast_tinyint(x) = CAST(@_cast_bigint(x) AS TINYINT)
_try_cast_int(x) = TRY_CAST(@_try_cast_bigint(x) AS INTEGER)
_try_cast_smallint(x) = TRY_CAST(@_try_cast_bigint(x) AS SMALLINT)
_try_cast_tinyint(x) = TRY_CAST(@_try_cast_bigint(x) AS TINYINT)
_cast_boolean(x) = CASE WHEN typeof(x) <> 'VARCHAR' THEN TRY_CAST(x AS BOOLEAN) WHEN lower(CAST(x AS VARCHAR)) = 'true' THEN true WHEN lower(CAST(x AS VARCHAR)) = 'false' THEN false WHEN x IS NULL THEN NULL ELSE CAST(x AS VARCHAR) <> '' END
_try_cast_boolean(x) = @_cast_boolean(x)
_cast_datetime(x) = CASE WHEN typeof(x) = 'VARCHAR' THEN CAST(CAST(CAST(x AS VARCHAR) AS TIMESTAMP) AS TIMESTAMP_MS) ELSE CAST(x AS TIMESTAMP_MS) END
_cast_timestamp(x) = CASE WHEN typeof(x) = 'VARCHAR' AND TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP) IS NULL THEN CAST(CAST(CAST(x AS VARCHAR) AS TIMESTAMP) AS TIMESTAMP_NS) ELSE CAST(x AS TIMESTAMP_NS) END
_try_cast_datetime(x) = TRY_CAST(x AS TIMESTAMP_MS)
_try_cast_timestamp(x) = TRY_CAST(x AS TIMESTAMP_NS)
_decimal_text(x) = CASE WHEN typeof(x) = 'BOOLEAN' THEN CAST(TRY_CAST(CAST(x AS VARCHAR) AS BOOLEAN)::INTEGER AS VARCHAR) ELSE CAST(x AS VARCHAR) END
_nested(t) = t LIKE '%]' OR t LIKE 'MAP(%' OR t LIKE 'STRUCT(%'
_cast_string(x) = CASE WHEN regexp_matches(typeof(x), 'BLOB|DOUBLE|FLOAT|DECIMAL|[\[(]') THEN @go_shown(CAST(x AS VARCHAR), typeof(x)) ELSE CAST(x AS VARCHAR) END
_try_cast_string(x) = @_cast_string(x)
_cast_char(x, n) = left(@_cast_string(x), n)
_try_cast_char(x, n) = left(@_cast_string(x), n)
`
