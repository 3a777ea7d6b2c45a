package sql

// stringFunctions work on STRING, CHAR and VARCHAR. Those that begin with go_ are written in
// Go (udf.go).
const stringFunctions = `
concat/0 => CAST(NULL AS VARCHAR)
concat => ($|)
concat_ws => @_joined(CASE WHEN $n THEN NULL ELSE flatten([$w]) END, $1)
_joined(l, d) = substr(array_to_string(list_transform(l, x -> d || x), ''), length(d) + 1)
_texts(x) = CASE WHEN typeof(x) LIKE '%[]' THEN TRY_CAST(x AS VARCHAR[]) ELSE [@_cast_string(x)] END
_bytes(x) = CAST(CAST(x AS VARCHAR) AS BLOB)
length(x) = CASE WHEN @_nested(typeof(x)) THEN error('function length wants a text') WHEN typeof(x) = 'BLOB' THEN octet_length(@_bytes(x)) ELSE length(CAST(x AS VARCHAR)) END
lengthb(x) = CASE WHEN @_nested(typeof(x)) THEN error('function lengthb wants a text') WHEN typeof(x) = 'BLOB' THEN octet_length(@_bytes(x)) ELSE strlen(CAST(x AS VARCHAR)) END
char_matchcount(a, b) = len(list_filter(string_split(a, ''), c -> contains(b, c)))
instr(s, t) = instr((s || ''), (t || ''))
instr(s, t, n) = @go_instr((s || ''), (t || ''), CAST(n AS BIGINT), CAST(1 AS BIGINT))
instr(s, t, n, k) = @go_instr((s || ''), (t || ''), CAST(n AS BIGINT), CAST(k AS BIGINT))
locate(t, s) = instr((s || ''), (t || ''))
locate(t, s, n) = @go_instr((s || ''), (t || ''), CAST(n AS BIGINT), CAST(1 AS BIGINT))
substr(s, n) = substr(CAST(s AS VARCHAR), CASE WHEN n = 0 THEN 1 ELSE CAST(n AS BIGINT) END)
substr(s, n, k) = CASE WHEN k < 1 THEN '' WHEN n < 0 AND -n > length(CAST(s AS VARCHAR)) THEN '' ELSE substr(CAST(s AS VARCHAR), CASE WHEN n = 0 THEN 1 ELSE CAST(n AS BIGINT) END, k) END
substring(s, n) = @substr(s, n)
substring(s, n, k) = @substr(s, n, k)
substring_index(s, d, n) = CASE WHEN n = 0 OR d = '' THEN '' WHEN n > 0 THEN @_joined(string_split(s, d)[1:n], d) ELSE @_joined(string_split(s, d)[n:], d) END
split_part(s, d, a) = split_part((s || ''), d, a)
split_part(s, d, a, b) = CASE WHEN b < a THEN '' ELSE @_joined(string_split(s, d)[a:b], d) END
split(s, p) = @_trimmed(CASE WHEN p = '' THEN [s] ELSE regexp_split_to_array(s, p) END, true)
split(s, p, cut) = @_trimmed(CASE WHEN p = '' THEN [s] ELSE regexp_split_to_array(s, p) END, cut)
_trimmed(l, cut) = CASE WHEN cut THEN l[1:coalesce(list_max(list_transform(l, (x, i) -> CASE WHEN x <> '' THEN i END)), 0)] ELSE l END
tolower(s) = lower((s || ''))
toupper(s) = upper((s || ''))
to_lower(s) = lower((s || ''))
to_upper(s) = upper((s || ''))
lower(s) = lower((s || ''))
upper(s) = upper((s || ''))
reverse(s) = reverse(s || '')
initcap(s) = @go_initcap(s)
trim(s) = trim((s || ''))
trim(s, c) = trim(s, c)
lpad(s, n, p) = CASE WHEN (p || '') = '' AND length((s || '')) < n THEN NULL WHEN CAST(n AS BIGINT) > 2097152 THEN error('the result is longer than 8 MiB') ELSE lpad((s || ''), CAST(n AS INTEGER), (p || '')) END
rpad(s, n, p) = CASE WHEN (p || '') = '' AND length((s || '')) < n THEN NULL WHEN CAST(n AS BIGINT) > 2097152 THEN error('the result is longer than 8 MiB') ELSE rpad((s || ''), CAST(n AS INTEGER), (p || '')) END
repeat(s, n) = @go_repeat(CAST(s AS VARCHAR), CAST(n AS BIGINT))
space(n) = @go_repeat(' ', CAST(n AS BIGINT))
replace(s, a) = replace((s || ''), (a || ''), '')
replace(s, a, b) = CASE WHEN (a || '') = '' THEN (s || '') ELSE replace((s || ''), (a || ''), (b || '')) END
url_encode(s) = @go_url_encode(s)
url_encode(s, e) = @go_url_encode(s)
url_decode(s) = @go_url_decode(s)
url_decode(s, e) = @go_url_decode(s)
parse_url(u, p) = @go_parse_url(u, p, '')
parse_url(u, p, k) = @go_parse_url(u, p, k)
keyvalue(s, k) = @go_keyvalue(s, ';', ':', (k || ''))
keyvalue(s, a, b, k) = @go_keyvalue(s, a, b, (k || ''))
find_in_set(x, s) = CAST(CASE WHEN x IS NULL OR s IS NULL THEN NULL WHEN contains(x, ',') THEN 0 ELSE coalesce(list_position(string_split(s, ','), x), 0) END AS BIGINT)
find_in_set(x, s, d) = CAST(CASE WHEN x IS NULL OR s IS NULL THEN NULL ELSE coalesce(list_position(string_split(s, d), x), 0) END AS BIGINT)
soundex(s) = @go_soundex(s)
md5(x) = CASE WHEN @_nested(typeof(x)) THEN error('function md5 wants a text') WHEN typeof(x) = 'BLOB' THEN md5(@_bytes(x)) ELSE md5(CAST(x AS VARCHAR)) END
sha(x) = sha1(CAST(x AS VARCHAR))
sha1(x) = sha1(CAST(x AS VARCHAR))
sha2(x, n) = @go_sha2(CAST(x AS VARCHAR), CAST(n AS BIGINT))
crc32(x) = @go_crc32(CAST(x AS VARCHAR))
base64(x) = to_base64(CASE WHEN @_nested(typeof(x)) THEN error('function base64 wants a text or a BINARY') WHEN typeof(x) = 'BLOB' THEN @_bytes(x) ELSE encode(CAST(x AS VARCHAR)) END)
unbase64(s) = from_base64(s)
ascii(s) = CAST(CASE WHEN s = '' THEN 0 ELSE @go_first_byte(s) END AS BIGINT)
chr(n) = CASE WHEN n BETWEEN 0 AND 255 THEN chr(CAST(n AS INTEGER)) ELSE NULL END
encode(s, c) = CASE WHEN lower(c) IN ('utf-8', 'us-ascii') THEN encode(s) ELSE error('encode knows the character sets UTF-8 and US-ASCII') END
format_number(x, d) = @go_format_number(CAST(x AS DOUBLE), CAST(d AS BIGINT))
regexp_extract(s, p) = @go_regexp_extract(s, p, CAST(1 AS BIGINT))
regexp_extract(s, p, g) = @go_regexp_extract(s, p, CAST(g AS BIGINT))
regexp_extract_all(s, p) = regexp_extract_all(s, p, 1)
regexp_extract_all(s, p, g) = regexp_extract_all(s, p, g)
regexp_replace(s, p, r) = @go_regexp_replace(s, p, r, CAST(0 AS BIGINT))
regexp_replace(s, p, r, n) = @go_regexp_replace(s, p, r, CAST(n AS BIGINT))
regexp_substr(s, p) = @go_regexp_substr(s, p, CAST(1 AS BIGINT), CAST(1 AS BIGINT))
regexp_substr(s, p, a) = @go_regexp_substr(s, p, CAST(a AS BIGINT), CAST(1 AS BIGINT))
regexp_substr(s, p, a, n) = @go_regexp_substr(s, p, CAST(a AS BIGINT), CAST(n AS BIGINT))
regexp_count(s, p) = @go_regexp_count(s, p, CAST(1 AS BIGINT))
regexp_count(s, p, a) = @go_regexp_count(s, p, CAST(a AS BIGINT))
regexp_instr(s, p) = @go_regexp_instr(s, p, CAST(1 AS BIGINT), CAST(1 AS BIGINT), CAST(0 AS BIGINT))
regexp_instr(s, p, a) = @go_regexp_instr(s, p, CAST(a AS BIGINT), CAST(1 AS BIGINT), CAST(0 AS BIGINT))
regexp_instr(s, p, a, n) = @go_regexp_instr(s, p, CAST(a AS BIGINT), CAST(n AS BIGINT), CAST(0 AS BIGINT))
regexp_instr(s, p, a, n, r) = @go_regexp_instr(s, p, CAST(a AS BIGINT), CAST(n AS BIGINT), CAST(r AS BIGINT))
regexp(s, p) = regexp_matches(s, p)
get_json_object(j, p) = CASE WHEN contains(p, '*') THEN error('get_json_object: wildcards in a path are not supported') WHEN json_valid(CAST(j AS VARCHAR)) THEN json_extract_string(CAST(j AS VARCHAR), p) ELSE NULL END
`
