package sql

// dateFunctions work on DATE, DATETIME (TIMESTAMP_MS), TIMESTAMP (TIMESTAMP_NS) and texts
// that hold a date. The time zone is UTC.
const dateFunctions = `
_ts(x) = CAST(x AS TIMESTAMP)
_unit(p) = CASE WHEN lower(p) IN ('yyyy', 'year') THEN 'year' WHEN lower(p) IN ('mm', 'month', 'mon') THEN 'month' WHEN lower(p) IN ('dd', 'day') THEN 'day' WHEN lower(p) IN ('hh', 'hour') THEN 'hour' WHEN lower(p) IN ('mi', 'minute') THEN 'minute' WHEN lower(p) IN ('ss', 'second') THEN 'second' WHEN lower(p) IN ('ff3', 'millisecond') THEN 'millisecond' WHEN lower(p) IN ('ff6', 'microsecond') THEN 'microsecond' WHEN lower(p) IN ('q', 'quarter') THEN 'quarter' WHEN lower(p) IN ('w', 'ww', 'week') THEN 'week' ELSE error('invalid date part ''' || p || '''') END
dateadd/3 => @go_dateadd($1, $2, $3)
date_add(d, n) = CAST(@_ts(d) + to_days(CAST(n AS INTEGER)) AS DATE)
date_sub(d, n) = CAST(@_ts(d) + to_days(CAST(-n AS INTEGER)) AS DATE)
datediff(a, b) = date_diff('day', @_ts(b), @_ts(a))
datediff(a, b, p) = date_diff(@_unit(p), @_ts(b), @_ts(a))
datepart(d, p) = CAST(CASE @_unit(p) WHEN 'millisecond' THEN date_part('millisecond', @_ts(d)) % 1000 WHEN 'microsecond' THEN date_part('microsecond', @_ts(d)) % 1000000 ELSE date_part(@_unit(p), @_ts(d)) END AS BIGINT)
datetrunc/2 => @go_datetrunc($1, $2)
trunc_time(d, p) = CASE @_unit(p) WHEN 'year' THEN strftime(@_ts(d), '%Y') WHEN 'month' THEN strftime(@_ts(d), '%Y-%m') WHEN 'day' THEN strftime(@_ts(d), '%Y-%m-%d') WHEN 'hour' THEN strftime(@_ts(d), '%Y-%m-%d %H:00:00') ELSE error('trunc_time knows year, month, day and hour') END
_charform(f) = regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(replace(f, '%', '%%'), '(?i)yyyy', '%Y', 'g'), '(?i)mm', '%m', 'g'), '(?i)dd', '%d', 'g'), '(?i)hh(24)?', '%H', 'g'), '(?i)mi', '%M', 'g'), '(?i)ss', '%S', 'g'), '(?i)ff3', '%g', 'g')
_javaform(f) = replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(f, '%', '%%'), 'yyyy', '%Y'), 'yy', '%y'), 'MMMM', '%B'), 'MMM', '%b'), 'MM', '%m'), 'dd', '%d'), 'HH', '%H'), 'hh', '%I'), 'mm', '%M'), 'ss', '%S')
_anyform(f) = CASE WHEN regexp_matches(f, '(?i)mi') OR NOT regexp_matches(f, 'MM|HH') THEN @_charform(f) ELSE @_javaform(f) END
to_char(x) = @_cast_string(x)
to_char/2 => @go_to_char($1, $2)
date_format/2 => @go_date_format($1, $2)
from_unixtime(n) = CAST(make_timestamp_ms(CAST(n AS BIGINT) * 1000) AS TIMESTAMP_MS)
from_unixtime/2 => strftime(make_timestamp_ms(CAST($1 AS BIGINT) * 1000), @_anyform($2))
unix_timestamp() = CAST(floor(epoch(now())) AS BIGINT)
unix_timestamp(d) = CAST(floor(epoch(@_ts(d))) AS BIGINT)
unix_timestamp/2 => CAST(floor(epoch(try_strptime($1, @_anyform($2)))) AS BIGINT)
to_millis(d) = epoch_ms(@_ts(d))
to_date(s) = CAST(TRY_CAST(s AS TIMESTAMP) AS DATE)
to_date/2 => CAST(try_strptime($1, @_charform($2)) AS TIMESTAMP_MS)
to_timestamp(s) = TRY_CAST(s AS TIMESTAMP)
to_timestamp/2 => try_strptime($1, @_charform($2))
isdate/2 => CASE WHEN ($1) IS NULL OR ($2) IS NULL THEN NULL ELSE try_strptime($1, @_charform($2)) IS NOT NULL END
getdate() = CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP_MS)
now() = CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP_MS)
current_timestamp() = CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP_NS)
current_date() = CAST(now() AT TIME ZONE 'UTC' AS DATE)
current_timezone() = 'UTC'
lastday(d) = CAST(last_day(@_ts(d)) AS TIMESTAMP_MS)
last_day(d) = strftime(last_day(@_ts(d)), '%Y-%m-%d')
add_months(d, n) = strftime(CASE WHEN CAST(@_ts(d) AS DATE) = last_day(@_ts(d)) THEN last_day(@_ts(d) + to_months(CAST(n AS INTEGER))) ELSE @_ts(d) + to_months(CAST(n AS INTEGER)) END, '%Y-%m-%d')
_dayindex(w) = list_position(['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su'], lower(left(w, 2)))
next_day(d, w) = strftime(@_ts(d) + to_days(CAST((@_dayindex(w) - isodow(@_ts(d)) + 6) % 7 + 1 AS INTEGER)), '%Y-%m-%d')
months_between(a, b) = CASE WHEN day(@_ts(a)) = day(@_ts(b)) OR CAST(@_ts(a) AS DATE) = last_day(@_ts(a)) AND CAST(@_ts(b) AS DATE) = last_day(@_ts(b)) THEN CAST((year(@_ts(a)) - year(@_ts(b))) * 12 + month(@_ts(a)) - month(@_ts(b)) AS DOUBLE) ELSE round((year(@_ts(a)) - year(@_ts(b))) * 12 + month(@_ts(a)) - month(@_ts(b)) + ((day(@_ts(a)) - day(@_ts(b))) * 86400 + epoch(@_ts(a)) % 86400 - epoch(@_ts(b)) % 86400) / 2678400, 8) END
weekday(d) = CAST(isodow(@_ts(d)) - 1 AS BIGINT)
weekofyear(d) = CAST(weekofyear(@_ts(d)) AS BIGINT)
dayofweek(d) = CAST(dayofweek(@_ts(d)) + 1 AS INTEGER)
dayofyear(d) = CAST(dayofyear(@_ts(d)) AS INTEGER)
dayofmonth(d) = CAST(day(@_ts(d)) AS INTEGER)
day(d) = CAST(day(@_ts(d)) AS INTEGER)
month(d) = CAST(month(@_ts(d)) AS INTEGER)
quarter(d) = CAST(quarter(@_ts(d)) AS INTEGER)
year(d) = CAST(year(@_ts(d)) AS INTEGER)
hour(d) = CAST(hour(@_ts(d)) AS INTEGER)
minute(d) = CAST(minute(@_ts(d)) AS INTEGER)
second(d) = CAST(floor(second(@_ts(d))) AS INTEGER)
from_utc_timestamp(d, z) = CAST(timezone(z, timezone('UTC', CASE WHEN @_isint(typeof(d)) THEN make_timestamp_ms(TRY_CAST(CAST(d AS VARCHAR) AS BIGINT)) ELSE TRY_CAST(CAST(d AS VARCHAR) AS TIMESTAMP) END)) AS TIMESTAMP_NS)
to_utc_timestamp(d, z) = CAST(timezone('UTC', timezone(z, @_ts(d))) AS TIMESTAMP_NS)
`
