/* Records, keys, pages and ranges: the store without a keeper around it. */
#include <check.h>
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "match/plan.h"
#include "store/alerts_private.h"
#include "store/armed.h"
#include "store/hist.h"

static char data[64];
static struct px_config config;
static struct px_names *names;

static void setup(void)
{
    snprintf(data, sizeof data, "/tmp/px-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    memset(&config, 0, sizeof config);
    config.asset_count = 2;
    config.venue_count = 1;
    config.assets = calloc(2, sizeof *config.assets);
    strcpy(config.venues[0].name, "alpha");
    strcpy(config.assets[0].symbol, "BTC-USD");
    strcpy(config.assets[1].symbol, "ETH-USD");
    config.assets[0].scale = config.assets[1].scale = 2;
    config.assets[0].size_scale = config.assets[1].size_scale = 3;
    ck_assert_int_eq(px_names_create(&config, &names), 0);
}

static void teardown(void)
{
    char command[96];

    px_names_destroy(&names);
    free(config.assets);
    snprintf(command, sizeof command, "rm -rf %s", data);
    ck_assert_int_eq(system(command), 0);
}

static struct px_alert alert_of(uint64_t number, const char *owner)
{
    struct px_alert alert;

    memset(&alert, 0, sizeof alert);
    alert.id = (struct px_alert_id){7, number};
    snprintf(alert.owner, sizeof alert.owner, "%s", owner);
    strcpy(alert.symbol, "BTC-USD");
    strcpy(alert.rule.condition[0].level, "70000.005");
    strcpy(alert.name, "a name");
    strcpy(alert.message, "a message");
    alert.rule.conditions = 1;
    alert.rule.condition[0].op = PX_OP_GREATER_OR_EQUAL;
    alert.rule.condition[0].source = PX_SOURCE_LAST;
    alert.rule.frequency = PX_FREQUENCY_ONCE;
    alert.tag_count = 2;
    strcpy(alert.tags[0], "x");
    strcpy(alert.tags[1], "yy");
    return alert;
}

START_TEST(ids_are_text_and_back)
{
    struct px_alert_id ids[] = {{0, 0}, {0, 1}, {UINT64_MAX, UINT64_MAX}, {0x0123456789abcdef, 0xfedcba9876543210}},
                       back;
    char text[PX_ALERT_ID_SIZE];

    for (size_t i = 0; i < PX_COUNT_OF(ids); i++) {
        px_alert_id_format(ids[i], text);
        ck_assert_uint_eq(strlen(text), 29);
        ck_assert_int_eq(px_alert_id_parse(px_text_of(text), &back), 0);
        ck_assert(back.hi == ids[i].hi && back.lo == ids[i].lo);
    }
    ck_assert_int_eq(px_alert_id_parse(PX_TEXT("al_8zzzzzzzzzzzzzzzzzzzzzzzzz"), &back), PX_E_FORMAT);
    ck_assert_int_eq(px_alert_id_parse(PX_TEXT("al_0000000000000000000000000u"), &back), PX_E_FORMAT);
    ck_assert_int_eq(px_alert_id_parse(PX_TEXT("al_00"), &back), PX_E_FORMAT);
}
END_TEST

START_TEST(an_alert_survives_its_encoding)
{
    struct px_alert alert = alert_of(5, "owner123"), back;
    uint8_t bytes[PX_ALERT_ENCODED_MAX];
    size_t n;

    alert.version = 3;
    alert.channel_count = 1;
    alert.channels[0] = (struct px_alert_id){9, 8};
    alert.rule = (struct px_rule){.conditions = 2, .frequency = PX_FREQUENCY_ONCE_PER_BAR, .bar_s = 300, .max_fires = 7,
                                  .cooldown_ns = 60 * PX_NS_PER_S, .expires_ns = INT64_MAX, .hysteresis = "0.5", .hysteresis_pct = 1,
                                  .condition = {{.op = PX_OP_INSIDE_CHANNEL, .source = PX_SOURCE_MID, .level = "1", .upper = "2.5"},
                                                {.op = PX_OP_STALE, .source = PX_SOURCE_LAST, .window_s = 60}}};
    alert.state = PX_ALERT_ARMED;
    n = px_alert_encode(&alert, bytes);
    alert.asset = PX_ASSET_NONE;
    ck_assert_int_eq(px_alert_decode(bytes, n, &back), 0);
    ck_assert_mem_eq(&alert, &back, sizeof alert);
    for (size_t cut = 0; cut < n; cut++)
        ck_assert_int_eq(px_alert_decode(bytes, cut, &back), PX_E_FORMAT);
    bytes[n] = 0;
    ck_assert_int_eq(px_alert_decode(bytes, n + 1, &back), PX_E_FORMAT);
    bytes[0] = 99;
    ck_assert_int_eq(px_alert_decode(bytes, n, &back), PX_E_FORMAT);
}
END_TEST

static uint8_t *add(uint8_t *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    return to + n;
}

/* As two versions before wrote it: one operator and one level; the older one knew no channels. */
static size_t old_row(uint8_t format, uint8_t *bytes)
{
    static const uint64_t id[] = {7, 5};
    static const uint8_t small[] = {PX_OP_GREATER_OR_EQUAL, 0, PX_SOURCE_LAST, PX_FREQUENCY_ONCE, PX_ALERT_FIRED, 2, 2};
    static const int64_t large[] = {7000001, 11, 22, 1};
    static const char *const texts[] = {"owner123", "BTC-USD", "70000.005", "a name", "a message", "x", "yy"};
    uint32_t version = 3;
    uint8_t *to = add(bytes, &format, 1);

    to = add(add(add(add(to, id, sizeof id), small, sizeof small), &version, sizeof version), large, sizeof large);
    for (size_t i = 0; i < PX_COUNT_OF(texts); i++) {
        uint16_t n = (uint16_t)strlen(texts[i]);

        to = add(add(to, &n, sizeof n), texts[i], n);
    }
    if (format == 2)
        to = add(add(to, "\001", 1), id, sizeof id);
    return (size_t)(to - bytes);
}

START_TEST(rows_of_before_are_read)
{
    for (uint8_t format = 1; format <= 2; format++) {
        struct px_alert alert = alert_of(5, "owner123"), back;
        uint8_t bytes[PX_ALERT_ENCODED_MAX];
        size_t n = old_row(format, bytes);

        alert.asset = PX_ASSET_NONE;
        alert.state = PX_ALERT_FIRED;
        alert.version = 3;
        alert.created_ns = 11;
        alert.last_fired_ns = 22;
        alert.fires = 1;
        alert.channel_count = format - 1;
        if (format == 2)
            alert.channels[0] = alert.id;
        ck_assert_int_eq(px_alert_decode(bytes, n, &back), 0);
        ck_assert_mem_eq(&alert, &back, sizeof alert);
        for (size_t cut = 0; cut < n; cut++)
            ck_assert_int_eq(px_alert_decode(bytes, cut, &back), PX_E_FORMAT);
    }
}
END_TEST

START_TEST(alerts_are_created_listed_fired_and_deleted)
{
    struct px_alerts *alerts;
    struct px_alert stored, list[8], filter;
    struct px_alert_cursor cursor = {.owner = ""};
    struct px_alert_event events[8];
    uint32_t count;
    bool more;

    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    for (uint64_t i = 1; i <= 5; i++) {
        struct px_alert alert = alert_of(i, i <= 3 ? "anna" : "berta");

        ck_assert_int_eq(px_alerts_create(alerts, &alert, 3, &stored), 0);
        ck_assert_int_eq(px_alerts_create(alerts, &alert, 3, &stored), PX_E_AGAIN);
    }
    struct px_alert fourth = alert_of(6, "anna");
    ck_assert_int_eq(px_alerts_create(alerts, &fourth, 3, &stored), PX_E_LIMIT);
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    ck_assert_int_eq(px_alerts_create(alerts, &fourth, 3, &stored), PX_E_LIMIT);
    struct px_alert first = alert_of(1, "anna"), stolen = alert_of(1, "berta");
    ck_assert_int_eq(px_alerts_create(alerts, &first, 3, &stored), PX_E_EXISTS);
    ck_assert_uint_eq(stored.version, 1);
    ck_assert_str_eq(stored.rule.condition[0].level, "70000.005");
    ck_assert_int_eq(px_alerts_create(alerts, &stolen, 3, &stored), PX_E_FORBIDDEN);

    memset(&filter, 0, sizeof filter);
    strcpy(filter.owner, "anna");
    ck_assert_int_eq(px_alerts_list(alerts, &filter, &cursor, 2, list, &count, &more, &cursor), 0);
    ck_assert(count == 2 && more && list[0].id.lo == 1 && list[1].id.lo == 2);
    ck_assert_int_eq(px_alerts_list(alerts, &filter, &cursor, 2, list, &count, &more, &cursor), 0);
    ck_assert(count == 1 && !more && list[0].id.lo == 3);
    filter.owner[0] = '\0';
    memset(&cursor, 0, sizeof cursor);
    ck_assert_int_eq(px_alerts_list(alerts, &filter, &cursor, 4, list, &count, &more, &cursor), 0);
    ck_assert(count == 4 && more);
    ck_assert_int_eq(px_alerts_list(alerts, &filter, &cursor, 4, list, &count, &more, &cursor), 0);
    ck_assert(count == 1 && !more && list[0].id.lo == 5);

    struct px_judged judged = {.fire = {.alert = {7, 2}, .price = 7000002, .prev = PX_PRICE_NONE, .time_ns = 8, .matched_ns = 9},
                               .fire_number = 1,
                               .op = PX_OP_GREATER_OR_EQUAL,
                               .last = true};
    px_alerts_fire(alerts, &judged);
    ck_assert(px_alerts_eseq(alerts) == 1 && px_alerts_told(alerts) == 0);
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    ck_assert_int_eq(px_alerts_tell(alerts, 8, events, &count, &more), 0);
    ck_assert(count == 1 && !more && events[0].eseq == 1 && events[0].fire.alert.lo == 2 && events[0].fire.price == 7000002);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_int_eq(px_alerts_tell(alerts, 8, events, &count, &more), 0);
    ck_assert(count == 0 && px_alerts_told(alerts) == 1);
    ck_assert_int_eq(px_alerts_get(alerts, "anna", (struct px_alert_id){7, 2}, &stored), 0);
    ck_assert(stored.state == PX_ALERT_FIRED && stored.fires == 1 && stored.last_fired_ns == 8); /* the price's time, not that of the judging */
    ck_assert_int_eq(px_alerts_events(alerts, &(struct px_event_query){.owner = "anna", .limit = 8}, events, &count, &more), 0);
    ck_assert(count == 1 && strcmp(events[0].message, "a message") == 0);
    ck_assert_int_eq(px_alerts_events(alerts, &(struct px_event_query){.owner = "berta", .limit = 8}, events, &count, &more), 0);
    ck_assert_uint_eq(count, 0);

    ck_assert_int_eq(px_alerts_delete(alerts, "berta", (struct px_alert_id){7, 2}, 0, &stored), PX_E_NOT_FOUND);
    ck_assert_int_eq(px_alerts_delete(alerts, "anna", (struct px_alert_id){7, 2}, 1, &stored), PX_E_PRECONDITION);
    ck_assert_int_eq(px_alerts_delete(alerts, "anna", (struct px_alert_id){7, 2}, 2, &stored), 0);
    ck_assert_int_eq(px_alerts_create(alerts, &fourth, 3, &stored), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    px_alerts_close(&alerts);

    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    ck_assert_uint_eq(px_alerts_count(alerts), 5);
    ck_assert_int_eq(px_alerts_get(alerts, NULL, (struct px_alert_id){7, 2}, &stored), PX_E_NOT_FOUND);
    judged.fire.alert.lo = 3; /* judged, and the process dies: told by the next one */
    px_alerts_fire(alerts, &judged);
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    px_alerts_close(&alerts);
    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    ck_assert_int_eq(px_alerts_tell(alerts, 8, events, &count, &more), 0);
    ck_assert(count == 1 && events[0].eseq == 2 && events[0].fire.alert.lo == 3);
    px_alerts_close(&alerts);
}
END_TEST

/* A hundred at once stand in two rows of the outbox; told a few at a time, with a death in the middle of a row. */
START_TEST(fires_are_told_once_each_whoever_dies)
{
    struct px_alerts *alerts;
    struct px_alert stored;
    struct px_alert_event events[9];
    uint32_t count;
    uint64_t next = 1;
    bool more = true;

    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    for (uint64_t i = 1; i <= 100; i++) {
        struct px_alert alert = alert_of(i, "anna");

        ck_assert_int_eq(px_alerts_create(alerts, &alert, 100, &stored), 0);
    }
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    for (uint64_t i = 1; i <= 100; i++)
        px_alerts_fire(alerts, &(struct px_judged){.fire = {.alert = {7, 101 - i}, .price = (int64_t)i}, .fire_number = 1, .last = true});
    ck_assert_int_eq(px_alerts_tell(alerts, 9, events, &count, &more), 0);
    ck_assert(count == 0 && !more); /* the group has not been committed */
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    ck_assert(px_alerts_untold(alerts, 0));
    for (more = true; more; next += count) {
        ck_assert_int_eq(px_alerts_tell(alerts, 9, events, &count, &more), 0);
        ck_assert(count > 0 && more == (next + count <= 100));
        for (uint32_t i = 0; i < count; i++)
            ck_assert(events[i].eseq == next + i && events[i].fire.alert.lo == 101 - next - i && events[i].fire.price == (int64_t)(next + i));
        bool durable = (next & 1) != 0;
        if (durable)
            ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
        px_alerts_close(&alerts);
        ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
        ck_assert(px_alerts_untold(alerts, 0) == (px_alerts_told(alerts) < 100));
        if (!durable) { /* the next one tells them */
            ck_assert_uint_eq(px_alerts_told(alerts), next - 1);
            ck_assert_int_eq(px_alerts_tell(alerts, count, events, &count, &more), 0);
            ck_assert_uint_eq(events[0].eseq, next);
            ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
        }
    }
    ck_assert(next == 101 && !px_alerts_untold(alerts, 0) && px_alerts_told(alerts) == px_alerts_eseq(alerts));
    px_alerts_close(&alerts);
}
END_TEST

/* ---- history ---- */

#define M    PX_MINUTE_NS
#define NOON (INT64_C(1723118400) * PX_NS_PER_S)

static void put_minute(struct px_hist *hist, int64_t start_ns, int64_t price)
{
    struct px_candle candle = {.start_ns = start_ns,
                               .open = price,
                               .high = price + 5,
                               .low = price - 5,
                               .close = price + 1,
                               .volume = 10,
                               .count = 2,
                               .duration_ns = M,
                               .last_ns = start_ns + 59 * PX_NS_PER_S,
                               .final = true,
                               .area = (__int128)price * M,
                               .value = (__int128)price * 10};

    px_hist_put_candle(hist, 0, &candle);
}

START_TEST(answers_are_kept_for_a_day)
{
    struct px_alerts *alerts;
    struct px_alert alert = alert_of(1, "anna"), stored;
    int64_t now_ns = px_wall_now();
    unsigned count;

    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    alert.token = (struct px_alert_id){9, 9};
    ck_assert_int_eq(px_alerts_create(alerts, &alert, 10, &stored), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    alert.id.lo++;
    ck_assert_int_eq(px_alerts_create(alerts, &alert, 10, &stored), PX_E_EXISTS);
    ck_assert_int_eq(px_alerts_forget_answers(alerts, now_ns + 86000 * PX_NS_PER_S, 10, &count), 0);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(px_alerts_forget_answers(alerts, now_ns + 86500 * PX_NS_PER_S, 10, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_int_eq(px_alerts_create(alerts, &alert, 10, &stored), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_int_eq(px_alerts_forget_answers(alerts, now_ns, 10, &count), 0);
    ck_assert_uint_eq(count, 0);
    px_alerts_close(&alerts);
}
END_TEST

START_TEST(candle_ranges_follow_the_four_rules)
{
    static struct px_candle candles[16];
    struct px_hist *hist;
    struct px_page page;
    int64_t prior;

    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
    for (int i = 0; i < 10; i++)
        put_minute(hist, NOON + i * M, 1000 + i);
    ck_assert_int_eq(px_hist_commit(hist), 0);
#define ASK(interval, from, to, most, newest_first)                                                                    \
    do {                                                                                                               \
        struct px_range range = {from, to, most, newest_first, {false, 0, 0}, 0};                                         \
        ck_assert_int_eq(px_hist_candles(hist, 0, interval, true, NOON + 9 * M, &range, candles, &page, &prior), 0);   \
    } while (0)
    ASK(60, NOON + 2 * M, PX_TIME_NONE, 3, false);
    ck_assert(page.count == 3 && page.more && candles[0].open == 1002 && candles[2].open == 1004 && prior == 1002);
    ASK(60, PX_TIME_NONE, NOON + 5 * M, 3, false);
    ck_assert(page.count == 3 && page.more && candles[0].open == 1002 && candles[2].open == 1004);
    ASK(60, NOON + 1, NOON + 3 * M, 5, false);
    ck_assert(page.count == 2 && !page.more && candles[0].open == 1001);
    ASK(60, PX_TIME_NONE, PX_TIME_NONE, 2, false);
    ck_assert(page.count == 2 && page.more && candles[0].open == 1008 && !candles[1].final && candles[0].final);
    ASK(60, PX_TIME_NONE, PX_TIME_NONE, 2, true);
    ck_assert(page.count == 2 && candles[0].open == 1009);
    ASK(300, PX_TIME_NONE, PX_TIME_NONE, 5, false);
    ck_assert(page.count == 2 && !page.more && candles[0].open == 1000 && candles[0].close == 1005);
    ck_assert(candles[0].high == 1009 && candles[0].low == 995 && candles[0].volume == 50 && candles[0].count == 10);
    ck_assert(candles[0].duration_ns == 5 * M && candles[0].area == (__int128)(5 * 1002) * M && !candles[1].final);
    ASK(300, NOON, NOON + 1, 5, false);
    ck_assert(page.count == 1 && !page.more && candles[0].close == 1005);
    ASK(60, NOON + 100 * M, PX_TIME_NONE, 5, false);
    ck_assert(page.count == 0 && prior == 1010);

    for (int descending = 0; descending < 2; descending++) {
        struct px_range range = {NOON, NOON + 20 * M, 3, descending, {false, 0, 0}, 0};
        int seen = 0;

        do {
            ck_assert_int_eq(px_hist_candles(hist, 0, 60, true, NOON, &range, candles, &page, &prior), 0);
            for (uint32_t i = 0; i < page.count; i++, seen++)
                ck_assert_int_eq(candles[i].open, descending ? 1009 - seen : 1000 + seen);
            range.cursor = page.next;
        } while (page.more);
        ck_assert_int_eq(seen, 10);
    }
    struct px_range all = {PX_TIME_NONE, PX_TIME_NONE, 16, false, {false, 0, 0}, 0};
    ck_assert_int_eq(px_hist_candles(hist, 0, 60, false, NOON + 9 * M, &all, candles, &page, &prior), 0);
    ck_assert_uint_eq(page.count, 9);
    ck_assert_int_eq(px_hist_candles(hist, 0, 61, false, NOON, &all, candles, &page, &prior), PX_E_INVALID);
    ck_assert_int_eq(px_hist_candles(hist, 9, 60, false, NOON, &all, candles, &page, &prior), PX_E_INVALID);
    px_hist_close(&hist);
}
END_TEST

START_TEST(a_quiet_minute_counts_in_a_longer_average)
{
    struct px_candle candle;
    struct px_hist *hist;
    struct px_page page;
    int64_t prior;
    struct px_range range = {NOON, NOON + 1, 1, false, {false, 0, 0}, 0};

    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
    put_minute(hist, NOON, 1000);
    put_minute(hist, NOON + 3 * M, 2000);
    ck_assert_int_eq(px_hist_commit(hist), 0);
    ck_assert_int_eq(px_hist_candles(hist, 0, 300, true, NOON + 5 * M, &range, &candle, &page, &prior), 0);
    ck_assert_int_eq(candle.duration_ns, 5 * M);
    ck_assert(candle.area == (__int128)(1000 + 2 * 1001 + 2000 + 2001) * M);
    ck_assert_int_eq(px_candle_twap(&candle, 2), 140060);
    px_hist_close(&hist);
}
END_TEST

START_TEST(trades_are_paged_both_ways)
{
    static struct px_trade trades[64];
    struct px_hist *hist;
    struct px_page page;

    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
    for (unsigned i = 0; i < 40; i++) { /* four of each time */
        struct px_trade trade = {
            .time_ns = NOON + i / 4, .recv_ns = NOON, .sequence = i, .price = -5 + (int)i, .size = 7};

        trade.flags = i % 10 == 9 ? PX_TICK_QUARANTINED : 0;
        px_hist_put_trade(hist, 0, &trade);
        px_hist_put_trade(hist, 1, &trade);
    }
    ck_assert_int_eq(px_hist_commit(hist), 0);
    for (int way = 0; way < 3; way++) {
        struct px_range range = {way == 1 ? PX_TIME_NONE : NOON, NOON + 9, 7, way == 2, {false, 0, 0}, 0};
        int seen = 0;

        do {
            ck_assert_int_eq(px_hist_ticks(hist, 0, way != 0, &range, trades, &page), 0);
            for (uint32_t i = 1; i < page.count; i++)
                ck_assert(way == 2 ? trades[i].sequence < trades[i - 1].sequence
                                   : trades[i].sequence > trades[i - 1].sequence);
            seen += (int)page.count;
            range.cursor = page.next;
        } while (page.more);
        ck_assert_int_eq(seen, way != 0 ? 36 : 33);
    }
    px_hist_close(&hist);
}
END_TEST

START_TEST(history_follows_the_symbol_when_the_file_is_reordered)
{
    struct px_trade trade =
                        {.time_ns = NOON, .recv_ns = NOON + 5, .sequence = 1, .price = 11, .size = 1, .trade_id = 3},
                    got;
    struct px_hist *hist;
    struct px_page page;
    struct px_range range = {PX_TIME_NONE, PX_TIME_NONE, 1, false, {false, 0, 0}, 0};

    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
    px_hist_put_trade(hist, 0, &trade);
    ck_assert_int_eq(px_hist_commit(hist), 0);
    px_hist_close(&hist);
    px_names_destroy(&names);
    strcpy(config.assets[0].symbol, "ETH-USD");
    strcpy(config.assets[1].symbol, "BTC-USD");
    ck_assert_int_eq(px_names_create(&config, &names), 0);
    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
    ck_assert_int_eq(px_hist_ticks(hist, 0, false, &range, &got, &page), 0);
    ck_assert_uint_eq(page.count, 0);
    ck_assert_int_eq(px_hist_ticks(hist, 1, false, &range, &got, &page), 0);
    ck_assert(page.count == 1 && got.price == 11 && got.recv_ns == NOON + 5 && got.trade_id == 3 && got.venue == 0);
    px_hist_close(&hist);
}
END_TEST

static int nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

static void no_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
    (void)ctx;
    (void)asset;
    (void)series;
    (void)up;
    (void)down;
}

static void see(void *ctx, px_asset_id asset, unsigned series)
{
    ((uint32_t *)ctx)[asset] |= UINT32_C(1) << series;
}

/* What a start is told about: bits of the series of both assets. */
static void series_of(struct px_alerts *alerts, uint32_t seen[2])
{
    struct px_book_out out = {.near = no_near};
    struct px_index index;
    struct px_book *book;

    seen[0] = seen[1] = 0;
    px_armed_index(alerts, nothing, NULL, &index);
    ck_assert_int_eq(px_book_create(2, 1 << 20, &index, &out, &book), 0);
    ck_assert_int_eq(px_armed_load(alerts, book, see, seen), 0);
    px_book_destroy(&book);
}

static void put_row(const struct px_index *index, px_asset_id asset, unsigned series, bool down)
{
    struct px_row row = {.alert = {1, series}, .asset = asset, .place = {.level = 100, .series = (uint8_t)series, .down = down}, .len = 1};

    index->put(index->ctx, &row);
}

/* A start does not look for them, but in an index of an engine that has not noted them. */
START_TEST(which_series_have_rows_is_remembered)
{
    const uint32_t wanted[2] = {1u << PX_SERIES_LAST | 1u << PX_SERIES_AGE, 1u << PX_SERIES_BID};
    const uint32_t old[2] = {0, 2}; /* number, decimals */
    struct px_alerts *alerts;
    struct px_index index;
    uint32_t seen[2];

    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    px_alerts_indexed(alerts);
    px_armed_index(alerts, nothing, NULL, &index);
    put_row(&index, 0, PX_SERIES_LAST, false);
    put_row(&index, 0, PX_SERIES_AGE, true);
    put_row(&index, 1, PX_SERIES_BID, true);
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    for (unsigned life = 0; life < 3; life++) {
        px_alerts_close(&alerts);
        ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
        series_of(alerts, seen);
        ck_assert_msg(memcmp(seen, wanted, sizeof seen) == 0, "life %u: %x %x", life, seen[0], seen[1]);
        ck_assert(px_alerts_dirty(alerts) == (life == 1));
        if (life == 0)
            pxi_put(&alerts->db, PXI_ALERTS_META, "asset/BTC-USD", 13, old, sizeof old);
        ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    }
    px_alerts_close(&alerts);
}
END_TEST

/* A hit that is being worked off, as it is found again. */
static int take_mass(void *ctx, const struct px_mass *mass)
{
    struct px_mass *to = ctx;

    while (to->number != 0)
        to++;
    *to = *mass;
    return 0;
}

static bool same_mass(const struct px_mass *a, const struct px_mass *b)
{
    return a->number == b->number && a->generation == b->generation && a->behind == b->behind && a->stage == b->stage &&
           memcmp(&a->hit, &b->hit, sizeof a->hit) == 0;
}

START_TEST(hits_that_are_worked_off_are_found_again)
{
    struct px_mass first = {.number = 1, .generation = 3, .behind = 9, .stage = 2, .hit = {.asset = 1, .value = 70}}, second = first;
    struct px_mass found[4] = {0};
    struct px_alerts *alerts;

    second.number = 300; /* in the order of numbers, not of bytes */
    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    px_alerts_indexed(alerts);
    px_alerts_mass_put(alerts, &second);
    px_alerts_mass_put(alerts, &first);
    first.stage = 3;
    px_alerts_mass_put(alerts, &first);
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    px_alerts_close(&alerts);
    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    ck_assert_int_eq(px_alerts_masses(alerts, take_mass, found), 0);
    ck_assert(same_mass(&found[0], &first) && same_mass(&found[1], &second) && found[2].number == 0);
    px_alerts_mass_drop(alerts, 1);
    ck_assert_int_eq(px_alerts_commit(alerts, true), 0);
    memset(found, 0, sizeof found);
    ck_assert_int_eq(px_alerts_masses(alerts, take_mass, found), 0);
    ck_assert(found[0].number == 300 && found[1].number == 0);
    px_alerts_close(&alerts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("store");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, ids_are_text_and_back);
    tcase_add_test(tcase, an_alert_survives_its_encoding);
    tcase_add_test(tcase, rows_of_before_are_read);
    tcase_add_test(tcase, alerts_are_created_listed_fired_and_deleted);
    tcase_add_test(tcase, fires_are_told_once_each_whoever_dies);
    tcase_add_test(tcase, answers_are_kept_for_a_day);
    tcase_add_test(tcase, candle_ranges_follow_the_four_rules);
    tcase_add_test(tcase, a_quiet_minute_counts_in_a_longer_average);
    tcase_add_test(tcase, trades_are_paged_both_ways);
    tcase_add_test(tcase, history_follows_the_symbol_when_the_file_is_reordered);
    tcase_add_test(tcase, which_series_have_rows_is_remembered);
    tcase_add_test(tcase, hits_that_are_worked_off_are_found_again);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
