/* The session protocol without a socket: what goes in as text, and what comes out of the sink. */
#include "web/live/session.h"

#include "tests/unit/live_fixture.h"

#include <jansson.h>

#define HEARD_MAX 4000

/* A connection that keeps what it was told. */
struct ear {
    char *text[HEARD_MAX];
    unsigned count, looked;
    size_t room;
    bool deaf; /* no room, not even for answers */
    unsigned close_code;
};

static size_t ear_room(void *connection)
{
    return ((struct ear *)connection)->room;
}

static bool ear_message(void *connection, struct px_text head, struct px_text tail)
{
    struct ear *ear = connection;

    if (ear->deaf)
        return false;
    ck_assert_uint_lt(ear->count, HEARD_MAX);
    ear->text[ear->count] = calloc(1, head.len + tail.len + 1);
    memcpy(ear->text[ear->count], head.at, head.len);
    memcpy(ear->text[ear->count] + head.len, tail.at, tail.len);
    ear->count++;
    return true;
}

static void ear_flush(void *connection)
{
}

static void ear_close(void *connection, unsigned code, const char *reason)
{
    ((struct ear *)connection)->close_code = code;
}

static const struct px_session_sink ear_sink = {ear_room, ear_message, ear_flush, ear_close};

static struct live_fixture fixture;
static struct px_hub *hub;
static struct ear ears[2];
static struct px_session *sessions[2];
static px_mono now;
static uint64_t replay_session, replay_since;
static int replay_asked;

static bool on_replay(void *user, uint64_t session, const char *owner, uint64_t since)
{
    replay_session = session;
    replay_since = since;
    replay_asked++;
    return true;
}

static void setup(void)
{
    struct px_hub_options options = {.slot = 4, .generation = 3, .auth = fixture_auth, .replay = on_replay};

    fixture_open(&fixture);
    options.shm = &fixture.shm;
    options.watchers = fixture.watchers;
    options.config = &fixture.config;
    ck_assert_int_eq(px_hub_create(&options, &hub), 0);
    now = px_mono_now();
    replay_asked = 0;
    for (int i = 0; i < 2; i++) {
        memset(&ears[i], 0, sizeof(ears[i]));
        ears[i].room = 1 << 20;
        ck_assert_int_eq(px_session_create(hub, &ear_sink, &ears[i], (struct px_text){"", 0}, now, &sessions[i]), 0);
    }
}

static void teardown(void)
{
    for (int i = 0; i < 2; i++) {
        px_session_destroy(&sessions[i]);
        for (unsigned j = 0; j < ears[i].count; j++)
            free(ears[i].text[j]);
    }
    px_hub_destroy(&hub);
    fixture_close(&fixture);
}

static void turn(void)
{
    while (px_hub_turn(hub, now))
        ;
}

static void pass(int64_t ms)
{
    now.ns += ms * PX_NS_PER_MS;
    turn();
}

