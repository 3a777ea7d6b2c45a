package sql

// aggregateFunctions are rewritten in the text, so that DISTINCT and OVER go with them.
const aggregateFunctions = `
wm_concat/2 => string_agg($d@_cast_string($2), $1$o)
string_agg/2 => string_agg($d@_cast_string($1), $2$o)
collect_list/1 => list($d$1$o) FILTER (WHERE ($1) IS NOT NULL)
collect_set/1 => list(DISTINCT $1) FILTER (WHERE ($1) IS NOT NULL)
array_agg/1 => list($d$1$o) FILTER (WHERE ($1) IS NOT NULL)
stddev/1 => stddev_pop($d$1)
variance/1 => var_pop($d$1)
percentile/2 => quantile_cont($d$1, $2)
percentile_approx/2 => quantile_cont($d$1, $2)
percentile_approx/3 => quantile_cont($d$1, $2)
approx_distinct/1 => approx_count_distinct($1)
arg_max/2 => max_by($2, $1)
arg_min/2 => min_by($2, $1)
bitwise_and_agg/1 => bit_and($1)
bitwise_or_agg/1 => bit_or($1)
bitwise_xor_agg/1 => bit_xor($1)
map_agg/2 => @_map(list($1), list($2))
first_value/1 => first_value($1)
first_value/2 => first_value($1$i)
last_value/1 => last_value($1)
last_value/2 => last_value($1$i)
nth_value/2 => nth_value($1, $2)
nth_value/3 => nth_value($1, $2$i)
explode/1 => unnest($1)
`
