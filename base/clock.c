/* Reading the clocks, and RFC 3339 in both directions without the C library's time zones. */
#include "base/clock.h"

#include <time.h>

#include "base/error.h"

#define SECONDS_PER_DAY 86400

px_mono px_mono_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (px_mono){(int64_t)ts.tv_sec * PX_NS_PER_S + ts.tv_nsec};
}

int64_t px_wall_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * PX_NS_PER_S + ts.tv_nsec;
}

/*
 * Days since 1970-01-01 of a Gregorian date. The year is taken to start in March, so that the leap day is its last day
 * and the months' lengths follow (153 m + 2) / 5. Years from 0.
 */
static int64_t days_of(int year, int month, int day)
{
    int y = month > 2 ? year : year - 1;
    int era = (y >= 0 ? y : y - 399) / 400;
    int year_of_era = y - era * 400;
    int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

/* The inverse of days_of. */
static void date_of(int64_t days, int *yearp, int *monthp, int *dayp)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int day_of_era = (int)(days - era * 146097);
    int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int shifted = (5 * day_of_year + 2) / 153;
    *dayp = day_of_year - (153 * shifted + 2) / 5 + 1;
    *monthp = shifted < 10 ? shifted + 3 : shifted - 9;
    *yearp = (int)(year_of_era + era * 400) + (*monthp <= 2);
}

static char *put_digits(char *at, int count, int value)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

size_t px_rfc3339_format(int64_t ns, char text[PX_RFC3339_SIZE])
{
    int64_t seconds = floor_div(ns, PX_NS_PER_S);
    int64_t days = floor_div(seconds, SECONDS_PER_DAY);
    int of_day = (int)(seconds - days * SECONDS_PER_DAY);
    int us = (int)((ns % PX_NS_PER_S + PX_NS_PER_S) % PX_NS_PER_S / PX_NS_PER_US);
    int year, month, day;
    date_of(days, &year, &month, &day);

    char *at = put_digits(text, 4, year);
    *at++ = '-';
    at = put_digits(at, 2, month);
    *at++ = '-';
    at = put_digits(at, 2, day);
    *at++ = 'T';
    at = put_digits(at, 2, of_day / 3600);
    *at++ = ':';
    at = put_digits(at, 2, of_day / 60 % 60);
    *at++ = ':';
    at = put_digits(at, 2, of_day % 60);
    *at++ = '.';
    at = put_digits(at, 6, us);
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - text);
}

/* What is left to read; `bad` sticks, so that the reader looks once at the end. */
struct scan {
    const char *at, *end;
    bool bad;
};

static bool scan_is_digit(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static int scan_number(struct scan *scan, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (!scan_is_digit(scan)) {
            scan->bad = true;
            return 0;
        }
        value = value * 10 + (*scan->at++ - '0');
    }
    return value;
}

static bool scan_one_of(struct scan *scan, const char *allowed)
{
    if (scan->at == scan->end || *scan->at == '\0' || !strchr(allowed, *scan->at))
        return false;
    scan->at++;
    return true;
}

static void scan_expect(struct scan *scan, const char *allowed)
{
    if (!scan_one_of(scan, allowed))
        scan->bad = true;
}

static int64_t scan_fraction(struct scan *scan)
{
    if (!scan_one_of(scan, "."))
        return 0;
    int64_t ns = 0, unit = PX_NS_PER_S / 10;
    if (!scan_is_digit(scan))
        scan->bad = true;
    for (; scan_is_digit(scan); scan->at++, unit /= 10) {
        ns += (*scan->at - '0') * unit;
        if (unit == 0)
            scan->bad = true; /* a tenth digit */
    }
    return ns;
}

/* Seconds east of Greenwich. */
static int scan_offset(struct scan *scan)
{
    if (scan_one_of(scan, "Zz"))
        return 0;
    bool west = scan->at < scan->end && *scan->at == '-';
    scan_expect(scan, "+-");
    int hours = scan_number(scan, 2);
    scan_expect(scan, ":");
    int minutes = scan_number(scan, 2);
    if (hours > 23 || minutes > 59)
        scan->bad = true;
    int seconds = hours * 3600 + minutes * 60;
    return west ? -seconds : seconds;
}

static int days_in_month(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since the epoch. */
static int64_t scan_date(struct scan *scan)
{
    int year = scan_number(scan, 4);
    scan_expect(scan, "-");
    int month = scan_number(scan, 2);
    scan_expect(scan, "-");
    int day = scan_number(scan, 2);
    if (scan->bad || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) {
        scan->bad = true;
        return 0;
    }
    return days_of(year, month, day);
}

/* Seconds of the day. A leap second is taken as the second after it, as POSIX time does. */
static int scan_time(struct scan *scan)
{
    int hour = scan_number(scan, 2);
    scan_expect(scan, ":");
    int minute = scan_number(scan, 2);
    scan_expect(scan, ":");
    int second = scan_number(scan, 2);
    if (hour > 23 || minute > 59 || second > 60 || (second == 60 && minute != 59))
        scan->bad = true;
    return hour * 3600 + minute * 60 + second;
}

int px_rfc3339_parse(struct px_text text, int64_t *nsp)
{
    struct scan scan = {text.at, text.at + text.len, false};
    int64_t seconds = scan_date(&scan) * SECONDS_PER_DAY;
    scan_expect(&scan, "Tt");
    seconds += scan_time(&scan);
    int64_t fraction = scan_fraction(&scan);
    seconds -= scan_offset(&scan);
    if (scan.bad || scan.at != scan.end)
        return PX_E_FORMAT;

    __int128 ns = (__int128)seconds * PX_NS_PER_S + fraction;
    if (ns > INT64_MAX || ns < INT64_MIN)
        return PX_E_FORMAT;
    *nsp = (int64_t)ns;
    return 0;
}

/* The unit of an epoch integer, in nanoseconds. */
static int64_t unit_of(int64_t value)
{
    if (value < INT64_C(100000000000))
        return PX_NS_PER_S;
    if (value < INT64_C(100000000000000))
        return PX_NS_PER_MS;
    return value < INT64_C(100000000000000000) ? PX_NS_PER_US : 1;
}

int px_time_parse(struct px_text text, int64_t *nsp)
{
    int64_t value = 0;
    size_t i = 0;
    for (; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text.at[i] - '0', &value))
            return PX_E_FORMAT;
    if (i == 0 || i < text.len)
        return px_rfc3339_parse(text, nsp);

    int64_t ns;
    if (__builtin_mul_overflow(value, unit_of(value), &ns))
        return PX_E_FORMAT;
    *nsp = ns;
    return 0;
}
