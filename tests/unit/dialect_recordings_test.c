/* Dialects against recorded traffic of 14 venues: ours give the counts that Python's json gives, the others give
 * nothing. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "feed/dialect.h"

#define TALLIES_MAX 64
#define GOLDEN      "tests/golden/dialects_counts.txt"

struct tally {
    enum px_feed_kind kind;
    char symbol[32], last[64];
    unsigned count;
};

struct run {
    struct px_dialect_parser *parser;
    unsigned frames, errors, events, tally_count, kinds[PX_FEED_KINDS];
    struct tally tallies[TALLIES_MAX];
};

struct recording {
    const char *path, *dialect;
};

static const struct recording ours[] = {
    {"cryptofeed-ws/BINANCE.ws.1.0", "binance"},
    {"cryptofeed-ws/BINANCE_FUTURES.ws.1.0", "binance"},
    {"cryptofeed-ws/COINBASE.ws.28.0", "coinbase"},
    {"cryptofeed-ws/KRAKEN.ws.48.0", "kraken"},
    {"cryptofeed-ws/KRAKEN.ws.49.0", "kraken"},
    {"cryptofeed-ws/KRAKEN.ws.50.0", "kraken"},
    {"hftbacktest-binance/spot/btcusdt_20240808.gz", "binance"},
    {"hftbacktest-binance/spot/ethusdt_20240808.gz", "binance"},
};

static const char *const foreign[] = {"BITFINEX.ws.11.0", "BITFLYER.ws.1.0", "BITMEX.ws.1.0", "BITSTAMP.ws.1.0",
                                      "DERIBIT.ws.1.0",   "GEMINI.ws.1.0",   "HUOBI.ws.44.0", "KUCOIN.ws.1.0",
                                      "OKX.ws.1.0",       "UPBIT.ws.62.0"};

static const char *const dialects[] = {"binance", "coinbase", "kraken"};

static struct run run;
static char data_folder[512];

static struct tally *tally_of(enum px_feed_kind kind, struct px_text symbol)
{
    for (unsigned i = 0; i < run.tally_count; i++) {
        if (run.tallies[i].kind == kind && px_text_is(symbol, run.tallies[i].symbol))
            return &run.tallies[i];
    }
    ck_assert_uint_lt(run.tally_count, TALLIES_MAX);
    run.tallies[run.tally_count].kind = kind;
    ck_assert(px_text_copy(run.tallies[run.tally_count].symbol, 32, symbol));
    return &run.tallies[run.tally_count++];
}

static void count_event(void *context, const struct px_feed_event *event)
{
    struct tally *tally;

    run.events++;
    run.kinds[event->kind]++;
    if (event->kind != PX_FEED_TRADE && event->kind != PX_FEED_QUOTE)
        return;
    tally = tally_of(event->kind, event->symbol);
    tally->count++;
    if (event->kind == PX_FEED_TRADE)
        snprintf(tally->last, sizeof tally->last, "%.*s", (int)event->price.len, event->price.at);
    else
        snprintf(tally->last, sizeof tally->last, "%.*s/%.*s", (int)event->bid.len, event->bid.at, (int)event->ask.len,
                 event->ask.at);
}

/* Turns the inside of a Python bytes literal into its bytes, in place. */
static size_t unescape(char *text, size_t len)
{
    static const char plain[] = "\\\\''\"\"n\nr\rt\t";
    size_t out = 0;

    for (size_t in = 0; in < len; in++) {
        char c = text[in];
        if (c == '\\' && in + 1 < len) {
            c = text[++in];
            if (c == 'x' && in + 2 < len) {
                c = (char)strtoul((char[]){text[in + 1], text[in + 2], 0}, NULL, 16);
                in += 2;
            } else {
                const char *found = strchr(plain, c);
                c = found ? found[1] : c;
            }
        }
        text[out++] = c;
    }
    return out;
}

/* Where the frame of a line begins, or NULL: "1618678070.73: {…}" was received, "wss://… <- …" was sent. */
static char *frame_of(char *line, bool gz)
{
    char *at = line;

    while (isdigit((unsigned char)*at) || *at == '.')
        at++;
    if (at == line || (!gz && *at++ != ':') || *at != ' ')
        return NULL;
    return at + 1;
}

static void feed_line(char *line, size_t len, bool gz)
{
    char *frame = frame_of(line, gz);
    size_t size;

    if (!frame)
        return;
    size = len - (size_t)(frame - line);
    if (size > 3 && frame[0] == 'b' && (frame[1] == '\'' || frame[1] == '"')) {
        frame += 2;
        size = unescape(frame, size - 3);
    }
    run.frames++;
    if (px_dialect_parse(run.parser, (struct px_text){frame, size}, count_event, NULL))
        run.errors++;
}

