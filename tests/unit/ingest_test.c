/* Ingest's tick path: normalise, filter, arbitrate, publish with takeover, gate. */
#include <check.h>
#include <stdlib.h>

#include "engine/ingest/ingest_private.h"

#define RING 256

static struct px_config_asset assets[2];
static struct px_config config;

/* BTC at two venues (one on its own clock, one a recording), ETH at the second only. */
static void configure(void)
{
    memset(&config, 0, sizeof config);
    memset(assets, 0, sizeof assets);
    config.venue_count = 2;
    config.venues[0] = (struct px_config_venue){.name = "one", .clock = PX_CLOCK_VENUE, .stale_after_ms = 1000};
    config.venues[1] = (struct px_config_venue){.name = "two", .clock = PX_CLOCK_RECEIPT, .stale_after_ms = 1000};
    config.asset_count = 2;
    config.assets = assets;
    assets[0] = (struct px_config_asset){.symbol = "BTC-USD",
                                         .source_count = 2,
                                         .scale = 2,
                                         .size_scale = 4,
                                         .max_jump_bp = 1000,
                                         .tick = 5,
                                         .sources = {{0, "BTCUSD"}, {1, "XBT/USD"}}};
    assets[1] = (struct px_config_asset){
        .symbol = "ETH-USD", .source_count = 1, .scale = 3, .size_scale = 0, .sources = {{1, "ETH/USD"}}};
}

static struct pxi_observation trade(int64_t price, uint64_t id)
{
    return (struct pxi_observation){.price = price, .size = 1, .trade_id = id, .time_ns = 7, .recv_ns = 8};
}

static struct pxi_observation quote(int64_t bid, int64_t ask)
{
    return (struct pxi_observation){.quote = true, .price = bid, .size = ask, .time_ns = 7, .recv_ns = 8};
}

static struct px_feed_event trade_event(const char *symbol, const char *price, const char *size)
{
    return (struct px_feed_event){.kind = PX_FEED_TRADE,
                                  .symbol = px_text_of(symbol),
                                  .price = px_text_of(price),
                                  .size = px_text_of(size),
                                  .venue_ns = 11,
                                  .id = 5,
                                  .side = PX_SIDE_BUY};
}

START_TEST(test_normalise)
{
    struct pxi_normaliser *normaliser;
    struct pxi_observation got;
    struct px_feed_event event = trade_event("btcusd", "61685.95000000", "0.02");

    configure();
    ck_assert_int_eq(pxi_normaliser_create(&config, &normaliser), 0);
    ck_assert_int_eq(pxi_normalise(normaliser, 0, &event, 99, &got), 0);
    ck_assert_uint_eq(got.asset, 0);
    ck_assert_uint_eq(got.source, 0);
    ck_assert_int_eq(got.price, 6168595);
    ck_assert_int_eq(got.size, 200);
    ck_assert_int_eq(got.time_ns, 11);
    ck_assert_int_eq(got.recv_ns, 99);
    ck_assert_uint_eq(got.trade_id, 5);
    event.venue_ns = 0; /* a venue that tells no time */
    ck_assert_int_eq(pxi_normalise(normaliser, 0, &event, 99, &got), 0);
    ck_assert_int_eq(got.time_ns, 99);
    event = trade_event("XBT/USD", "1", "1");
    ck_assert_int_eq(pxi_normalise(normaliser, 0, &event, 99, &got), PX_E_NOT_FOUND);
    ck_assert_int_eq(pxi_normalise(normaliser, 1, &event, 99, &got), 0);
    ck_assert_uint_eq(got.source, 1);
    ck_assert_int_eq(got.time_ns, 99); /* the receipt clock */
    event = trade_event("BTCUSD", "1.001", "1");
    ck_assert_int_eq(pxi_normalise(normaliser, 0, &event, 99, &got), PX_E_DIGITS);
    event = trade_event("BTCUSD", "1e18", "1");
    ck_assert_int_eq(pxi_normalise(normaliser, 0, &event, 99, &got), PX_E_OVERFLOW);
    event = trade_event("BTCUSD", "", "1");
    ck_assert_int_eq(pxi_normalise(normaliser, 0, &event, 99, &got), PX_E_NOT_DECIMAL);
    event = trade_event("", "1", "1");
    ck_assert_int_eq(pxi_normalise(normaliser, 0, &event, 99, &got), PX_E_NOT_FOUND);
    event = (struct px_feed_event){
        .kind = PX_FEED_QUOTE, .symbol = PX_TEXT("ETH/USD"), .bid = PX_TEXT("1.5"), .ask = PX_TEXT("1.625")};
    ck_assert_int_eq(pxi_normalise(normaliser, 1, &event, 99, &got), 0);
    ck_assert(got.quote);
    ck_assert_int_eq(got.price, 1500);
    ck_assert_int_eq(got.size, 1625);
    pxi_normaliser_destroy(&normaliser);
}
END_TEST