/* The next message that this ear has not looked at; NULL if none. The caller frees. */
static json_t *next(struct ear *ear)
{
    json_t *root;

    if (ear->looked == ear->count)
        return NULL;
    root = json_loads(ear->text[ear->looked], JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(root != NULL, "not JSON: %s", ear->text[ear->looked]);
    ear->looked++;
    return root;
}

/* The next message must contain all of these texts (NULL-terminated). */
static void expect(struct ear *ear, const char *first, const char *second, const char *third)
{
    const char *wanted[] = {first, second, third};
    const char *text;

    ck_assert_msg(ear->looked < ear->count, "nothing heard instead of %s", first);
    json_decref(next(ear));
    text = ear->text[ear->looked - 1];
    for (size_t i = 0; i < PX_COUNT_OF(wanted); i++)
        ck_assert_msg(wanted[i] == NULL || strstr(text, wanted[i]) != NULL, "no %s in %s", wanted[i], text);
}

static void say(int i, const char *text)
{
    px_session_text(sessions[i], px_text_of(text), now);
    turn();
}

static void nothing(struct ear *ear)
{
    ck_assert_msg(ear->looked == ear->count, "unexpected: %s", ear->text[ear->looked]);
}

START_TEST(a_session_begins_with_a_status)
{
    expect(&ears[0], "{\"channel\":\"status\",\"type\":\"update\",\"seq\":1,\"data\":[{\"system\":\"online\"",
           "\"epoch\":\"k3\"", "\"connection_id\":1");
    nothing(&ears[0]);
}
END_TEST

static void skip(struct ear *ear)
{
    ear->looked = ear->count;
}

START_TEST(ticker_snapshot_then_updates)
{
    skip(&ears[0]);
    fixture_average(&fixture, 0, 1);
    fixture_trade(&fixture, 0, 6168599);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC/USD\"]},\"req_id\":7}");
    expect(&ears[0], "\"success\":true,\"result\":{\"channel\":\"ticker\",\"symbol\":\"BTC-USD\"", "\"seq\":1}",
           "\"req_id\":7}");
    expect(&ears[0],
           "{\"channel\":\"ticker\",\"type\":\"snapshot\",\"seq\":2,\"data\":[{\"symbol\":\"BTC-USD\",\"last\":\"61685."
           "99\"",
           "\"open\":\"100.00\"", "\"stale\":false");
    nothing(&ears[0]);
    fixture_trade(&fixture, 0, 6168600);
    turn();
    expect(&ears[0], "\"type\":\"update\",\"seq\":3,", "\"last\":\"61686.00\"", "\"sseq\":2,\"venue\":\"binance\"");
    fixture_trade(&fixture, 1, 5);
    turn();
    nothing(&ears[0]);
    say(0, "{\"method\":\"unsubscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"]}}");
    expect(&ears[0], "\"method\":\"unsubscribe\",\"success\":true", NULL, NULL);
    fixture_trade(&fixture, 0, 1);
    turn();
    nothing(&ears[0]);
}
END_TEST

START_TEST(a_reader_without_room_gets_the_latest_and_delays_nobody)
{
    skip(&ears[0]);
    skip(&ears[1]);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"*\"],\"snapshot\":false}}");
    say(1, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"*\"],\"snapshot\":false}}");
    skip(&ears[0]);
    skip(&ears[1]);
    ears[0].room = 0;
    for (int i = 1; i <= 5; i++) {
        fixture_trade(&fixture, 0, i * 100);
        turn();
        expect(&ears[1], "\"type\":\"update\"", NULL, NULL);
    }
    nothing(&ears[0]);
    ears[0].room = 1 << 20;
    px_session_writable(sessions[0], now);
    expect(&ears[0], "\"seq\":6,", "\"last\":\"5.00\"", NULL); /* four were conflated away and took a number each */
    nothing(&ears[0]);
}
END_TEST

START_TEST(a_reader_that_stays_behind_is_closed)
{
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"]}}");
    skip(&ears[0]);
    ears[0].room = 0;
    fixture_trade(&fixture, 0, 100);
    turn();
    for (int i = 0; i < 9; i++)
        pass(1000);
    ck_assert_uint_eq(ears[0].close_code, 0);
    pass(1000);
    pass(1000);
    ck_assert_uint_eq(ears[0].close_code, PX_CLOSE_SLOW);
    expect(&ears[0], "{\"code\":\"slow_consumer\"}", NULL, NULL);
    ck_assert_uint_eq(ears[1].close_code, 0);
}
END_TEST

START_TEST(trades_are_all_told_and_the_oldest_dropped_at_last)
{
    json_t *frame;

    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"BTC-USD\"]}}");
    skip(&ears[0]);
    fixture_trade(&fixture, 0, 100);
    fixture_trade(&fixture, 0, 200);
    turn();
    frame = next(&ears[0]);
    ck_assert_uint_eq(json_array_size(json_object_get(frame, "data")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(frame, "seq")), 2);
    json_decref(frame);
    ears[0].room = 0;
    for (int i = 0; i < 100; i++)
        fixture_trade(&fixture, 0, 300 + i);
    turn();
    ears[0].room = 1 << 20;
    px_session_writable(sessions[0], now);
    frame = next(&ears[0]);
    ck_assert_uint_eq(json_array_size(json_object_get(frame, "data")), 25);
    ck_assert_int_eq(json_integer_value(json_object_get(frame, "seq")), 2 + 36 + 1);
    json_decref(frame);
    expect(&ears[0], "\"seq\":40", NULL, NULL);
    expect(&ears[0], "\"seq\":41", "\"price\":\"3.99\"", NULL);
    nothing(&ears[0]);
}
END_TEST

