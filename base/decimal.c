/* Decimal text to mantissa and back, in integers alone. */
#include "base/decimal.h"

#include <limits.h>

#include "base/error.h"

/* The text taken apart: value = digits(whole, fraction) * 10^(exponent - fraction.len). */
struct parts {
    bool negative;
    struct px_text whole, fraction;
    int64_t exponent;
};

/* Beyond any text that fits in memory, and small enough that sums with lengths stay in 64 bits. */
#define EXPONENT_CLAMP (INT64_C(1) << 60)

static const int64_t powers[PX_SCALE_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

int64_t px_pow10(unsigned n)
{
    PX_CHECK(n <= PX_SCALE_MAX);
    return powers[n];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct px_text take_digits(struct px_text *rest)
{
    struct px_text digits = {rest->at, 0};
    while (digits.len < rest->len && is_digit(rest->at[digits.len]))
        digits.len++;
    rest->at += digits.len;
    rest->len -= digits.len;
    return digits;
}

static bool take_char(struct px_text *rest, char c)
{
    if (rest->len == 0 || *rest->at != c)
        return false;
    rest->at++;
    rest->len--;
    return true;
}

static int take_exponent(struct px_text *rest, int64_t *exponentp)
{
    bool negative = take_char(rest, '-');
    if (!negative)
        take_char(rest, '+');
    struct px_text digits = take_digits(rest);
    if (digits.len == 0)
        return PX_E_NOT_DECIMAL;
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++)
        value = PX_MIN(value * 10 + (digits.at[i] - '0'), EXPONENT_CLAMP / 16);
    *exponentp = negative ? -value : value;
    return 0;
}

static int take_parts(struct px_text text, struct parts *partsp)
{
    *partsp = (struct parts){.negative = take_char(&text, '-')};
    partsp->whole = take_digits(&text);
    if (partsp->whole.len == 0)
        return PX_E_NOT_DECIMAL;
    if (take_char(&text, '.')) {
        partsp->fraction = take_digits(&text);
        if (partsp->fraction.len == 0)
            return PX_E_NOT_DECIMAL;
    }
    if (take_char(&text, 'e') || take_char(&text, 'E')) {
        int error = take_exponent(&text, &partsp->exponent);
        if (error)
            return error;
    }
    return text.len == 0 ? 0 : PX_E_NOT_DECIMAL;
}

/* Gathers digits from the most significant on; `room` counts those that still stand at or before the scale's last
 * place. */
struct gather {
    uint64_t magnitude;
    int64_t room;
    bool overflow, excess;
};

static void gather_digits(struct gather *gather, struct px_text digits)
{
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned)(digits.at[i] - '0');
        if (gather->room <= 0) {
            gather->excess |= digit != 0;
            continue;
        }
        gather->room--;
        gather->overflow |= __builtin_mul_overflow(gather->magnitude, 10, &gather->magnitude) ||
                            __builtin_add_overflow(gather->magnitude, digit, &gather->magnitude);
    }
}

/* Appends the zeros that the text left out: "5" at scale 2 is 500. */
static void gather_zeros(struct gather *gather)
{
    if (gather->magnitude == 0 || gather->room <= 0)
        return;
    gather->overflow |= gather->room > PX_SCALE_MAX + 1;
    for (; gather->room > 0 && !gather->overflow; gather->room--)
        gather->overflow |= __builtin_mul_overflow(gather->magnitude, 10, &gather->magnitude);
}

int px_decimal_parse(struct px_text text, unsigned scale, enum px_round round, int64_t *mantissap)
{
    PX_CHECK(scale <= PX_SCALE_MAX);
    struct parts parts;
    int error = take_parts(text, &parts);
    if (error)
        return error;

    struct gather gather = {.room = (int64_t)parts.whole.len + parts.exponent + (int64_t)scale};
    gather_digits(&gather, parts.whole);
    gather_digits(&gather, parts.fraction);
    gather_zeros(&gather);

    bool away = parts.negative ? round == PX_ROUND_DOWN : round == PX_ROUND_UP;
    /* The limit is symmetric: INT64_MIN is PX_PRICE_NONE. */
    if (gather.overflow || gather.magnitude > (uint64_t)INT64_MAX - (gather.excess && away))
        return PX_E_OVERFLOW;
    if (gather.excess && round == PX_ROUND_EXACT)
        return PX_E_DIGITS;
    int64_t magnitude = (int64_t)gather.magnitude + (gather.excess && away);
    *mantissap = parts.negative ? -magnitude : magnitude;
    return 0;
}

size_t px_decimal_format(int64_t mantissa, unsigned scale, char text[PX_DECIMAL_SIZE])
{
    PX_CHECK(scale <= PX_SCALE_MAX);
    uint64_t rest = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    char reversed[PX_DECIMAL_SIZE];
    size_t len = 0;
    for (unsigned place = 0; place <= scale || rest > 0; place++, rest /= 10) {
        if (place == scale && scale > 0)
            reversed[len++] = '.';
        reversed[len++] = (char)('0' + rest % 10);
    }
    if (mantissa < 0)
        reversed[len++] = '-';
    for (size_t i = 0; i < len; i++)
        text[i] = reversed[len - 1 - i];
    text[len] = '\0';
    return len;
}

/* Places from the end of `digits` to its last digit that is not zero; digits.len when there is none. */
static size_t trailing_zeros(struct px_text digits)
{
    size_t zeros = 0;
    while (zeros < digits.len && digits.at[digits.len - 1 - zeros] == '0')
        zeros++;
    return zeros;
}

int px_decimal_scale(struct px_text text)
{
    struct parts parts;
    int error = take_parts(text, &parts);
    if (error)
        return error;
    size_t zeros = trailing_zeros(parts.fraction);
    if (zeros == parts.fraction.len) {
        size_t more = trailing_zeros(parts.whole);
        if (more == parts.whole.len)
            return 0;
        zeros += more;
    }
    int64_t decimals = (int64_t)parts.fraction.len - (int64_t)zeros - parts.exponent;
    return (int)PX_MIN(PX_MAX(decimals, 0), INT_MAX);
}

int64_t px_div_round(__int128 numerator, __int128 denominator)
{
    PX_CHECK(denominator > 0);
    __int128 quotient = numerator / denominator, rest = numerator % denominator;
    int sign = rest < 0 ? -1 : 1;
    __int128 size = rest * sign, missing = denominator - size; /* no doubling, which could overflow */
    if (size > missing || (size == missing && quotient % 2 != 0))
        quotient += sign;
    if (quotient > INT64_MAX)
        return INT64_MAX;
    return quotient < INT64_MIN ? INT64_MIN : (int64_t)quotient;
}