static struct pxi_filter *filter;

static void expect_check(struct pxi_observation observation, enum pxi_verdict expected)
{
    ck_assert_int_eq(pxi_filter_check(filter, &observation), expected);
}

static void expect_jump(int64_t price, enum pxi_verdict expected)
{
    struct pxi_observation observation = trade(price, 0);

    ck_assert_msg(pxi_filter_jump(filter, &observation) == expected, "price %lld", (long long)price);
}

static void open_filter(void)
{
    configure();
    ck_assert_int_eq(pxi_filter_create(&config, &filter), 0);
}

START_TEST(test_filter_bad)
{
    struct pxi_observation empty = trade(100, 0);

    open_filter();
    empty.size = 0;
    expect_check(trade(100, 0), PXI_ACCEPT);
    expect_check(trade(0, 0), PXI_BAD);
    expect_check(trade(-5, 0), PXI_BAD);
    expect_check(trade(101, 0), PXI_BAD);
    expect_check(empty, PXI_BAD);
    expect_check(quote(100, 105), PXI_ACCEPT);
    expect_check(quote(100, 106), PXI_BAD);
    expect_check(quote(0, 105), PXI_BAD);
    expect_check(quote(105, 100), PXI_ACCEPT); /* crossed: counted, not refused */
    ck_assert(pxi_crossed(&(struct pxi_observation){.quote = true, .price = 105, .size = 100}));
    pxi_filter_destroy(&filter);
}
END_TEST

START_TEST(test_filter_duplicates)
{
    open_filter();
    expect_check(trade(100, 10), PXI_ACCEPT);
    expect_check(trade(100, 10), PXI_DUPLICATE);
    expect_check(trade(100, 9), PXI_DUPLICATE);
    expect_check(trade(100, 0), PXI_ACCEPT); /* without an id nothing can be told */
    expect_check(trade(100, 12), PXI_ACCEPT);
    pxi_filter_lost(filter, 0);
    expect_check(trade(100, 12), PXI_DUPLICATE); /* greeted with the last one again */
    expect_check(trade(100, 13), PXI_ACCEPT);
    pxi_filter_seed(filter, 1, PX_PRICE_NONE, 0, 0);
    pxi_filter_seed(filter, 0, 100, 0, 50);
    expect_check(trade(100, 50), PXI_DUPLICATE);
    pxi_filter_destroy(&filter);
}
END_TEST

/* A recording that runs in a circle, and one that begins anew with each connection. */
START_TEST(test_filter_recordings)
{
    struct pxi_observation at = trade(100, 10);

    open_filter();
    at.venue = 1;
    at.source = 1;
    expect_check(at, PXI_ACCEPT);
    expect_check(at, PXI_DUPLICATE);
    at.trade_id = 11;
    expect_check(at, PXI_ACCEPT);
    at.trade_id = 10;
    expect_check(at, PXI_ACCEPT);
    at.trade_id = 11;
    expect_check(at, PXI_ACCEPT);
    expect_check(at, PXI_DUPLICATE);
    pxi_filter_lost(filter, 1);
    at.trade_id = 10;
    expect_check(at, PXI_ACCEPT);
    pxi_filter_destroy(&filter);
}
END_TEST

/* The venue's own clock, and a count that starts anew after a lost connection: seven dropped, then believed. */
START_TEST(test_filter_renumbered)
{
    struct pxi_observation greeting = trade(100, 1);

    open_filter();
    expect_check(trade(100, 1000), PXI_ACCEPT);
    expect_check(trade(100, 1001), PXI_ACCEPT);
    pxi_filter_lost(filter, 0);
    greeting.replayed = true;
    for (uint64_t id = 2; id < 60; id++) {
        greeting.trade_id = id;
        expect_check(greeting, PXI_DUPLICATE);
    }
    for (uint64_t id = 1; id < PXI_RENUMBERED; id++) {
        expect_check(trade(100, id), PXI_DUPLICATE);
        expect_check(trade(100, id), PXI_DUPLICATE);
    }
    expect_check(trade(100, PXI_RENUMBERED), PXI_ACCEPT);
    expect_check(trade(100, PXI_RENUMBERED), PXI_DUPLICATE);
    expect_check(trade(100, PXI_RENUMBERED + 1), PXI_ACCEPT);
    pxi_filter_destroy(&filter);
}
END_TEST

