/* What notify computes: signatures, addresses, waiting, the pace of a channel, web push, and the keeper's side of deliveries. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/template.h"
#include "engine/notify/backoff.h"
#include "engine/notify/notify_private.h"
#include "engine/notify/push.h"
#include "engine/notify/sign.h"
#include "engine/notify/target.h"
#include "match/plan.h"
#include "store/alerts_private.h"

/* ---- signatures: the vector of the Standard Webhooks libraries ---- */

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

START_TEST(test_signs)
{
    char text[PX_SIGNATURE_SIZE] = "";

    ck_assert_int_eq(px_webhook_sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, PX_TEXT("{\"test\": 2432232314}"), text), 0);
    ck_assert_str_eq(text, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    ck_assert_int_eq(px_webhook_sign(SECRET, "x", 1, PX_TEXT("y"), text), 0); /* a second one beside it */
    ck_assert_ptr_nonnull(strstr(text, "= v1,"));
    ck_assert_int_eq(px_webhook_sign(SECRET, "x", 1, PX_TEXT("y"), text), PX_E_TOO_LARGE);
    text[0] = '\0';
    ck_assert_int_eq(px_webhook_sign("MfKQ9r8GKYqr", "x", 1, PX_TEXT("y"), text), PX_E_FORMAT);
    ck_assert_int_eq(px_webhook_sign("whsec_*", "x", 1, PX_TEXT("y"), text), PX_E_FORMAT);
}
END_TEST

/* ---- addresses, in every spelling that a resolver may make of them ---- */

static bool reaches(const char *text, const struct px_cidr *allowed, unsigned count)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return px_target_allowed((struct sockaddr *)&in, allowed, count);
    ck_assert_msg(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1, "%s", text);
    return px_target_allowed((struct sockaddr *)&in6, allowed, count);
}