START_TEST(the_days_figures_are_put_right_when_the_evaluator_has_caught_up)
{
    fixture_average(&fixture, 0, 1);
    say(0,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"],\"snapshot\":false}}");
    skip(&ears[0]);
    fixture_trade(&fixture, 0, 4000);
    turn();
    expect(&ears[0], "\"last\":\"40.00\"", "\"low\":\"40.00\",\"volume\":\"7.0000\"", NULL);
    fixture_day(&fixture, 0, 8, 80000);
    pass(500);
    nothing(&ears[0]);
    pass(500);
    expect(&ears[0], "\"last\":\"40.00\"", "\"volume\":\"8.0000\"", NULL);
    pass(400);
    nothing(&ears[0]);
}
END_TEST

START_TEST(what_passed_while_nobody_followed_is_not_told)
{
    const char *follow = "{\"method\":\"subscribe\",\"params\":{\"channel\":\"%s\",\"symbol\":[\"BTC-USD\"]}}";
    const char *leave = "{\"method\":\"unsubscribe\",\"params\":{\"channel\":\"%s\",\"symbol\":[\"BTC-USD\"]}}";
    char text[128];

    ck_assert(!px_hub_wants_ticks(hub));
    for (int i = 0; i < 2; i++) {
        const char *channel = i == 0 ? "ticker" : "trade";

        snprintf(text, sizeof(text), follow, channel);
        say(0, text);
        ck_assert(px_hub_wants_ticks(hub));
        fixture_trade(&fixture, 0, 100);
        turn();
        snprintf(text, sizeof(text), leave, channel);
        say(0, text);
        skip(&ears[0]);
        ck_assert(!px_hub_wants_ticks(hub));
        fixture_trade(&fixture, 0, 200);
        ck_assert(!px_hub_has_news(hub));
        turn();
        snprintf(text, sizeof(text), follow, channel);
        say(0, text);
        if (i == 0)
            ck_assert_ptr_nonnull(strstr(ears[0].text[ears[0].count - 1], "\"last\":\"2.00\""));
        else
            ck_assert_ptr_nonnull(strstr(ears[0].text[ears[0].count - 1], "\"method\":\"subscribe\""));
        fixture_trade(&fixture, 0, 300);
        turn();
        ck_assert_ptr_nonnull(
            strstr(ears[0].text[ears[0].count - 1], i == 0 ? "\"last\":\"3.00\"" : "\"price\":\"3.00\""));
        ck_assert_ptr_null(strstr(ears[0].text[ears[0].count - 1], "\"price\":\"1.00\""));
        snprintf(text, sizeof(text), leave, channel);
        say(0, text);
        skip(&ears[0]);
    }
}
END_TEST

START_TEST(averages_and_candles_are_looked_at)
{
    fixture_average(&fixture, 1, 123456);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"avg\",\"symbol\":[\"ETH-USD\"]}}");
    skip(&ears[0]);
    pass(300);
    skip(&ears[0]);
    fixture_average(&fixture, 1, 123457);
    pass(300);
    expect(&ears[0], "{\"channel\":\"avg\",\"type\":\"update\"", "\"1m\":{\"twap\":\"12.3457\"", "\"15m\":{");
    nothing(&ears[0]);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ohlc\",\"symbol\":[\"ETH-USD\"],\"interval\":1}}");
    expect(&ears[0], "\"channel\":\"ohlc\"", "\"interval\":1", NULL);
    expect(&ears[0], "\"type\":\"snapshot\"", "\"interval_begin\":\"1970-01-01T00:01:00.000000Z\"",
           "\"confirmed\":false");
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ohlc\",\"symbol\":[\"ETH-USD\"],\"interval\":5}}");
    expect(&ears[0], "\"success\":false", "\"code\":\"validation\"", NULL);
}
END_TEST

START_TEST(a_heartbeat_fills_each_silent_second)
{
    skip(&ears[0]);
    pass(900);
    nothing(&ears[0]);
    pass(200);
    expect(&ears[0], "{\"channel\":\"heartbeat\",\"seq\":2}", NULL, NULL);
    pass(1100);
    expect(&ears[0], "{\"channel\":\"heartbeat\",\"seq\":3}", NULL, NULL);
}
END_TEST