START_TEST(test_filter_jump)
{
    open_filter();
    expect_jump(1000, PXI_ACCEPT);
    expect_jump(1100, PXI_ACCEPT); /* exactly the bound */
    expect_jump(1215, PXI_QUARANTINE);
    expect_jump(1105, PXI_ACCEPT); /* an outlier alone */
    expect_jump(2000, PXI_QUARANTINE);
    expect_jump(2010, PXI_QUARANTINE);
    expect_jump(100, PXI_QUARANTINE); /* confirms nothing */
    expect_jump(105, PXI_QUARANTINE);
    expect_jump(105, PXI_QUARANTINE);
    expect_jump(100, PXI_ACCEPT); /* the third confirmation */
    expect_jump(105, PXI_ACCEPT);
    assets[0].max_jump_bp = 0;
    expect_jump(INT64_MAX, PXI_ACCEPT);
    assets[0].max_jump_bp = 65535;
    expect_jump(INT64_MAX - 1, PXI_ACCEPT);
    pxi_filter_destroy(&filter);
}
END_TEST

START_TEST(test_filter_gap)
{
    struct pxi_observation first = trade(100, 1);

    open_filter();
    ck_assert(pxi_filter_gap_ends(filter, &first));
    ck_assert(!pxi_filter_gap_ends(filter, &first));
    pxi_filter_lost(filter, 1);
    ck_assert(!pxi_filter_gap_ends(filter, &first));
    pxi_filter_lost(filter, 0);
    ck_assert(pxi_filter_gap_ends(filter, &first));
    pxi_filter_destroy(&filter);
}
END_TEST

static bool speaks(struct pxi_arbiter *arbiter, uint16_t source, int64_t ms, uint32_t fresh_expected)
{
    struct pxi_observation observation = {.source = source, .venue = source};
    uint32_t fresh;
    bool used = pxi_arbitrate(arbiter, &observation, (px_mono){ms * PX_NS_PER_MS}, &fresh);

    ck_assert_uint_eq(fresh, fresh_expected);
    return used;
}

START_TEST(test_arbitrate)
{
    struct pxi_arbiter *arbiter;

    configure();
    ck_assert_int_eq(pxi_arbiter_create(&config, (px_mono){0}, &arbiter), 0);
    ck_assert(!speaks(arbiter, 1, 500, 2)); /* the primary may still come */
    ck_assert(speaks(arbiter, 0, 600, 2));
    ck_assert(!speaks(arbiter, 1, 1600, 2));
    ck_assert(speaks(arbiter, 1, 1601, 1)); /* fail-over */
    ck_assert(speaks(arbiter, 0, 1700, 2)); /* and back at once */
    ck_assert(!speaks(arbiter, 1, 1701, 2));
    pxi_arbiter_destroy(&arbiter);
}
END_TEST

static struct px_shm shm;
static struct px_heritage heritage;
static struct pxi_publisher *publisher;

static void open_region(void)
{
    struct px_shm_params params = {
        .assets = 2, .tick_capacity = RING, .event_capacity = 16, .hit_capacity = 16, .seed_capacity = 16};

    configure();
    ck_assert_int_eq(px_shm_create(&params, 1, &shm), 0);
    heritage = (struct px_heritage){
        .config = &config, .shm = &shm, .slot = PX_ROLE_SLOT_INGEST, .incarnation = 1, .terminate_fd = -1};
}

static void start_publisher(void)
{
    pxi_publisher_destroy(&publisher);
    ck_assert_int_eq(pxi_publisher_create(&heritage, &publisher), 0);
    pxi_publisher_takeover(publisher);
    heritage.incarnation++;
}

static void close_region(void)
{
    pxi_publisher_destroy(&publisher);
    px_shm_detach(&shm);
}

static void publish(struct pxi_observation observation, uint16_t flags)
{
    pxi_publish(publisher, &observation, flags, 1);
}

static struct px_tick tick_at(uint64_t position)
{
    struct px_tick tick;
    uint64_t count;

    ck_assert_int_eq(px_ring_read(shm.ticks, position, &tick, 1, &count), 0);
    ck_assert_uint_eq(count, 1);
    return tick;
}

static struct px_price_value price_now(void)
{
    struct px_price_value price;

    px_latch_read(px_shm_price(&shm, 0), &price);
    return price;
}

static struct px_detail_value detail_now(void)
{
    struct px_detail_value detail;