START_TEST(test_addresses)
{
    static const char *const closed[] = {
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
        "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255", "168.63.129.16", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:7f00:1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::10.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::", "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "fc00::1", "fd12:3456:789a::1", "fd00:ec2::254",
        "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "100::1", "4000::1", "2607:f8b0::5efe:10.0.0.1", "2607:f8b0::200:5efe:7f00:1"};
    static const char *const open[] = {"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
                                       "169.253.1.1", "192.167.1.1", "223.255.255.255", "9.255.255.255", "11.0.0.0", "2607:f8b0:4004::1",
                                       "2a00:1450:4001::200e", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1"};

    for (size_t i = 0; i < PX_COUNT_OF(closed); i++)
        ck_assert_msg(!reaches(closed[i], NULL, 0), "%s must be refused", closed[i]);
    for (size_t i = 0; i < PX_COUNT_OF(open); i++)
        ck_assert_msg(reaches(open[i], NULL, 0), "%s must be reached", open[i]);
    struct sockaddr other = {.sa_family = AF_UNIX};
    ck_assert(!px_target_allowed(&other, NULL, 0));
}
END_TEST

START_TEST(test_allowed_addresses)
{
    static const struct px_cidr allowed[] = {{{10, 1, 0, 0}, 16, false}, {{127}, 8, false}, {{0xfd, 0x12}, 16, true}};
    unsigned n = PX_COUNT_OF(allowed);

    ck_assert(reaches("10.1.2.3", allowed, n) && reaches("127.0.0.1", allowed, n) && reaches("fd12::5", allowed, n));
    ck_assert(reaches("::ffff:10.1.2.3", allowed, n)); /* the same place in other words */
    ck_assert(!reaches("10.2.0.1", allowed, n) && !reaches("fd13::5", allowed, n) && !reaches("::1", allowed, n));
    ck_assert(!reaches("169.254.169.254", allowed, n) && !reaches("::127.0.0.1", allowed, n));
}
END_TEST

/* ---- waiting ---- */

START_TEST(test_backoff)
{
    for (uint32_t attempts = 1; attempts < 40; attempts++) {
        int64_t bound = PX_MIN(PX_NS_PER_S << PX_MIN(attempts - 1, 20u), 120 * PX_NS_PER_S), least = INT64_MAX, most = 0;

        for (uint64_t i = 0; i < 2000; i++) {
            struct px_backoff backoff = {.attempts = attempts};
            int64_t ns = px_backoff_ns(&backoff, i * UINT64_C(0x9e3779b97f4a7c15));

            least = PX_MIN(least, ns);
            most = PX_MAX(most, ns);
        }
        ck_assert(least >= 100 * PX_NS_PER_MS && most <= bound);
        ck_assert(least < bound / 4 && most > bound - bound / 4); /* full jitter */
    }
    struct px_backoff slow = {.attempts = 1, .slow = true}, asked = {.attempts = 1, .retry_after_ns = 30 * PX_NS_PER_S},
                      forever = {.attempts = 1, .retry_after_ns = INT64_MAX / 2};
    ck_assert(px_backoff_ns(&slow, 3900 * PX_NS_PER_MS - 100 * PX_NS_PER_MS - 1) > PX_NS_PER_S);
    ck_assert(px_backoff_ns(&asked, 7) >= 30 * PX_NS_PER_S && px_backoff_ns(&asked, UINT64_MAX) < 31 * PX_NS_PER_S);
    ck_assert(px_backoff_ns(&forever, 7) <= 3700 * PX_NS_PER_S);
}
END_TEST

START_TEST(test_gate)
{
    struct pxi_gates *gates = calloc(1, sizeof *gates);
    uint32_t per_minute = 60;
    int64_t now = px_wall_now(), until = 0;
    unsigned passed = 0;

    struct pxi_gate *gate = pxi_gate_of(gates, (struct px_alert_id){1, 2}, now);
    for (int i = 0; i < 100; i++) { /* ten seconds were saved up: ten at once, then one a second */
        until = pxi_gate_pass(gate, per_minute, now);
        passed += until == 0;
    }
    ck_assert_uint_eq(passed, 10);
    ck_assert(until > now && until <= now + PX_NS_PER_S);
    gate->flying = 0;
    ck_assert_int_eq(pxi_gate_pass(gate, per_minute, now + PX_NS_PER_S), 0);
    per_minute = 0;
    for (passed = 0; pxi_gate_pass(gate, per_minute, now) == 0;)
        passed++;
    ck_assert_uint_eq(passed, PXI_FLIGHTS_EACH - 1);
    ck_assert_int_eq(pxi_gate_pass(gate, per_minute, now), PXI_CROWDED);
    for (uint64_t i = 0; i < 2 * PXI_GATES; i++) /* the one with attempts under way is never forgotten */
        ck_assert_ptr_nonnull(pxi_gate_of(gates, (struct px_alert_id){9, i}, now + (int64_t)i));
    ck_assert_ptr_eq(pxi_gate_of(gates, (struct px_alert_id){1, 2}, now), gate);
    free(gates);
}
END_TEST

/* ---- templates ---- */

static bool word(void *ctx, struct px_text name, char to[PX_TEMPLATE_WORD])
{
    (void)ctx;
    if (px_text_is(name, "ticker"))
        return px_text_copy(to, PX_TEMPLATE_WORD, PX_TEXT("BTC-USD"));
    return px_text_is(name, "alert.id") && px_text_copy(to, PX_TEMPLATE_WORD, PX_TEXT("al_1"));
}

START_TEST(test_template)
{
    static const char *const rows[][2] = {
        {"", ""}, {"plain", "plain"}, {"{{ticker}}", "BTC-USD"}, {"a{{ticker}}b{{ ticker }}c", "aBTC-USDbBTC-USDc"},
        {"{{alert.id}}{{ticker}}", "al_1BTC-USD"}, {"{{unknown}} {{ticker}}", "{{unknown}} BTC-USD"},
        {"{\"a\":{\"t\":\"{{ticker}}\"}}", "{\"a\":{\"t\":\"BTC-USD\"}}"}, {"{{", "{{"}, {"{{ticker}", "{{ticker}"},
        {"{{{ticker}}}", "{BTC-USD}"}, {"{{}}", "{{}}"}};
    char to[64];

    for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
        ck_assert(px_template_render(px_text_of(rows[i][0]), word, NULL, to, sizeof to));
        ck_assert_str_eq(to, rows[i][1]);
    }
    ck_assert(!px_template_render(PX_TEXT("{{ticker}}"), word, NULL, to, 4));
    ck_assert_str_eq(to, "BTC");
    ck_assert(!px_template_render(PX_TEXT("a\xe2\x82\xac"), word, NULL, to, 3));
    ck_assert_str_eq(to, "a");
}
END_TEST

/* ---- web push: the example of RFC 8291 ---- */

START_TEST(test_push_vector)
{
    static const char wanted[] = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
                                 "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
    uint8_t salt[16], secret[32], message[512];
    char text[800];
    size_t len;

    ck_assert_int_eq(px_base64url_read("DGv6ra1nlYgDCS1FRnbzlw", salt, 16, &len), 0);
    ck_assert_int_eq(px_base64url_read("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", secret, 32, &len), 0);
    struct px_push_keys keys = {
        .p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        .auth = "BTBZMqHH6r4Tts7J_aSIgg", .salt = salt, .secret = secret};
    ck_assert_int_eq(
        px_push_encrypt(&keys, PX_TEXT("When I grow up, I want to be a watermelon"), message, sizeof message, &len), 0);
    px_base64url(message, len, text);
    ck_assert_str_eq(text, wanted);
    keys.p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiA4"; /* not on the curve */
    ck_assert_int_eq(px_push_encrypt(&keys, PX_TEXT("x"), message, sizeof message, &len), PX_E_FORMAT);
    ck_assert_int_eq(px_push_encrypt(&keys, PX_TEXT("x"), message, 20, &len), PX_E_TOO_LARGE);
}
END_TEST

/* ---- deliveries ---- */

#define OWNER "abcdefgh"

static char data[64];
static struct px_config config;
static struct px_config_asset asset = {.symbol = "BTC-USD", .scale = 2};
static struct px_names *names;
static struct px_alerts *alerts;
static const struct px_alert_id channel_id = {7, 7};

static void open_store(void)
{
    strcpy(data, "/tmp/px-notify-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    config = (struct px_config){.asset_count = 1, .assets = &asset};
    ck_assert_int_eq(px_names_create(&config, &names), 0);
    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    struct px_channel channel = {.id = channel_id, .owner = OWNER, .type = PX_CHANNEL_WEBHOOK, .format = PX_FORMAT_STANDARD,
                                 .state = PX_CHANNEL_ACTIVE, .ttl_s = 900, .target = "http://x/", .secret = SECRET}, stored;
    ck_assert_int_eq(px_channels_put(alerts, &channel, &stored), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
}

static void close_store(void)
{
    char command[96];

    px_alerts_close(&alerts);
    px_names_destroy(&names);
    snprintf(command, sizeof command, "rm -rf %s", data);
    ck_assert_int_eq(system(command), 0);
}

static void fire(uint64_t n, struct px_alert_event *eventp)
{
    struct px_alert alert = {.id = {1, n}, .owner = OWNER, .symbol = "BTC-USD", .channel_count = 1,
                             .rule = {.conditions = 1, .frequency = PX_FREQUENCY_ONCE,
                                      .condition = {{.op = PX_OP_GREATER_OR_EQUAL, .source = PX_SOURCE_LAST, .level = "1"}}},
                             .channels = {channel_id}}, stored;

    ck_assert_int_eq(px_alerts_create(alerts, &alert, 100, &stored), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    struct px_judged judged = {.fire = {.alert = alert.id, .price = 100, .prev = 90, .matched_ns = px_wall_now()},
                               .fire_number = 1, .op = PX_OP_GREATER_OR_EQUAL, .last = true};
    unsigned told;
    bool more;
    px_alerts_fire(alerts, &judged);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_int_eq(px_alerts_tell(alerts, 1, eventp, &told, &more), 0);
    ck_assert(told == 1 && !more);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
}

static uint32_t claim(int64_t now_ns, struct px_job *jobs, int64_t *nextp)
{
    uint32_t count;

    ck_assert_int_eq(px_deliveries_claim(alerts, now_ns, 8, jobs, &count, nextp), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    return count;
}

static void report(const struct px_delivery *delivery, enum px_outcome outcome, int64_t due_ns, bool gone)
{
    struct px_report what = {.number = delivery->number, .attempt = delivery->attempts + 1, .outcome = (uint16_t)outcome,
                             .due_ns = due_ns, .gone = gone, .what = {.time_ns = 5, .status = 500, .error = "no"}};

    ck_assert_int_eq(px_deliveries_report(alerts, &what), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
}

static struct px_delivery look(uint64_t number)
{
    struct px_delivery delivery;

    ck_assert_int_eq(px_deliveries_get(alerts, OWNER, number, &delivery), 0);
    return delivery;
}

START_TEST(test_delivery_lives)
{
    static struct px_job jobs[8];
    struct px_alert_event event;
    int64_t next, now;

    open_store();
    fire(1, &event);
    now = px_wall_now() + 1;
    ck_assert_uint_eq(event.deliveries, 1);
    ck_assert_uint_eq(claim(now, jobs, &next), 1);
    ck_assert_uint_eq(jobs[0].event.eseq, event.eseq);
    ck_assert_str_eq(jobs[0].channel.target, "http://x/");
    ck_assert_uint_eq(claim(now, jobs + 1, &next), 0); /* leased */
    ck_assert(next == 0);
    ck_assert_uint_eq(claim(now + PX_LEASE_NS - 1, jobs + 1, &next), 0);
    ck_assert_uint_eq(look(1).state, PX_DELIVERY_DELIVERING);

    report(&jobs[0].delivery, PX_OUTCOME_AGAIN, now + 1000, false);
    report(&jobs[0].delivery, PX_OUTCOME_AGAIN, now + 2000, false); /* told again: no news */
    ck_assert_uint_eq(look(1).attempts, 1);
    ck_assert(look(1).due_ns == now + 1000 && look(1).state == PX_DELIVERY_FAILED);
    ck_assert_uint_eq(claim(now + 999, jobs, &next), 0);
    ck_assert_uint_eq(claim(now + 1000, jobs, &next), 1);
    ck_assert_int_eq(px_deliveries_release(alerts, now + 1001), 0); /* notify died */
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_uint_eq(claim(now + 1001, jobs, &next), 1);
    report(&jobs[0].delivery, PX_OUTCOME_DELIVERED, now, false);
    ck_assert_uint_eq(look(1).state, PX_DELIVERY_DELIVERED);
    report(&jobs[0].delivery, PX_OUTCOME_DEAD, now, false); /* it has ended */
    ck_assert_uint_eq(look(1).state, PX_DELIVERY_DELIVERED);
    ck_assert_uint_eq(claim(now + PX_LEASE_NS * 4, jobs, &next), 0);
    ck_assert(next == 0);
    close_store();
}
END_TEST

START_TEST(test_delivery_dies_and_comes_back)
{
    static struct px_job jobs[8];
    struct px_delivery list[8], now_row;
    struct px_alert_event event;
    struct px_channel channel;
    uint64_t cursor;
    uint32_t count;
    int64_t next, now;
    bool more;

    open_store();
    for (uint64_t i = 1; i <= 3; i++)
        fire(i, &event);
    now = px_wall_now() + 1;
    ck_assert_uint_eq(claim(now, jobs, &next), 3);
    report(&jobs[0].delivery, PX_OUTCOME_DEAD, now, true); /* 410: the channel ends, and what waits for it */
    ck_assert_int_eq(px_channels_get(alerts, OWNER, channel_id, &channel), 0);
    ck_assert_uint_eq(channel.state, PX_CHANNEL_GONE);
    report(&jobs[1].delivery, PX_OUTCOME_AGAIN, now, false);
    ck_assert_uint_eq(claim(now, jobs, &next), 0);
    ck_assert_uint_eq(look(jobs[0].delivery.number).state, PX_DELIVERY_DEAD);
    ck_assert_int_eq(px_deliveries_replay(alerts, OWNER, 3, &now_row), PX_E_EXISTS);
    ck_assert_int_eq(px_deliveries_replay(alerts, "somebody", 1, &now_row), PX_E_NOT_FOUND);
    ck_assert_int_eq(px_deliveries_replay_dead(alerts, OWNER, 100, &count, &more), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_uint_eq(count, 2);
    channel.state = PX_CHANNEL_ACTIVE;
    ck_assert_int_eq(px_channels_put(alerts, &channel, &channel), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    now = px_wall_now() + 1000 * PX_NS_PER_S; /* a replay that had to wait beyond its time is sent once all the same */
    ck_assert_uint_eq(claim(now, jobs, &next), 2 + 1);
    report(&jobs[0].delivery, PX_OUTCOME_AGAIN, now, false);
    ck_assert_uint_eq(claim(now, jobs + 3, &next), 0);
    ck_assert_uint_eq(look(jobs[0].delivery.number).state, PX_DELIVERY_DEAD);
    ck_assert_int_eq(px_deliveries_list(alerts, OWNER, PX_DELIVERY_ANY, 0, 2, list, &count, &more, &cursor), 0);
    ck_assert(count == 2 && more && list[0].number == 3 && cursor == 2);
    ck_assert_int_eq(px_deliveries_list(alerts, OWNER, PX_DELIVERY_ANY, cursor, 2, list, &count, &more, &cursor), 0);
    ck_assert(count == 1 && !more && list[0].number == 1);
    ck_assert_int_eq(px_deliveries_list(alerts, "somebody", PX_DELIVERY_ANY, 0, 8, list, &count, &more, &cursor), 0);
    ck_assert_uint_eq(count, 0);
    close_store();
}
END_TEST

/* Twenty fires in a row: fifteen are told one by one, the rest in one notification when the three minutes are over. */
START_TEST(test_storm)
{
    static struct px_job jobs[PX_JOBS_MAX];
    struct px_alert alert = {.id = {1, 1}, .owner = OWNER, .channel_count = 1, .channels = {channel_id}};
    struct px_alert_event event = {.fire = {.alert = alert.id}};
    int64_t now, next;
    uint32_t count;
    uint16_t made, all = 0;

    open_store();
    now = px_wall_now();
    for (uint32_t i = 1; i <= 21; i++) {
        event.fire_number = i;
        event.eseq = i;
        event.fire.matched_ns = now + i;
        ck_assert_int_eq(pxi_deliveries_make(alerts, &alert, &event, &made), 0);
        ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
        all += made;
    }
    ck_assert_uint_eq(all, 1 + PX_STORM_FIRES + 1); /* the first fire of all is no part of a storm */
    struct px_delivery joined = look(all);
    ck_assert_uint_eq(joined.count, 21 - 1 - PX_STORM_FIRES);
    ck_assert(joined.due_ns >= now + PX_STORM_NS && joined.fire_number == 17);
    ck_assert_int_eq(px_deliveries_claim(alerts, px_wall_now(), PX_JOBS_MAX, jobs, &count, &next), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert(next == joined.due_ns && look(all).state == PX_DELIVERY_PENDING); /* it waits for the end of the window */
    event.fire_number = 22; /* three minutes later all begins anew */
    event.fire.matched_ns = now + PX_STORM_NS + 100;
    ck_assert_int_eq(pxi_deliveries_make(alerts, &alert, &event, &made), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_uint_eq(made, 1);
    ck_assert_uint_eq(look(all + 1u).count, 1);
    close_store();
}
END_TEST

/* A group sees nothing of itself in the database: a storm inside one is joined all the same. */
START_TEST(test_storm_in_one_group)
{
    struct px_alert alert = {.id = {1, 1}, .owner = OWNER, .channel_count = 1, .channels = {channel_id}};
    struct px_alert_event event = {.fire = {.alert = alert.id, .matched_ns = px_wall_now()}};
    uint16_t made, all = 0;

    open_store();
    for (uint32_t i = 1; i <= 60; i++) {
        event.fire_number = i;
        event.eseq = i;
        ck_assert_int_eq(pxi_deliveries_make(alerts, &alert, &event, &made), 0);
        all += made;
        if (i == 40) /* and it goes on in the next */
            ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    }
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_uint_eq(all, 1 + PX_STORM_FIRES + 1);
    struct px_delivery joined = look(all);
    ck_assert_uint_eq(joined.count, 60 - 1 - PX_STORM_FIRES);
    ck_assert_uint_eq(joined.joined_count, PX_JOINED_MAX);
    ck_assert(joined.eseq == 17 && joined.joined[0] == 18);
    close_store();
}
END_TEST

/* ---- a channel that groups ---- */

START_TEST(test_group)
{
    static struct px_job jobs[PX_JOBS_MAX];
    struct px_channel channel;
    struct px_alert_event events[4];
    int64_t next;

    open_store();
    ck_assert_int_eq(px_channels_get(alerts, OWNER, channel_id, &channel), 0);
    channel.group_s = 10;
    ck_assert_int_eq(px_channels_put(alerts, &channel, &channel), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    int64_t before = px_wall_now();
    for (uint64_t i = 0; i < 3; i++)
        fire(i + 1, &events[i]);
    ck_assert_uint_eq(claim(before + 9 * PX_NS_PER_S, jobs, &next), 0);
    ck_assert_uint_eq(claim(px_wall_now() + 10 * PX_NS_PER_S, jobs, &next), 1);
    ck_assert(jobs[0].delivery.count == 3 && jobs[0].told_count == 2 && jobs[0].event.eseq == events[0].eseq);
    ck_assert(jobs[0].told[1].fire.alert.lo == 3 && jobs[0].told[1].fire_number == 1);
    fire(4, &events[3]); /* what has gone out gathers no more */
    ck_assert_uint_eq(look(2).count, 1);
    ck_assert_uint_eq(events[3].deliveries, 1);
    close_store();
}
END_TEST

/* ---- silences ---- */

static struct px_silence silence_of(uint64_t n, int64_t ends_ns)
{
    return (struct px_silence){.id = {3, n}, .owner = OWNER, .starts_ns = 1, .ends_ns = ends_ns};
}

START_TEST(test_silence_matches)
{
    struct px_alert alert = {.id = {1, 1}, .symbol = "BTC-USD", .tag_count = 2, .tags = {"a", "b"}};
    struct px_silence any = silence_of(1, 100), one;

    ck_assert(px_silence_matches(&any, &alert, channel_id, 1) && px_silence_matches(&any, &alert, channel_id, 99));
    ck_assert(!px_silence_matches(&any, &alert, channel_id, 0) && !px_silence_matches(&any, &alert, channel_id, 100));
#define GIVEN(good, bad)                                                                                               \
    one = any, good;                                                                                                   \
    ck_assert(px_silence_matches(&one, &alert, channel_id, 50));                                                       \
    one = any, good, bad;                                                                                              \
    ck_assert(!px_silence_matches(&one, &alert, channel_id, 50));
    GIVEN(strcpy(one.symbol, "BTC-USD"), strcpy(one.symbol, "ETH-USD"))
    GIVEN(strcpy(one.tag, "b"), strcpy(one.tag, "c"))
    GIVEN(one.alert = alert.id, one.alert.lo = 2)
    GIVEN(one.channel = channel_id, one.channel.hi = 8)
    GIVEN(strcpy(one.tag, "b"), one.channel.hi = 8) /* all that is given must match */
#undef GIVEN
}
END_TEST

START_TEST(test_silence)
{
    static struct px_job jobs[8];
    struct px_silence silence = silence_of(1, INT64_MAX), stored;
    struct px_alert_event event;
    struct px_delivery again;
    int64_t next;

    open_store();
    strcpy(silence.symbol, "BTC-USD");
    ck_assert_int_eq(px_silences_put(alerts, &silence, 2, &stored), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    fire(1, &event); /* it is an event as ever, and stands in the log */
    ck_assert_uint_eq(event.deliveries, 0);
    ck_assert(look(1).state == PX_DELIVERY_SILENCED && look(1).silence.lo == 1 && look(1).eseq == event.eseq);
    ck_assert_uint_eq(claim(px_wall_now() + 10 * PX_NS_PER_S, jobs, &next), 0);
    px_alerts_close(&alerts); /* durable */
    ck_assert_int_eq(px_alerts_open(data, names, &alerts), 0);
    fire(2, &event);
    ck_assert_uint_eq(look(2).state, PX_DELIVERY_SILENCED);
    ck_assert_int_eq(px_silences_delete(alerts, "somebody", silence.id), PX_E_NOT_FOUND);
    ck_assert_int_eq(px_silences_delete(alerts, OWNER, silence.id), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    fire(3, &event);
    ck_assert(look(3).state == PX_DELIVERY_PENDING && event.deliveries == 1);
    ck_assert_int_eq(px_deliveries_replay(alerts, OWNER, 1, &again), 0); /* told after all */
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_uint_eq(claim(px_wall_now() + 1, jobs, &next), 2);
    close_store();
}
END_TEST

START_TEST(test_silences_are_bounded)
{
    struct px_silence silence, stored, list[4];
    struct px_alert_cursor after = {0}, next;
    uint32_t count;
    bool more;

    open_store();
    for (uint64_t i = 1; i <= 3; i++) { /* one of them has ended, and makes room when there is none */
        silence = silence_of(i, i == 1 ? 2 : INT64_MAX);
        ck_assert_int_eq(px_silences_put(alerts, &silence, 2, &stored), 0);
        ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    }
    silence = silence_of(4, INT64_MAX);
    ck_assert_int_eq(px_silences_put(alerts, &silence, 2, &stored), PX_E_LIMIT);
    strcpy(silence.owner, "somebody");
    ck_assert_int_eq(px_silences_put(alerts, &silence, 2, &stored), 0);
    ck_assert_int_eq(px_alerts_commit(alerts, false), 0);
    ck_assert_int_eq(px_silences_put(alerts, &silence, 2, &stored), PX_E_EXISTS);
    strcpy(silence.owner, OWNER);
    ck_assert_int_eq(px_silences_put(alerts, &silence, 2, &stored), PX_E_FORBIDDEN);
    ck_assert_int_eq(px_silences_list(alerts, OWNER, &after, 1, list, &count, &more, &next), 0);
    ck_assert(count == 1 && more && list[0].id.lo == 2);
    ck_assert_int_eq(px_silences_list(alerts, OWNER, &next, 4, list, &count, &more, &next), 0);
    ck_assert(count == 1 && !more && list[0].id.lo == 3);
    close_store();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_signs);
    tcase_add_test(tests, test_addresses);
    tcase_add_test(tests, test_allowed_addresses);
    tcase_add_test(tests, test_backoff);
    tcase_add_test(tests, test_gate);
    tcase_add_test(tests, test_template);
    tcase_add_test(tests, test_push_vector);
    tcase_add_test(tests, test_delivery_lives);
    tcase_add_test(tests, test_delivery_dies_and_comes_back);
    tcase_add_test(tests, test_storm);
    tcase_add_test(tests, test_storm_in_one_group);
    tcase_add_test(tests, test_group);
    tcase_add_test(tests, test_silence_matches);
    tcase_add_test(tests, test_silence);
    tcase_add_test(tests, test_silences_are_bounded);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