START_TEST(resume_recovers_only_what_is_current)
{
    fixture_trade(&fixture, 0, 100);
    fixture_trade(&fixture, 0, 100);
    turn();
    skip(&ears[0]);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"],"
           "\"resume\":{\"epoch\":\"k3\",\"seq\":{\"BTC-USD\":2}}}}");
    expect(&ears[0], "\"recovered\":true,\"epoch\":\"k3\",\"seq\":2}", NULL, NULL);
    nothing(&ears[0]);
    say(1, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"],"
           "\"resume\":{\"epoch\":\"k2\",\"seq\":{\"BTC-USD\":2}}}}");
    skip(&ears[0]);
    ears[1].looked = 1;
    expect(&ears[1], "\"recovered\":false", NULL, NULL);
    expect(&ears[1], "\"type\":\"snapshot\"", NULL, NULL);
}
END_TEST

START_TEST(alerts_go_to_their_owner_alone)
{
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"alerts\"}}");
    ears[0].looked = 1;
    expect(&ears[0], "\"success\":false", "\"code\":\"unauthorized\"", NULL);
    say(0, "{\"method\":\"auth\",\"params\":{\"token\":\"bad\"}}");
    expect(&ears[0], "\"success\":false", "\"code\":\"unauthorized\"", NULL);
    say(0, "{\"method\":\"auth\",\"params\":{\"token\":\"good\"}}");
    expect(&ears[0], "\"success\":true", NULL, NULL);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"alerts\"}}");
    expect(&ears[0], "\"success\":true", NULL, NULL);
    say(1, "{\"method\":\"auth\",\"params\":{\"token\":\"other\"}}");
    say(1, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"alerts\"}}");
    skip(&ears[1]);
    fixture_fire(&fixture, "alice");
    turn();
    expect(&ears[0], "{\"channel\":\"alerts\",\"type\":\"update\",\"seq\":2,\"data\":[{\"alert_id\":\"al_",
           "\"symbol\":\"BTC-USD\",\"op\":\"crossing_up\",\"level\":\"70000\",\"price\":\"70001.00\",\"prev\":\"69999."
           "00\"",
           "\"seq\":1,\"epoch\":\"k3\"");
    nothing(&ears[1]);
    say(0, "{\"method\":\"ack\",\"params\":{\"channel\":\"alerts\",\"seq\":1}}");
    expect(&ears[0], "\"method\":\"ack\",\"success\":true", NULL, NULL);
}
END_TEST

static void follow_alerts(int i)
{
    say(i, "{\"method\":\"auth\",\"params\":{\"token\":\"good\"}}");
    say(i, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"alerts\"}}");
    skip(&ears[i]);
}

START_TEST(alerts_wait_for_room_and_are_bounded)
{
    follow_alerts(0);
    follow_alerts(1);
    ears[0].room = 0;
    for (int i = 0; i < 256; i++)
        fixture_fire(&fixture, "alice");
    turn();
    ck_assert_uint_eq(ears[0].close_code, 0);
    ck_assert_uint_eq(ears[1].count - ears[1].looked, 256);
    fixture_fire(&fixture, "alice");
    turn();
    ck_assert_uint_eq(ears[0].close_code, PX_CLOSE_SLOW);
    ck_assert_uint_eq(ears[1].count - ears[1].looked, 257);
}
END_TEST

START_TEST(alerts_are_replayed_before_they_are_live)
{
    struct px_alert_event stored[2];

    stored[0] = fixture_event(&fixture, "alice");
    stored[1] = fixture_event(&fixture, "alice");
    say(0, "{\"method\":\"auth\",\"params\":{\"token\":\"good\"}}");
    skip(&ears[0]);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"alerts\",\"resume\":{\"epoch\":\"k2\",\"seq\":0}}}");
    expect(&ears[0], "\"recovered\":true", NULL, NULL);
    ck_assert_int_eq(replay_asked, 1);
    ck_assert_uint_eq(replay_since, 0);
    fixture_fire(&fixture, "alice"); /* the third, while the store is being asked */
    turn();
    nothing(&ears[0]);
    px_hub_replayed(hub, replay_session, 0, stored, 2, false, now);
    expect(&ears[0], "\"seq\":2,\"data\"", "\"seq\":1,\"epoch\"", NULL);
    expect(&ears[0], "\"seq\":3,\"data\"", "\"seq\":2,\"epoch\"", NULL);
    nothing(&ears[0]);
    ck_assert_int_eq(replay_asked, 2); /* because the third passed by unseen */
    ck_assert_uint_eq(replay_since, 2);
    px_hub_replayed(hub, replay_session, PX_E_TIMEOUT, NULL, 0, false, now);
    pass(1100);
    ck_assert_int_eq(replay_asked, 3); /* a keeper that does not answer is asked again */
}
END_TEST