    px_latch_read(px_shm_detail(&shm, 0), &detail);
    return detail;
}

START_TEST(test_publish)
{
    open_region();
    start_publisher();
    publish(quote(95, 105), 0);
    ck_assert_uint_eq(px_ring_tail(shm.ticks), 0); /* one publish a socket read */
    ck_assert_uint_eq(detail_now().sseq, 0);
    pxi_publisher_flush(publisher);
    ck_assert_int_eq(detail_now().price, PX_PRICE_NONE);
    ck_assert_uint_eq(price_now().sseq, 0);
    publish(trade(100, 4), PX_TICK_AFTER_GAP);
    publish(trade(500, 5), PX_TICK_QUARANTINED);
    pxi_publisher_flush(publisher);
    ck_assert_uint_eq(px_ring_tail(shm.ticks), 3);
    ck_assert_int_eq(tick_at(0).flags, PX_TICK_QUOTE);
    ck_assert_int_eq(tick_at(1).flags, PX_TICK_AFTER_GAP);
    ck_assert_uint_eq(tick_at(1).sseq, 2);
    ck_assert_int_eq(tick_at(2).flags, PX_TICK_QUARANTINED);
    ck_assert_int_eq(tick_at(2).price, 500);
    ck_assert_int_eq(price_now().price, 100);
    ck_assert_uint_eq(price_now().sseq, 2);
    ck_assert_int_eq(detail_now().bid, 95);
    ck_assert_uint_eq(detail_now().trade_id, 4);
    ck_assert_uint_eq(detail_now().position, 1);
    for (int i = 0; i < RING; i++)
        publish(trade(100, 0), 0);
    pxi_publisher_flush(publisher);
    ck_assert_uint_eq(px_ring_tail(shm.ticks), RING + 3);
    ck_assert_uint_eq(detail_now().position, RING + 2);
    close_region();
}
END_TEST

/* A predecessor died with a batch in private memory: it was never received, and the sequence goes on without a gap. */
START_TEST(test_takeover_unstaged)
{
    open_region();
    start_publisher();
    publish(trade(100, 4), 0);
    pxi_publisher_flush(publisher);
    publish(trade(105, 5), 0);
    publish(trade(110, 6), 0);
    start_publisher();
    ck_assert_uint_eq(px_ring_tail(shm.ticks), 1);
    ck_assert_uint_eq(detail_now().sseq, 1);
    publish(trade(115, 7), 0);
    pxi_publisher_flush(publisher);
    ck_assert_uint_eq(price_now().sseq, 2);
    ck_assert_uint_eq(tick_at(1).sseq, 2);
    close_region();
}
END_TEST

static struct px_tick staged(int64_t price, uint64_t sseq)
{
    return (struct px_tick){.price = price, .size = 1, .time_ns = 70, .newest_ns = 70, .recv_ns = 8, .sseq = sseq};
}

/* It died behind the staging, and even behind the first price slot. */
START_TEST(test_takeover_staged)
{
    struct px_tick batch[] = {staged(105, 2), staged(120, 3)};
    struct px_price_value ahead = {120, 70, 3};

    open_region();
    start_publisher();
    publish(trade(100, 4), 0);
    pxi_publisher_flush(publisher);
    px_ring_stage(shm.ticks, batch, 2);
    px_latch_write(px_shm_price(&shm, 0), &ahead);
    start_publisher();
    ck_assert_uint_eq(px_ring_tail(shm.ticks), 3);
    ck_assert_int_eq(tick_at(2).price, 120);
    ck_assert_int_eq(detail_now().price, 120);
    ck_assert_uint_eq(detail_now().sseq, 3);
    ck_assert_uint_eq(detail_now().position, 2);
    start_publisher(); /* nothing is missing now */
    ck_assert_uint_eq(px_ring_tail(shm.ticks), 3);
    close_region();
}
END_TEST

static void set_keeper(uint64_t position, uint32_t state)
{
    shm.ticks_yard->cursor[PX_ROLE_SLOT_KEEPER].position = position;
    shm.roles[PX_ROLE_SLOT_KEEPER].state = state;
}

static bool gate_closed(struct pxi_gate *gate, int64_t ms, bool begin_expected)
{
    bool began, closed = pxi_gate_closed(gate, (px_mono){ms * PX_NS_PER_MS}, &began);

    ck_assert(began == begin_expected);
    return closed;
}

