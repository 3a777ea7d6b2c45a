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
number(x) = CAST(x AS DOUBLE)
sqrt(x) = CASE WHEN @number(x) < 0 THEN NULL ELSE sqrt(@number(x)) END
cbrt(x) = cbrt(@number(x))
ln(x) = CASE WHEN @number(x) <= 0 THEN NULL ELSE ln(@number(x)) END
log(b, x) = CASE WHEN @number(b) <= 0 OR @number(b) = 1 OR @number(x) <= 0 THEN NULL ELSE ln(@number(x)) / ln(@number(b)) END
log2(x) = CASE WHEN @number(x) <= 0 THEN NULL ELSE log2(@number(x)) END
log10(x) = CASE WHEN @number(x) <= 0 THEN NULL ELSE log10(@number(x)) END
pow(a, b) = pow(@number(a), @number(b))
power(a, b) = pow(@number(a), @number(b))
exp(x) = exp(@number(x))
acos(x) = CASE WHEN abs(@number(x)) > 1 THEN NULL ELSE acos(@number(x)) END
asin(x) = CASE WHEN abs(@number(x)) > 1 THEN NULL ELSE asin(@number(x)) END
sinh(x) = sinh(@number(x))
cosh(x) = cosh(@number(x))
tanh(x) = tanh(@number(x))
e() = exp(CAST(1 AS DOUBLE))
rand => random()
rand/0 => random()
sign(x) = CAST(sign(x) AS DOUBLE)
pmod(a, b) = ((a % b) + b) % b
negative(x) = -x
positive(x) = x
factorial(n) = CASE WHEN n BETWEEN 0 AND 20 THEN CAST(factorial(CAST(n AS INTEGER)) AS BIGINT) ELSE NULL END
isnan(x) = isnan(@number(x))
bin(n) = bin(CAST(n AS BIGINT))
hex(x) = CASE WHEN typeof(x) = 'BLOB' THEN hex(@bytes(x)) WHEN @isint(typeof(x)) THEN hex(TRY_CAST(CAST(x AS VARCHAR) AS BIGINT)) ELSE hex(CAST(x AS VARCHAR)) END
unhex(s) = unhex(s)
conv(x, a, b) = @go_conv(CAST(x AS VARCHAR), CAST(a AS BIGINT), CAST(b AS BIGINT))
shiftleft/2 => @go_shiftleft($1, $2)
shiftright/2 => @go_shiftright($1, $2)
shiftrightunsigned/2 => @go_shiftrightunsigned($1, $2)
width_bucket(x, low, high, n) = CASE WHEN @number(x) < @number(low) THEN 0 WHEN @number(x) >= @number(high) THEN CAST(n AS BIGINT) + 1 ELSE CAST(floor((@number(x) - @number(low)) / ((@number(high) - @number(low)) / n)) AS BIGINT) + 1 END
`