static const char *const malformed[] = {
    "",
    "x",
    "[]",
    "{\"method\":1}",
    "{\"method\":\"ping\",\"params\":[]}",
    "{\"method\":\"ping\",\"req_id\":\"x\"}",
    "{\"method\":\"ping\",\"method\":\"ping\"}",
    "{\"method\":\"nothing\"}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
};

START_TEST(malformed_requests_are_answered_and_survived)
{
    skip(&ears[0]);
    say(0, malformed[_i]);
    expect(&ears[0], "{\"method\":null,\"success\":false,\"error\":\"", "\"code\":\"bad_request\"", NULL);
    say(0, "{\"method\":\"ping\",\"req_id\":9}");
    expect(&ears[0], "{\"method\":\"pong\",\"time_in\":\"", "\"req_id\":9}", NULL);
}
END_TEST

START_TEST(wrong_wishes_are_answered_one_by_one)
{
    skip(&ears[0]);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"XX-YY\",\"BTC-USD\"],"
           "\"snapshot\":false}}");
    expect(&ears[0], "\"error\":\"Unknown symbol\",\"code\":\"unknown_symbol\",\"symbol\":\"XX-YY\"", NULL, NULL);
    expect(&ears[0], "\"success\":true", NULL, NULL);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"BTC-USD\"]}}");
    expect(&ears[0], "\"code\":\"validation\"", NULL, NULL);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[]}}");
    expect(&ears[0], "\"code\":\"validation\"", NULL, NULL);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[3]}}");
    expect(&ears[0], "\"code\":\"validation\"", NULL, NULL);
    say(0, "{\"method\":\"unsubscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"SOL-USD\"]}}");
    expect(&ears[0], "\"code\":\"not_found\"", NULL, NULL);
    say(0, "{\"method\":\"list_subscriptions\"}");
    expect(&ears[0], "\"subscriptions\":[{\"channel\":\"ticker\",\"symbol\":\"BTC-USD\"}],\"total\":1", NULL, NULL);
}
END_TEST

START_TEST(subscriptions_are_bounded)
{
    fixture.config.limits.subscriptions_per_connection = 2;
    skip(&ears[0]);
    say(0, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"*\"]}}");
    expect(&ears[0], "\"success\":false", "\"symbol\":\"*\"", NULL);
    say(0,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\",\"ETH-USD\",\"SOL-USD\"],"
        "\"snapshot\":false}}");
    expect(&ears[0], "\"success\":true", NULL, NULL);
    expect(&ears[0], "\"success\":true", NULL, NULL);
    expect(&ears[0], "\"success\":false", "\"SOL-USD\"", NULL);
}
END_TEST

START_TEST(subscriptions_come_and_go_in_any_order)
{
    static const char *const channels[] = {"ticker", "trade", "ohlc", "avg"};
    static const char *const symbols[] = {"BTC-USD", "ETH-USD", "SOL-USD"};
    bool held[4][3] = {{false}};
    int total = 0;
    char text[200];

    srand(1);
    fixture.config.limits.requests_per_second = 1000000;
    for (int i = 0; i < 3000; i++) {
        int c = rand() % 4, s = rand() % 3;

        snprintf(text, sizeof(text), "{\"method\":\"%s\",\"params\":{\"channel\":\"%s\",\"symbol\":[\"%s\"]}}",
                 held[c][s] ? "unsubscribe" : "subscribe", channels[c], symbols[s]);
        now.ns += PX_NS_PER_MS;
        if (i % 3 == 0)
            fixture_trade(&fixture, (px_asset_id)s, 1 + i);
        px_session_text(sessions[0], px_text_of(text), now); /* without a turn: some are dirty when they go */
        held[c][s] = !held[c][s];
        total += held[c][s] ? 1 : -1;
        if (i % 7 == 0)
            turn();
        while (ears[0].count > 0)
            free(ears[0].text[--ears[0].count]);
    }
    turn();
    skip(&ears[0]);
    snprintf(text, sizeof(text), "\"total\":%d}", total);
    say(0, "{\"method\":\"list_subscriptions\"}");
    expect(&ears[0], text, NULL, NULL);
}
END_TEST

