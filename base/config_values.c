/* From the text of one value to a field, with its unit and its range. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/config_private.h"
#include "base/error.h"

/* All readers have this shape; `why` completes the sentence "'key': …". */
typedef bool value_reader(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE]);

#define REFUSE(...) (snprintf(why, PXI_WHY_SIZE, __VA_ARGS__), false)

static bool is_small(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_printable(char c)
{
    return c > ' ' && c < 0x7f;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* Reads "64KiB" along a table of units that ends with NULL; the table's first row stands for a number alone. */
static bool read_units(struct px_text text, const struct unit *units, int64_t *valuep)
{
    size_t digits = 0;
    while (digits < text.len && (is_digit(text.at[digits]) || text.at[digits] == '.'))
        digits++;
    struct px_text name = {text.at + digits, text.len - digits};
    while (units->name && !px_text_is(name, units->name))
        units++;
    if (!units->name)
        return false;
    unsigned scale = 0;
    for (int64_t factor = units->factor; factor % 10 == 0; factor /= 10)
        scale++;
    int64_t value;
    if (px_decimal_parse((struct px_text){text.at, digits}, scale, PX_ROUND_EXACT, &value))
        return false;
    return !__builtin_mul_overflow(value, units->factor / px_pow10(scale), valuep);
}

static bool in_range(const struct pxi_key *key, int64_t value)
{
    return value >= key->least && value <= key->most;
}

static bool read_number(const struct pxi_key *key, struct px_text text, int64_t *valuep, char why[PXI_WHY_SIZE])
{
    if (px_decimal_parse(text, 0, PX_ROUND_EXACT, valuep) || !in_range(key, *valuep))
        return REFUSE("write a whole number from %" PRId64 " to %" PRId64, key->least, key->most);
    return true;
}

static bool read_count(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    int64_t value;
    if (!read_number(key, text, &value, why))
        return false;
    *(uint32_t *)field = (uint32_t)value;
    return true;
}

static bool read_decimals(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    int64_t value;
    if (!read_number(key, text, &value, why))
        return false;
    *(uint8_t *)field = (uint8_t)value;
    return true;
}

static bool read_kib(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    static const struct unit units[] = {{"", 1024}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {NULL, 0}};
    int64_t value;
    if (!read_units(text, units, &value) || !in_range(key, value))
        return REFUSE("write a size such as 64KiB, from %" PRId64 "KiB to %" PRId64 "KiB", key->least / 1024,
                      key->most / 1024);
    *(uint32_t *)field = (uint32_t)value;
    return true;
}

static bool read_duration(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
    int64_t value;
    if (!read_units(text, units, &value) || !in_range(key, value))
        return REFUSE("write a time with its unit (ms, s, m, h) such as 10s, from %" PRId64 "ms to %" PRId64 "h",
                      key->least, key->most / 3600000);
    *(uint32_t *)field = (uint32_t)value;
    return true;
}

static bool read_days(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    static const struct unit units[] = {{"d", 1}, {NULL, 0}};
    int64_t value;
    if (!read_units(text, units, &value) || !in_range(key, value))
        return REFUSE("write a number of days such as 30d, from %" PRId64 "d to %" PRId64 "d", key->least, key->most);
    *(uint32_t *)field = (uint32_t)value;
    return true;
}

static bool read_percent(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    static const struct unit units[] = {{"%", 100}, {NULL, 0}};
    int64_t value;
    if (!read_units(text, units, &value) || !in_range(key, value))
        return REFUSE("write a percentage such as 20%%, with at most two decimals, up to %" PRId64 ".%02" PRId64 "%%",
                      key->most / 100, key->most % 100);
    *(uint16_t *)field = (uint16_t)value;
    return true;
}

static bool read_choice(struct px_text text, const char *const *names, int *chosenp)
{
    for (int i = 0; names[i]; i++)
        if (px_text_is(text, names[i])) {
            *chosenp = i;
            return true;
        }
    return false;
}

static bool read_level(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    static const char *const names[] = {"debug", "info", "warn", "error", NULL};
    int chosen;
    if (!read_choice(text, names, &chosen))
        return REFUSE("write debug, info, warn or error");
    *(enum px_log_level *)field = (enum px_log_level)chosen;
    return true;
}

static bool read_clock(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    static const char *const names[] = {"venue", "receipt", NULL};
    int chosen;
    if (!read_choice(text, names, &chosen))
        return REFUSE("write venue or receipt");
    *(enum px_clock_source *)field = (enum px_clock_source)chosen;
    return true;
}

static bool put_text(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    if (text.len < (size_t)key->least)
        return REFUSE("a value is missing here");
    if (text.len > (size_t)key->most)
        return REFUSE("at most %" PRId64 " characters, this has %zu", key->most, text.len);
    px_text_copy(field, key->size, text);
    return true;
}

static bool all_of(struct px_text text, bool (*is)(char))
{
    for (size_t i = 0; i < text.len; i++)
        if (!is(text.at[i]))
            return false;
    return true;
}

static bool read_text(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    if (!all_of(text, is_printable))
        return REFUSE("only printable ASCII characters without blanks");
    return put_text(key, text, field, why);
}

static bool is_of_path(char c)
{
    return c == ' ' || is_printable(c) || (unsigned char)c >= 0x80;
}

static bool read_path(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    if (!all_of(text, is_of_path))
        return REFUSE("a directory's name without control characters");
    return put_text(key, text, field, why);
}

static bool is_of_name(char c)
{
    return is_small(c) || is_digit(c) || c == '_' || c == '-';
}

static bool read_name(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    if (!all_of(text, is_of_name))
        return REFUSE("only small letters, digits, '_' and '-', such as coinbase");
    return put_text(key, text, field, why);
}

static bool read_dialect(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    int chosen;
    if (read_choice(text, pxi_dialects, &chosen)) {
        px_text_copy(field, key->size, text);
        return true;
    }
    size_t len =
        (size_t)snprintf(why, PXI_WHY_SIZE, "no dialect '%.*s'; known are", (int)PX_MIN(text.len, 24), text.at);
    for (size_t i = 0; pxi_dialects[i] && len < PXI_WHY_SIZE; i++)
        len += (size_t)snprintf(why + len, PXI_WHY_SIZE - len, "%s %s", i > 0 ? "," : "", pxi_dialects[i]);
    return false;
}

static bool starts_with(struct px_text text, struct px_text head)
{
    return text.len >= head.len && memcmp(text.at, head.at, head.len) == 0;
}

/* The port behind the last colon, which must be the last thing in `text`; 0 when there is none or it is no port. */
static uint16_t port_of(struct px_text text)
{
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    int64_t port;
    if (colon == 0 || px_decimal_parse((struct px_text){text.at + colon, text.len - colon}, 0, PX_ROUND_EXACT, &port))
        return 0;
    return port >= 1 && port <= 65535 ? (uint16_t)port : 0;
}

static bool read_url(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    struct px_text rest = text;
    size_t scheme = starts_with(text, PX_TEXT("ws://")) ? 5 : starts_with(text, PX_TEXT("wss://")) ? 6 : 0;
    if (scheme == 0 || !all_of(text, is_printable))
        return REFUSE("write an address such as wss://host:port/path");
    rest.at += scheme;
    rest.len = 0;
    while (scheme + rest.len < text.len && !strchr("/?#", rest.at[rest.len]))
        rest.len++;
    if (rest.len == 0 || rest.at[0] == ':' || memchr(rest.at, '@', rest.len))
        return REFUSE("a host name belongs after the //, without user or password");
    bool has_port = rest.at[rest.len - 1] != ']' && memchr(rest.at, ':', rest.len);
    if (has_port && port_of(rest) == 0)
        return REFUSE("the port must be a number from 1 to 65535");
    return put_text(key, text, field, why);
}

/* "127.0.0.1:8080" or "[::1]:8080". Names are refused: what they stand for may change between two starts. */
static bool read_address(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    struct px_config *config = (struct px_config *)((char *)field - offsetof(struct px_config, listen_host));
    uint16_t port = port_of(text);
    if (port == 0)
        return REFUSE("write address:port such as 127.0.0.1:8080, the port from 1 to 65535");
    struct px_text host = text;
    while (host.at[host.len - 1] != ':')
        host.len--;
    host.len--;
    bool v6 = host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (v6) {
        host.at++;
        host.len -= 2;
    }
    char name[sizeof config->listen_host];
    unsigned char binary[16];
    if (!px_text_copy(name, sizeof name, host) || inet_pton(v6 ? AF_INET6 : AF_INET, name, binary) != 1)
        return REFUSE("write a numeric address such as 127.0.0.1, 0.0.0.0 or [::1] before the port");
    strcpy(config->listen_host, name);
    config->listen_port = port;
    return true;
}

static bool is_of_base(char c)
{
    return is_capital(c) || is_digit(c) || c == '.';
}

static bool is_of_quote(char c)
{
    return is_capital(c) || is_digit(c);
}

static bool read_symbol(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    const char *dash = memchr(text.at, '-', text.len);
    struct px_text base = {text.at, dash ? (size_t)(dash - text.at) : 0};
    struct px_text quote = {text.at + base.len + 1, dash ? text.len - base.len - 1 : 0};
    if (base.len == 0 || quote.len == 0 || !all_of(base, is_of_base) || !all_of(quote, is_of_quote))
        return REFUSE("write BASE-QUOTE in capitals and digits such as BTC-USD");
    return put_text(key, text, field, why);
}

static bool is_of_mail(char c)
{
    return is_printable(c) && !strchr("<>()[],;:\\\"", c);
}

/* One address as it may stand in a header: what could end the header, or begin another address, is refused. */
static bool read_mail(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    const char *at = memchr(text.at, '@', text.len);
    size_t name = at ? (size_t)(at - text.at) : 0;
    if (name == 0 || name + 1 >= text.len || memchr(at + 1, '@', text.len - name - 1) || !all_of(text, is_of_mail))
        return REFUSE("write one address such as alerts@example.com");
    return put_text(key, text, field, why);
}

static bool read_smtp_url(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    size_t scheme = starts_with(text, PX_TEXT("smtp://")) ? 7 : starts_with(text, PX_TEXT("smtps://")) ? 8 : 0;
    if (scheme == 0 || scheme == text.len || !all_of(text, is_printable) || memchr(text.at, '@', text.len))
        return REFUSE("write an address such as smtps://mail.example.com:465, without user or password");
    return put_text(key, text, field, why);
}

static bool read_subject(const struct pxi_key *key, struct px_text text, void *field, char why[PXI_WHY_SIZE])
{
    bool known = starts_with(text, PX_TEXT("mailto:")) || starts_with(text, PX_TEXT("https://"));
    if (!known || !all_of(text, is_printable) || memchr(text.at, '"', text.len) ||
        memchr(text.at, '\\', text.len))
        return REFUSE("write mailto:you@example.com or an https:// address");
    return put_text(key, text, field, why);
}

/* Whether the bits behind the first `bits` are all zero. */
static bool is_network(const struct px_cidr *cidr)
{
    for (unsigned bit = cidr->bits; bit < (cidr->v6 ? 128u : 32u); bit++)
        if (cidr->address[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

bool pxi_cidr_read(struct px_text text, struct px_cidr *cidrp)
{
    const char *slash = memchr(text.at, '/', text.len);
    struct px_text bits = {slash + 1, slash ? text.len - (size_t)(slash - text.at) - 1 : 0};
    struct px_cidr cidr = {.v6 = memchr(text.at, ':', text.len) != NULL};
    char address[INET6_ADDRSTRLEN];
    int64_t count = cidr.v6 ? 128 : 32;
    if (slash && (px_decimal_parse(bits, 0, PX_ROUND_EXACT, &count) || count < 0 || count > (cidr.v6 ? 128 : 32)))
        return false;
    if (!px_text_copy(address, sizeof address, (struct px_text){text.at, slash ? (size_t)(slash - text.at) : text.len}) ||
        inet_pton(cidr.v6 ? AF_INET6 : AF_INET, address, cidr.address) != 1)
        return false;
    cidr.bits = (uint8_t)count;
    *cidrp = cidr;
    return is_network(cidrp);
}

static value_reader *const readers[] = {
    [PXI_ADDRESS] = read_address, [PXI_PATH] = read_path,         [PXI_LEVEL] = read_level,
    [PXI_COUNT] = read_count,     [PXI_KIB] = read_kib,           [PXI_DURATION] = read_duration,
    [PXI_PERCENT] = read_percent, [PXI_DECIMALS] = read_decimals, [PXI_NAME] = read_name,
    [PXI_TEXT] = read_text,       [PXI_DIALECT] = read_dialect,   [PXI_URL] = read_url,
    [PXI_CLOCK] = read_clock,     [PXI_SYMBOL] = read_symbol,
    [PXI_DAYS] = read_days,
    [PXI_MAIL] = read_mail,       [PXI_SMTP_URL] = read_smtp_url, [PXI_SUBJECT] = read_subject,
};

bool pxi_value_read(const struct pxi_key *key, struct px_text text, void *base, char why[PXI_WHY_SIZE])
{
    PX_CHECK(key->type < PX_COUNT_OF(readers) && readers[key->type]);
    if (text.len == 0)
        return REFUSE("a value is missing here");
    return readers[key->type](key, text, (char *)base + key->offset, why);
}
