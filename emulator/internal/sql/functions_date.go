package sql

// dateFunctions work on DATE, DATETIME (TIMESTAMP_MS), TIMESTAMP (TIMESTAMP_NS) and texts
// that hold a date. The time zone is UTC.
const dateFunctions = `
ts(x) = CAST(x AS TIMESTAMP)
unit(p) = CASE WHEN lower(p) IN ('yyyy', 'year') THEN 'year' WHEN lower(p) IN ('mm', 'month', 'mon') THEN 'month' WHEN lower(p) IN ('dd', 'day') THEN 'day' WHEN lower(p) IN ('hh', 'hour') THEN 'hour' WHEN lower(p) IN ('mi', 'minute') THEN 'minute' WHEN lower(p) IN ('ss', 'second') THEN 'second' WHEN lower(p) IN ('ff3', 'millisecond') THEN 'millisecond' WHEN lower(p) IN ('ff6', 'microsecond') THEN 'microsecond' WHEN lower(p) IN ('q', 'quarter') THEN 'quarter' WHEN lower(p) IN ('w', 'ww', 'week') THEN 'week' ELSE error('invalid date part ''' || p || '''') END
dateadd/3 => @go_dateadd($1, $2, $3)
date_add(d, n) = CAST(@ts(d) + to_days(CAST(n AS INTEGER)) AS DATE)
date_sub(d, n) = CAST(@ts(d) + to_days(CAST(-n AS INTEGER)) AS DATE)
datediff(a, b) = date_diff('day', @ts(b), @ts(a))
datediff(a, b, p) = date_diff(@unit(p), @ts(b), @ts(a))
datepart(d, p) = CAST(CASE @unit(p) WHEN 'millisecond' THEN date_part('millisecond', @ts(d)) % 1000 WHEN 'microsecond' THEN date_part('microsecond', @ts(d)) % 1000000 ELSE date_part(@unit(p), @ts(d)) END AS BIGINT)
datetrunc/2 => @go_datetrunc($1, $2)
trunc_time(d, p) = CASE @unit(p) WHEN 'year' THEN strftime(@ts(d), '%Y') WHEN 'month' THEN strftime(@ts(d), '%Y-%m') WHEN 'day' THEN strftime(@ts(d), '%Y-%m-%d') WHEN 'hour' THEN strftime(@ts(d), '%Y-%m-%d %H:00:00') ELSE error('trunc_time knows year, month, day and hour') END
charform(f) = regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(replace(f, '%', '%%'), '(?i)yyyy', '%Y', 'g'), '(?i)mm', '%m', 'g'), '(?i)dd', '%d', 'g'), '(?i)hh(24)?', '%H', 'g'), '(?i)mi', '%M', 'g'), '(?i)ss', '%S', 'g'), '(?i)ff3', '%g', 'g')
javaform(f) = replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(f, '%', '%%'), 'yyyy', '%Y'), 'yy', '%y'), 'MMMM', '%B'), 'MMM', '%b'), 'MM', '%m'), 'dd', '%d'), 'HH', '%H'), 'hh', '%I'), 'mm', '%M'), 'ss', '%S')
anyform(f) = CASE WHEN regexp_matches(f, '(?i)mi') OR NOT regexp_matches(f, 'MM|HH') THEN @charform(f) ELSE @javaform(f) END
to_char(x) = @cast_string(x)
to_char/2 => strftime(@ts($1), @charform($2))
date_format/2 => strftime(@ts($1), replace(@javaform($2), 'SSS', '%g'))
from_unixtime(n) = CAST(make_timestamp_ms(CAST(n AS BIGINT) * 1000) AS TIMESTAMP_MS)
from_unixtime/2 => strftime(make_timestamp_ms(CAST($1 AS BIGINT) * 1000), @anyform($2))
unix_timestamp() = CAST(floor(epoch(now())) AS BIGINT)
unix_timestamp(d) = CAST(floor(epoch(@ts(d))) AS BIGINT)
unix_timestamp/2 => CAST(floor(epoch(try_strptime($1, @anyform($2)))) AS BIGINT)
to_millis(d) = epoch_ms(@ts(d))
to_date(s) = CAST(TRY_CAST(s AS TIMESTAMP) AS DATE)
to_date/2 => CAST(try_strptime($1, @charform($2)) AS TIMESTAMP_MS)
to_timestamp(s) = TRY_CAST(s AS TIMESTAMP)
to_timestamp/2 => try_strptime($1, @charform($2))
isdate/2 => CASE WHEN ($1) IS NULL OR ($2) IS NULL THEN NULL ELSE try_strptime($1, @charform($2)) IS NOT NULL END
getdate() = CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP_MS)
now() = CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP_MS)
current_timestamp() = CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP_NS)
current_date() = CAST(now() AT TIME ZONE 'UTC' AS DATE)
current_timezone() = 'UTC'
lastday(d) = CAST(last_day(@ts(d)) AS TIMESTAMP_MS)
last_day(d) = strftime(last_day(@ts(d)), '%Y-%m-%d')
add_months(d, n) = strftime(CASE WHEN CAST(@ts(d) AS DATE) = last_day(@ts(d)) THEN last_day(@ts(d) + to_months(CAST(n AS INTEGER))) ELSE @ts(d) + to_months(CAST(n AS INTEGER)) END, '%Y-%m-%d')
dayindex(w) = list_position(['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su'], lower(left(w, 2)))
next_day(d, w) = strftime(@ts(d) + to_days(CAST((@dayindex(w) - isodow(@ts(d)) + 6) % 7 + 1 AS INTEGER)), '%Y-%m-%d')
months_between(a, b) = CASE WHEN day(@ts(a)) = day(@ts(b)) OR CAST(@ts(a) AS DATE) = last_day(@ts(a)) AND CAST(@ts(b) AS DATE) = last_day(@ts(b)) THEN CAST((year(@ts(a)) - year(@ts(b))) * 12 + month(@ts(a)) - month(@ts(b)) AS DOUBLE) ELSE round((year(@ts(a)) - year(@ts(b))) * 12 + month(@ts(a)) - month(@ts(b)) + ((day(@ts(a)) - day(@ts(b))) * 86400 + epoch(@ts(a)) % 86400 - epoch(@ts(b)) % 86400) / 2678400, 8) END
weekday(d) = CAST(isodow(@ts(d)) - 1 AS BIGINT)
weekofyear(d) = CAST(weekofyear(@ts(d)) AS BIGINT)
dayofweek(d) = CAST(dayofweek(@ts(d)) + 1 AS INTEGER)
dayofyear(d) = CAST(dayofyear(@ts(d)) AS INTEGER)
dayofmonth(d) = CAST(day(@ts(d)) AS INTEGER)
day(d) = CAST(day(@ts(d)) AS INTEGER)
month(d) = CAST(month(@ts(d)) AS INTEGER)
quarter(d) = CAST(quarter(@ts(d)) AS INTEGER)
year(d) = CAST(year(@ts(d)) AS INTEGER)
hour(d) = CAST(hour(@ts(d)) AS INTEGER)
minute(d) = CAST(minute(@ts(d)) AS INTEGER)
second(d) = CAST(floor(second(@ts(d))) AS INTEGER)
from_utc_timestamp(d, z) = CAST(timezone(z, timezone('UTC', CASE WHEN @isint(typeof(d)) THEN make_timestamp_ms(TRY_CAST(CAST(d AS VARCHAR) AS BIGINT)) ELSE TRY_CAST(CAST(d AS VARCHAR) AS TIMESTAMP) END)) AS TIMESTAMP_NS)
to_utc_timestamp(d, z) = CAST(timezone('UTC', timezone(z, @ts(d))) AS TIMESTAMP_NS)
`
