package sql

// mathFunctions follow MaxCompute in their types: what is rounded to a whole number of a
// BIGINT or DOUBLE is a BIGINT, of a DECIMAL a DECIMAL; outside of a function's domain the
// answer is NULL.
const mathFunctions = `
ceil/1 => @go_ceil($1)
ceiling/1 => @go_ceil($1)
floor/1 => @go_floor($1)
round/1 => @go_round($1, 0)
round/2 => @go_round($1, $2)
trunc/1 => @go_trunc($1, 0)
trunc/2 => @go_trunc($1, $2)
_number(x) = CAST(x AS DOUBLE)
sqrt(x) = CASE WHEN @_number(x) < 0 THEN NULL ELSE sqrt(@_number(x)) END
cbrt(x) = @go_cbrt(@_number(x))
ln(x) = CASE WHEN @_number(x) <= 0 THEN NULL ELSE ln(@_number(x)) END
log(b, x) = CASE WHEN @_number(b) <= 0 OR @_number(b) = 1 OR @_number(x) <= 0 THEN NULL ELSE ln(@_number(x)) / ln(@_number(b)) END
log2(x) = CASE WHEN @_number(x) <= 0 THEN NULL ELSE log2(@_number(x)) END
log10(x) = CASE WHEN @_number(x) <= 0 THEN NULL ELSE log10(@_number(x)) END
pow(a, b) = pow(@_number(a), @_number(b))
power(a, b) = pow(@_number(a), @_number(b))
exp(x) = exp(@_number(x))
acos(x) = CASE WHEN abs(@_number(x)) > 1 THEN NULL ELSE acos(@_number(x)) END
asin(x) = CASE WHEN abs(@_number(x)) > 1 THEN NULL ELSE asin(@_number(x)) END
sin(x) = sin(@_number(x))
cos(x) = cos(@_number(x))
tan(x) = tan(@_number(x))
atan(x) = atan(@_number(x))
atan2(y, x) = atan2(@_number(y), @_number(x))
sinh(x) = sinh(@_number(x))
cosh(x) = cosh(@_number(x))
tanh(x) = tanh(@_number(x))
e() = exp(CAST(1 AS DOUBLE))
rand => random()
rand/0 => random()
sign(x) = CAST(sign(x) AS DOUBLE)
pmod(a, b) = ((a % b) + b) % b
negative(x) = -x
positive(x) = x
factorial(n) = CASE WHEN n BETWEEN 0 AND 20 THEN CAST(factorial(CAST(n AS INTEGER)) AS BIGINT) ELSE NULL END
isnan(x) = isnan(@_number(x))
bin(n) = bin(CAST(n AS BIGINT))
hex(x) = CASE WHEN @_nested(typeof(x)) THEN error('function hex wants a number or a text') WHEN typeof(x) = 'BLOB' THEN hex(@_bytes(x)) WHEN @_isint(typeof(x)) THEN hex(TRY_CAST(CAST(x AS VARCHAR) AS BIGINT)) ELSE hex(CAST(x AS VARCHAR)) END
unhex(s) = unhex(s)
conv(x, a, b) = @go_conv(CAST(x AS VARCHAR), CAST(a AS BIGINT), CAST(b AS BIGINT))
shiftleft/2 => @go_shiftleft($1, $2)
shiftright/2 => @go_shiftright($1, $2)
shiftrightunsigned/2 => @go_shiftrightunsigned($1, $2)
width_bucket(x, low, high, n) = CASE WHEN @_number(x) < @_number(low) THEN 0 WHEN @_number(x) >= @_number(high) THEN CAST(n AS BIGINT) + 1 ELSE CAST(floor((@_number(x) - @_number(low)) / ((@_number(high) - @_number(low)) / n)) AS BIGINT) + 1 END
`