START_TEST(a_flood_of_requests_is_refused_and_then_ended)
{
    fixture.config.limits.requests_per_second = 1;
    skip(&ears[1]);
    for (int i = 0; i < 1000 && ears[1].close_code == 0; i++)
        say(1, "{\"method\":\"ping\"}");
    ck_assert_uint_eq(ears[1].close_code, PX_CLOSE_RATE);
}
END_TEST

START_TEST(going_away_says_when_to_come_back)
{
    skip(&ears[0]);
    px_hub_going_away(hub);
    expect(&ears[0], "\"system\":\"going_away\"", "\"reconnect_after_ms\":", NULL);
    ck_assert_uint_eq(ears[0].close_code, 1012);
    ck_assert_uint_eq(ears[1].close_code, 1012);
}
END_TEST

START_TEST(an_overrun_is_taken_from_the_slots)
{
    say(0,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"ETH-USD\"],\"snapshot\":false}}");
    skip(&ears[0]);
    fixture_trade(&fixture, 1, 4200);
    for (int i = 0; i < 5000; i++)
        fixture_trade(&fixture, 0, 1);
    turn();
    expect(&ears[0], "\"symbol\":\"ETH-USD\",\"last\":\"42.00\"", NULL, NULL);
}
END_TEST

START_TEST(under_pressure_a_busy_session_gathers)
{
    say(0,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"],\"snapshot\":false}}");
    skip(&ears[0]);
    px_hub_pressure(hub, 900);
    pass(150);
    fixture_trade(&fixture, 0, 100);
    turn();
    expect(&ears[0], "\"last\":\"1.00\"", NULL, NULL); /* it was idle */
    fixture_trade(&fixture, 0, 200);
    pass(10);
    fixture_trade(&fixture, 0, 300);
    pass(10);
    nothing(&ears[0]);
    pass(100);
    expect(&ears[0], "\"last\":\"3.00\"", NULL, NULL);
    nothing(&ears[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("protocol");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, a_session_begins_with_a_status);
    tcase_add_test(tests, ticker_snapshot_then_updates);
    tcase_add_test(tests, a_reader_without_room_gets_the_latest_and_delays_nobody);
    tcase_add_test(tests, a_reader_that_stays_behind_is_closed);
    tcase_add_test(tests, trades_are_all_told_and_the_oldest_dropped_at_last);
    tcase_add_test(tests, the_days_figures_are_put_right_when_the_evaluator_has_caught_up);
    tcase_add_test(tests, what_passed_while_nobody_followed_is_not_told);
    tcase_add_test(tests, averages_and_candles_are_looked_at);
    tcase_add_test(tests, a_heartbeat_fills_each_silent_second);
    tcase_add_test(tests, resume_recovers_only_what_is_current);
    tcase_add_test(tests, alerts_go_to_their_owner_alone);
    tcase_add_test(tests, alerts_wait_for_room_and_are_bounded);
    tcase_add_test(tests, alerts_are_replayed_before_they_are_live);
    tcase_add_loop_test(tests, malformed_requests_are_answered_and_survived, 0, (int)PX_COUNT_OF(malformed));
    tcase_add_test(tests, wrong_wishes_are_answered_one_by_one);
    tcase_add_test(tests, subscriptions_are_bounded);
    tcase_add_test(tests, subscriptions_come_and_go_in_any_order);
    tcase_add_test(tests, a_flood_of_requests_is_refused_and_then_ended);
    tcase_add_test(tests, going_away_says_when_to_come_back);
    tcase_add_test(tests, an_overrun_is_taken_from_the_slots);
    tcase_add_test(tests, under_pressure_a_busy_session_gathers);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