static void replay(const char *recording, const char *dialect_name)
{
    const struct px_dialect *dialect;
    bool gz = strstr(recording, ".gz") != NULL;
    char command[1024], *line = NULL;
    size_t size = 0;
    ssize_t len;
    FILE *file;

    snprintf(command, sizeof command, gz ? "gzip -dc '%s/%s'" : "cat '%s/%s'", data_folder, recording);
    file = popen(command, "r");
    ck_assert_ptr_nonnull(file);
    memset(&run, 0, sizeof run);
    ck_assert_int_eq(px_dialect_find(dialect_name, &dialect), 0);
    ck_assert_int_eq(px_dialect_parser_create(dialect, &run.parser), 0);
    while ((len = getline(&line, &size, file)) > 0) {
        if (line[len - 1] == '\n')
            line[--len] = 0;
        feed_line(line, (size_t)len, gz);
    }
    free(line);
    ck_assert_int_eq(pclose(file), 0);
    px_dialect_parser_destroy(&run.parser);
}

static void expect_golden_line(const char *name, const char *line)
{
    char file[64], kind[16], symbol[32], last[64] = "";
    unsigned count;

    if (sscanf(line, "%63s frames %u", file, &count) == 2) {
        if (strcmp(file, name) == 0)
            ck_assert_uint_eq(run.frames, count);
        return;
    }
    ck_assert_int_eq(sscanf(line, "%63s %15s %31s %u %63s", file, kind, symbol, &count, last), 5);
    if (strcmp(file, name) != 0)
        return;
    struct tally *tally = tally_of(strcmp(kind, "trade") ? PX_FEED_QUOTE : PX_FEED_TRADE, px_text_of(symbol));
    ck_assert_msg(tally->count == count && strcmp(tally->last, last) == 0, "%s %s %s: %u last %s, not %u last %s", name,
                  kind, symbol, tally->count, tally->last, count, last);
    tally->count = 0;
}

/* Every line of the golden file is met, and nothing was seen that it does not list. */
static void expect_golden(const char *recording)
{
    const char *slash = strrchr(recording, '/');
    FILE *golden = fopen(GOLDEN, "r");
    char line[256];

    ck_assert_msg(golden, "run from the root of the repository");
    while (fgets(line, sizeof line, golden))
        expect_golden_line(slash + 1, line);
    fclose(golden);
    for (unsigned i = 0; i < run.tally_count; i++)
        ck_assert_msg(run.tallies[i].count == 0, "%s: unexpected %s", recording, run.tallies[i].symbol);
}

START_TEST(test_ours)
{
    replay(ours[_i].path, ours[_i].dialect);
    ck_assert_msg(run.errors == 0, "%s: %u errors", ours[_i].path, run.errors);
    ck_assert_uint_eq(run.kinds[PX_FEED_REFUSED], 0);
    ck_assert_uint_gt(run.events, 0);
    expect_golden(ours[_i].path);
}
END_TEST

START_TEST(test_foreign)
{
    char path[128];

    snprintf(path, sizeof path, "cryptofeed-ws/%s", foreign[_i]);
    for (size_t d = 0; d < PX_COUNT_OF(dialects); d++) {
        replay(path, dialects[d]);
        ck_assert_uint_gt(run.frames, 0);
        ck_assert_msg(run.events == 0 && run.errors == run.frames, "%s as %s: %u events, %u errors in %u frames", path,
                      dialects[d], run.events, run.errors, run.frames);
    }
}
END_TEST

/* Our venues do not understand each other either. */
START_TEST(test_crossed)
{
    for (size_t d = 0; d < PX_COUNT_OF(dialects); d++) {
        if (strcmp(dialects[d], ours[_i].dialect) == 0)
            continue;
        replay(ours[_i].path, dialects[d]);
        ck_assert_msg(run.events == 0, "%s as %s: %u events", ours[_i].path, dialects[d], run.events);
    }
}
END_TEST

static int run_suite(void)
{
    Suite *suite = suite_create("dialect recordings");
    TCase *tcase = tcase_create("dialect recordings");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_ours, 0, PX_COUNT_OF(ours));
    tcase_add_loop_test(tcase, test_foreign, 0, PX_COUNT_OF(foreign));
    tcase_add_loop_test(tcase, test_crossed, 0, 6);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}

int main(void)
{
    const char *folder = getenv("PX_RECORDINGS");
    struct stat info;

    snprintf(data_folder, sizeof data_folder, "%s", folder ? folder : "../shared/data");
    if (stat(data_folder, &info) != 0) {
        puts("SKIP: no recordings (set PX_RECORDINGS)");
        return getenv("PX_REQUIRE_ALL") ? 1 : 77;
    }
    return run_suite();
}
