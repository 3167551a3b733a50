#include "tools/pxvenue/options_private.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"

/* Reads `value` into the member at `offset`; a message in case of a mistake, else NULL. */
typedef const char *reader(struct pxi_options *options, size_t offset, char *value);

struct row {
    const char *name, *argument; /* no argument: a switch */
    reader *read;
    size_t offset;
    const char *help;
};

static void *member(struct pxi_options *options, size_t offset)
{
    return (char *)options + offset;
}

static const char *read_switch(struct pxi_options *options, size_t offset, char *value)
{
    *(bool *)member(options, offset) = true;
    return NULL;
}

static const char *read_text(struct pxi_options *options, size_t offset, char *value)
{
    *(const char **)member(options, offset) = value;
    return NULL;
}

/* A decimal with up to `scale` digits behind the point, as an integer in 10^-scale. */
static bool read_decimal(const char *text, unsigned scale, int64_t max, int64_t *valuep)
{
    return px_decimal_parse(px_text_of(text), scale, PX_ROUND_EXACT, valuep) == 0 && *valuep >= 0 && *valuep <= max;
}

static const char *read_u32(struct pxi_options *options, size_t offset, char *value)
{
    int64_t number;

    if (!read_decimal(value, 0, UINT32_MAX, &number))
        return "wants an integer";
    *(uint32_t *)member(options, offset) = (uint32_t)number;
    return NULL;
}

static const char *read_u64(struct pxi_options *options, size_t offset, char *value)
{
    int64_t number;

    if (!read_decimal(value, 0, INT64_MAX, &number))
        return "wants an integer";
    *(uint64_t *)member(options, offset) = (uint64_t)number;
    options->seed_given |= offset == offsetof(struct pxi_options, faults.seed);
    return NULL;
}

static const char *read_percent(struct pxi_options *options, size_t offset, char *value)
{
    int64_t number;

    if (!read_decimal(value, 4, 1000000, &number))
        return "wants percent, 0 to 100, with up to four decimals";
    *(uint32_t *)member(options, offset) = (uint32_t)number;
    return NULL;
}

static const char *read_seconds(struct pxi_options *options, size_t offset, char *value)
{
    int64_t number;

    if (!read_decimal(value, 3, 86400000, &number))
        return "wants seconds, up to a day, with up to three decimals";
    *(uint32_t *)member(options, offset) = (uint32_t)number;
    return NULL;
}

/* LEFT:RIGHT, each read by its own reader. */
static const char *read_pair(struct pxi_options *options, char *value, reader *left, size_t left_offset, reader *right,
                             size_t right_offset)
{
    char *colon = strchr(value, ':');
    const char *wrong;

    if (!colon)
        return "wants two numbers with a colon between them";
    *colon = 0;
    wrong = left(options, left_offset, value);
    if (!wrong)
        wrong = right(options, right_offset, colon + 1);
    *colon = ':';
    return wrong;
}

static const char *read_delay(struct pxi_options *options, size_t offset, char *value)
{
    return read_pair(options, value, read_percent, offset, read_u32, offsetof(struct pxi_options, faults.delay_ms));
}

static const char *read_stall(struct pxi_options *options, size_t offset, char *value)
{
    return read_pair(options, value, read_seconds, offset, read_seconds, offsetof(struct pxi_options, faults.stall_ms));
}

static const char *read_speed(struct pxi_options *options, size_t offset, char *value)
{
    int64_t number = 0;

    if (strcmp(value, "max") != 0 && (!read_decimal(value, 3, INT64_MAX / 2, &number) || number == 0))
        return "wants 1, 2.5, 100, … or max";
    options->speed_milli = (uint64_t)number;
    return NULL;
}

static const char *read_rate(struct pxi_options *options, size_t offset, char *value)
{
    char *slash = strchr(value, '/');
    int64_t count, period = 1;

    if (slash)
        *slash = 0;
    if (!read_decimal(value, 0, 1000000, &count) || (slash && !read_decimal(slash + 1, 0, 1000000, &period)) ||
        count == 0 || period == 0)
        return "wants an integer or a fraction such as 1/2";
    options->rate_count = (uint32_t)count;
    options->rate_period = (uint32_t)period;
    return NULL;
}

static const char *read_symbols(struct pxi_options *options, size_t offset, char *value)
{
    options->symbols = value;
    options->symbol_count = 1;
    for (; *value; value++)
        options->symbol_count += *value == ',';
    return NULL;
}

