package sql

// collectionFunctions work on ARRAY, MAP, STRUCT and JSON. Arrays keep their order.
const collectionFunctions = `
array => list_value($*)
map => @_map($m)
map/0 => map()
_map(k, v) = CASE WHEN len(k) = len(list_distinct(k)) THEN map(k, v) ELSE map(list_filter(k, (x, i) -> list_position(k, x) = i), list_transform(list_filter(k, (x, i) -> list_position(k, x) = i), x -> v[len(k) + 1 - list_position(list_reverse(k), x)])) END
struct => {$c}
named_struct => {$s}
_element(x, i VARCHAR) = x[i]
_element(x, i) = CASE WHEN typeof(x) LIKE 'MAP(%' THEN x[i] WHEN i < 0 THEN NULL ELSE x[i + 1] END
size/1 => @go_size($1)
cardinality/1 => @go_size($1)
index/2 => @_element($1, $2)
array_distinct/1 => @_distinct($1, $q)
_distinct(a, q) = list_filter(a, (x, i) -> CASE WHEN @go_alive(q) THEN coalesce(list_position(a, x), i) = i END)
array_union/2 => @_distinct($1 || $2, $q)
array_intersect/2 => @_intersect($1, $2, $q)
_intersect(a, b, q) = @_distinct(list_filter(a, x -> CASE WHEN @go_alive(q) THEN list_position(b, x) IS NOT NULL END), q)
array_except/2 => @_except($1, $2, $q)
_except(a, b, q) = @_distinct(list_filter(a, x -> CASE WHEN @go_alive(q) THEN list_position(b, x) IS NULL END), q)
array_join(a, d) = @_joined(list_transform(a, x -> @_cast_string(x)), d)
array_join(a, d, n) = @_joined(list_transform(a, x -> coalesce(@_cast_string(x), n)), d)
array_max(a) = list_max(a)
array_min(a) = list_min(a)
array_position(a, x) = CAST(CASE WHEN a IS NULL OR x IS NULL THEN NULL ELSE coalesce(list_position(a, x), 0) END AS BIGINT)
array_remove(a, x) = list_filter(a, y -> y IS DISTINCT FROM x)
array_repeat(x, n) = CASE WHEN CAST(n AS BIGINT) > 1000000 THEN error('the array has more than 1000000 elements') ELSE list_transform(range(CAST(n AS BIGINT)), i -> x) END
array_reverse(a) = list_reverse(a)
array_sort(a) = list_sort(a, 'ASC', 'NULLS LAST')
sort_array(a) = list_sort(a, 'ASC', 'NULLS FIRST')
sort_array(a, up) = CASE WHEN up THEN list_sort(a, 'ASC', 'NULLS FIRST') ELSE list_sort(a, 'DESC', 'NULLS LAST') END
arrays_overlap(a, b) = list_has_any(a, b)
array_contains(a, x) = list_contains(a, x)
slice(a, n, k) = CASE WHEN n < 0 THEN list_slice(a, len(a) + n + 1, len(a) + n + k) ELSE list_slice(a, n, n + k - 1) END
sequence/2 => @_sequence($1, $2)
sequence/3 => @_stepped($1, $2, $3)
_sequence(a, b) = CASE WHEN abs(@go_steps(a, b)) >= 1000000 THEN error('the array has more than 1000000 elements') ELSE list_transform(generate_series(0, @go_steps(a, b), CASE WHEN @go_steps(a, b) < 0 THEN -1 ELSE 1 END), k -> @go_step(a, k)) END
_stepped(a, b, s) = CASE WHEN abs((CAST(b AS HUGEINT) - a) // s) >= 1000000 THEN error('the array has more than 1000000 elements') ELSE generate_series(a, b, s) END
_moments(a, b, s) = CASE WHEN abs((epoch(@_ts(b)) - epoch(@_ts(a))) / epoch(s)) >= 1000000 THEN error('the array has more than 1000000 elements') ELSE list_transform(list_filter(list_transform(range(CAST((epoch(@_ts(b)) - epoch(@_ts(a))) / epoch(s) AS BIGINT) + 2), k -> @_ts(a) + s * k), x -> CASE WHEN epoch(s) > 0 THEN x <= @_ts(b) ELSE x >= @_ts(b) END), x -> @go_alike(a, x)) END
flatten(a) = flatten(a)
transform/2 => list_transform($1, $2)
filter/2 => list_filter($1, $2)
any_match/2 => @_match(list_transform($1, $2), true)
all_match/2 => @_match(list_transform($1, $2), false)
_match(found, sought) = CASE WHEN found IS NULL THEN NULL WHEN list_contains(found, sought) THEN sought WHEN len(list_filter(found, x -> x IS NULL)) > 0 THEN NULL ELSE NOT sought END
array_reduce/3 => list_reduce($1, $3, $2)
array_reduce/4 => list_transform([list_reduce($1, $3, $2)], $4)[1]
reduce/4 => list_transform([list_reduce($1, $3, $2)], $4)[1]
aggregate/4 => list_transform([list_reduce($1, $3, $2)], $4)[1]
reduce/3 => list_reduce($1, $3, $2)
aggregate/3 => list_reduce($1, $3, $2)
map_from_arrays(k, v) = @_map(k, v)
map_from_entries(e) = @_map(list_transform(e, x -> struct_extract_at(x, 1)), list_transform(e, x -> struct_extract_at(x, 2)))
map_concat/2 => map_concat($1, $2)
map_contains_key(m, k) = list_contains(map_keys(m), k)
map_entries(m) = map_entries(m)
str_to_map(s) = @map_from_entries(list_transform(string_split(s, ','), x -> {k: split_part(x, ':', 1), v: CASE WHEN contains(x, ':') THEN split_part(x, ':', 2) ELSE NULL END}))
str_to_map(s, a, b) = @map_from_entries(list_transform(string_split(s, a), x -> {k: split_part(x, b, 1), v: CASE WHEN contains(x, b) THEN split_part(x, b, 2) ELSE NULL END}))
to_json(x) = CAST(to_json(x) AS VARCHAR)
from_json/2 => TRY_CAST(TRY_CAST($1 AS JSON) AS $t)
json_parse(s) = CAST(s AS JSON)
json_format(j) = CAST(j AS VARCHAR)
`