START_TEST(test_gate)
{
    struct pxi_gate gate = {.shm = &shm};

    open_region();
    start_publisher();
    for (int i = 0; i < RING / 4 * 3 + 1; i++)
        publish(trade(100, 0), 0);
    pxi_publisher_flush(publisher);
    set_keeper(0, PX_STATE_DEAD);
    ck_assert(!gate_closed(&gate, 0, false)); /* a dead keeper holds nobody up */
    set_keeper(1, PX_STATE_READY);
    ck_assert(!gate_closed(&gate, 0, false));
    set_keeper(0, PX_STATE_READY);
    ck_assert(gate_closed(&gate, 0, true));
    ck_assert(gate_closed(&gate, 999, false));
    ck_assert(!gate_closed(&gate, 1000, false)); /* never longer */
    ck_assert(!gate_closed(&gate, 5000, false));
    set_keeper(RING / 2, PX_STATE_READY);
    ck_assert(!gate_closed(&gate, 5001, false));
    set_keeper(0, PX_STATE_READY);
    ck_assert(gate_closed(&gate, 6000, true)); /* another episode */
    close_region();
}
END_TEST

/* Events through the whole path, with its counts. */
START_TEST(test_pipeline)
{
    struct pxi_ingest ingest = {.heritage = &heritage, .config = &config};
    struct pxi_link link = {.ingest = &ingest, .venue = 0}, second = {.ingest = &ingest, .venue = 1};
    struct px_feed_event event = trade_event("BTCUSD", "100.00", "1");
    struct px_feed_event greeting = event;
    uint64_t *count;

    open_region();
    start_publisher();
    ingest.stats = px_heritage_stats(&heritage);
    ingest.publisher = publisher;
    count = ingest.stats->value;
    ck_assert_int_eq(pxi_normaliser_create(&config, &ingest.normaliser), 0);
    ck_assert_int_eq(pxi_filter_create(&config, &ingest.filter), 0);
    ck_assert_int_eq(pxi_arbiter_create(&config, ingest.now, &ingest.arbiter), 0);
    greeting.id--;
    greeting.replayed = true;
    pxi_ingest_event(&link, &greeting);
    pxi_ingest_event(&link, &event);
    pxi_ingest_event(&link, &event);
    event.symbol = PX_TEXT("XBT/USD");
    pxi_ingest_event(&second, &event);
    event = trade_event("BTCUSD", "500.00", "1");
    event.id = 6;
    pxi_ingest_event(&link, &event);
    event = trade_event("NOBODY", "1", "1");
    pxi_ingest_event(&link, &event);
    event = trade_event("BTCUSD", "1.001", "1");
    pxi_ingest_event(&link, &event);
    pxi_publisher_flush(publisher);
    ck_assert_uint_eq(count[PX_STAT_TICK_TRADES], 2);
    ck_assert_uint_eq(count[PX_STAT_TICK_DUPLICATE], 1);
    ck_assert_uint_eq(count[PX_STAT_TICK_SECONDARY], 1);
    ck_assert_uint_eq(count[PX_STAT_TICK_QUARANTINED], 1);
    ck_assert_uint_eq(count[PX_STAT_TICK_UNKNOWN], 1);
    ck_assert_uint_eq(count[PX_STAT_TICK_BAD], 1);
    ck_assert_uint_eq(px_ring_tail(shm.ticks), 3);
    ck_assert_int_eq(tick_at(0).flags, PX_TICK_AFTER_GAP | PX_TICK_BUYER);
    ck_assert_int_eq(tick_at(1).flags, PX_TICK_AFTER_GAP | PX_TICK_BUYER);
    ck_assert_int_eq(tick_at(2).flags, PX_TICK_QUARANTINED | PX_TICK_BUYER);
    ck_assert_int_eq(price_now().price, 10000);
    pxi_arbiter_destroy(&ingest.arbiter);
    pxi_filter_destroy(&ingest.filter);
    pxi_normaliser_destroy(&ingest.normaliser);
    close_region();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ingest");
    TCase *tcase = tcase_create("ingest");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(tcase, test_normalise);
    tcase_add_test(tcase, test_filter_bad);
    tcase_add_test(tcase, test_filter_duplicates);
    tcase_add_test(tcase, test_filter_recordings);
    tcase_add_test(tcase, test_filter_renumbered);
    tcase_add_test(tcase, test_filter_jump);
    tcase_add_test(tcase, test_filter_gap);
    tcase_add_test(tcase, test_arbitrate);
    tcase_add_test(tcase, test_publish);
    tcase_add_test(tcase, test_takeover_unstaged);
    tcase_add_test(tcase, test_takeover_staged);
    tcase_add_test(tcase, test_gate);
    tcase_add_test(tcase, test_pipeline);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