static const char *read_unit(struct pxi_options *options, size_t offset, char *value)
{
    if (strcmp(value, "ms") != 0 && strcmp(value, "us") != 0)
        return "wants ms or us";
    options->unit = value[0] == 'u' ? PXI_UNIT_US : PXI_UNIT_MS;
    return NULL;
}

static const char *read_file(struct pxi_options *options, size_t offset, char *value)
{
    if (options->file_count == PXI_FILES_MAX)
        return "takes at most 64 files";
    options->files[options->file_count++] = value;
    return NULL;
}

#define AT(name) offsetof(struct pxi_options, name)

/* A row without a reader is a heading. */
static const struct row rows[] = {
    {"Replay recorded traffic", NULL, NULL, 0, NULL},
    {"replay", "FILE...", read_file, 0, "recordings (cryptofeed or hftbacktest, gzipped or not), merged by time"},
    {"speed", "N|max", read_speed, 0, "times the recorded pace; max = as fast as clients read (default 1)"},
    {"loop", NULL, read_switch, AT(loop), "begin again at the end"},
    {"restamp", NULL, read_switch, AT(restamp),
     "put the present into E, T and \"time\"; else frames stay byte for byte"},
    {"everything", NULL, read_switch, AT(everything), "Binance: send all streams to whoever subscribes to any"},
    {"Make up a market", NULL, NULL, 0, NULL},
    {"assets", "N", read_u32, AT(assets), "so many assets, A00001USD and up (1 to 65536)"},
    {"prefix", "TEXT", read_text, AT(prefix), "what their names begin with (default A)"},
    {"symbols", "A,B,...", read_symbols, 0, "these symbols instead, with the prices of real ones where known"},
    {"rate", "N|N/M", read_rate, 0, "trades per asset: N a second, or N in M seconds (default 1)"},
    {"ticks", "N", read_u64, AT(ticks), "end after N trades in all"},
    {"no-quotes", NULL, read_switch, AT(no_quotes), "trades only, without the best bid and ask after each"},
    {"script", "FILE", read_text, AT(script), "these trades and no others: lines <delay_ms> <symbol> <price, or bid/ask> <size>"},
    {"dialect", "NAME", read_text, AT(dialect), "binance, coinbase or kraken (version 2) (default binance)"},
    {"time-unit", "ms|us", read_unit, 0, "unit of Binance's times (default ms; ?timeUnit=MICROSECOND asks for us)"},
    {"list", NULL, read_switch, AT(list), "print symbol, BASE-QUOTE, decimals, size decimals, tick, price; and end"},
    {"Let things go wrong", NULL, NULL, 0, NULL},
    {"seed", "N", read_u64, AT(faults.seed), "of prices and faults; the same seed, the same course (default: chosen)"},
    {"drop", "PERCENT", read_percent, AT(faults.drop), "frames that never arrive"},
    {"duplicate", "PERCENT", read_percent, AT(faults.duplicate), "frames that arrive twice"},
    {"delay", "PERCENT:MS", read_delay, AT(faults.delay), "frames that arrive so many milliseconds late"},
    {"reorder", "PERCENT", read_percent, AT(faults.reorder), "frames that arrive after the next one"},
    {"garble", "PERCENT", read_percent, AT(faults.garble), "frames with wrong bytes, or cut short"},
    {"stall", "EVERY:SECS", read_stall, AT(faults.stall_every_ms),
     "fall silent after EVERY seconds, for SECS, again and again"},
    {"disconnect", "EVERY", read_seconds, AT(faults.disconnect_every_ms), "cut every connection each EVERY seconds"},
    {"Serve", NULL, NULL, 0, NULL},
    {"host", "ADDRESS", read_text, AT(host), "to listen on (default 127.0.0.1)"},
    {"port", "N", read_u32, AT(port), "0 = any; the port is printed (default 9443)"},
    {"cert", "FILE", read_text, AT(cert), "certificate chain (PEM): speak TLS"},
    {"key", "FILE", read_text, AT(key), "its key (PEM)"},
    {"clients", "N", read_u32, AT(clients), "begin once N clients have subscribed (default 1)"},
    {"settle", "MS", read_u32, AT(settle_ms), "and the last subscription is so old (default 200)"},
    {"journal", "FILE", read_text, AT(journal), "write each made-up trade: symbol id price size time_us fate"},
    {"exit-when-done", NULL, read_switch, AT(exit_when_done), "end after the last frame"},
    {"close-when-done", NULL, read_switch, AT(close_when_done), "close the connections after it, stay for others"},
    {"quiet", NULL, read_switch, AT(quiet), "log nothing below a warning"},
    {"help", NULL, read_switch, AT(help), "this page"},
};

static const struct row *find(const char *name, size_t len)
{
    for (size_t i = 0; i < PX_COUNT_OF(rows); i++)
        if (rows[i].read && strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static int complain(const char *option, const char *what)
{
    fprintf(stderr, "pxvenue: %s %s; see pxvenue --help\n", option, what);
    return PX_E_INVALID;
}

/* One option with its values; returns how many of argv it took, or an error. */
static int read_option(int argc, char **argv, struct pxi_options *options)
{
    const char *equals = strchr(argv[0], '=');
    size_t len = strncmp(argv[0], "--", 2) != 0 ? 0 : equals ? (size_t)(equals - argv[0]) - 2 : strlen(argv[0]) - 2;
    const struct row *row = len ? find(argv[0] + 2, len) : NULL;
    const char *wrong = NULL;
    int used = 1;

    if (!row)
        return complain(argv[0], "is unknown");
    if (!row->argument) {
        wrong = row->read(options, row->offset, NULL);
    } else if (equals) {
        wrong = row->read(options, row->offset, argv[0] + (equals - argv[0]) + 1);
    } else if (argc < 2) {
        wrong = "wants a value";
    } else {
        do
            wrong = row->read(options, row->offset, argv[used++]);
        while (!wrong && row->read == read_file && used < argc && strncmp(argv[used], "--", 2) != 0);
    }
    return wrong ? complain(argv[0], wrong) : used;
}

static int check(const struct pxi_options *options)
{
    unsigned sources = (options->file_count > 0) + (options->assets > 0 || options->symbols || options->script);

    if (options->help)
        return 0;
    if (sources != 1)
        return complain("one of --replay, --assets, --symbols and --script", "is needed");
    if (options->assets && options->symbols)
        return complain("--assets and --symbols", "exclude each other");
    if (options->assets > 65536 || options->symbol_count > 65536)
        return complain("--assets", "is at most 65536");
    if (options->port > 65535)
        return complain("--port", "is at most 65535");
    if (!options->cert != !options->key)
        return complain("--cert and --key", "need each other");
    if (options->journal && options->file_count)
        return complain("--journal", "is of made-up trades, not of recordings");
    if (options->faults.stall_ms && !options->faults.stall_every_ms)
        return complain("--stall", "wants EVERY above 0");
    return 0;
}

int pxi_options_read(int argc, char **argv, struct pxi_options *optionsp)
{
    int used = 1;

    *optionsp = (struct pxi_options){.speed_milli = 1000,
                                     .prefix = "A",
                                     .rate_count = 1,
                                     .rate_period = 1,
                                     .dialect = "binance",
                                     .host = "127.0.0.1",
                                     .port = 9443,
                                     .clients = 1,
                                     .settle_ms = 200};
    if (argc < 2)
        optionsp->help = true;
    for (int i = 1; i < argc && used > 0; i += used)
        used = read_option(argc - i, argv + i, optionsp);
    if (!optionsp->seed_given)
        optionsp->faults.seed = (uint64_t)px_wall_now() % 1000000007u;
    return used < 0 ? used : check(optionsp);
}

void pxi_options_help(void)
{
    puts("pxvenue - a venue for demonstrations and tests: a WebSocket server that replays recorded\n"
         "traffic or makes up a market, and lets things go wrong when asked to.\n\n"
         "  pxvenue --replay btcusdt.gz ethusdt.gz --speed 10 --loop --restamp\n"
         "  pxvenue --symbols BTCUSD,ETHUSD --rate 5 --seed 7\n"
         "  pxvenue --assets 10000 --time-unit us --journal /tmp/truth --port 0\n"
         "  pxvenue --script crossing.txt --dialect coinbase --exit-when-done\n\n"
         "Frames flow once a client has subscribed: Binance ws://HOST:PORT/stream?streams=btcusd@trade or a\n"
         "SUBSCRIBE message, Coinbase and Kraken a subscribe message. A summary follows at the end (Ctrl-C).");
    for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
        char option[40];
        if (!rows[i].read) {
            printf("\n%s\n", rows[i].name);
            continue;
        }
        snprintf(option, sizeof(option), "--%s %s", rows[i].name, rows[i].argument ? rows[i].argument : "");
        printf("  %-22s %s\n", option, rows[i].help);
    }
}
