/* What the keeper does for those who ask it over its socket: many alerts at once, the same twice, and notify's claims. */
#include "tests/unit/keeper_fixture.h"

START_TEST(a_batch_is_made_of_alerts)
{
    static struct px_alert batch[60], stored;
    static struct px_alert_result results[60];

    start_evaluator();
    start_keeper(NULL);
    for (unsigned i = 0; i < 60; i++)
        batch[i] = alert_of(i + 1);
    batch[7].rule.condition[0].level[0] = 'x'; /* wrong by itself */
    batch[9] = batch[8];                       /* named twice */
    ck_assert_int_eq(px_reader_alert_batch(reader, batch, 60, results), 0);
    for (unsigned i = 0; i < 60; i++)
        ck_assert_int_eq(results[i].result, i == 7 ? PX_E_INVALID : i == 9 ? PX_E_EXISTS : i < 52 ? 0 : PX_E_LIMIT);
    ck_assert(results[51].alert.id.lo == 52 && results[51].alert.version == 1);
    ck_assert_int_eq(px_reader_alert_batch(reader, batch, 60, results), 0);
    ck_assert(results[0].result == PX_E_EXISTS && results[0].alert.id.lo == 1 && results[59].result == PX_E_LIMIT);
    ck_assert_int_eq(px_reader_alert_batch(reader, batch, 0, results), PX_E_INVALID);

    ck_assert_int_eq(px_reader_alert_pause(reader, "anna", batch[0].id, 1, &stored), 0);
    ck_assert(stored.state == PX_ALERT_PAUSED && stored.version == 2);
    ck_assert_int_eq(px_reader_alert_pause(reader, "anna", batch[0].id, 1, &stored), PX_E_PRECONDITION);
    strcpy(stored.rule.condition[0].level, "200");
    ck_assert_int_eq(px_reader_alert_update(reader, &stored, &stored), 0);
    ck_assert(stored.version == 3 && stored.state == PX_ALERT_PAUSED);
    ck_assert_int_eq(px_reader_alert_resume(reader, "anna", batch[0].id, 0, &stored), 0);
    ck_assert(stored.state == PX_ALERT_ARMED && strcmp(stored.rule.condition[0].level, "200") == 0);
    ck_assert_int_eq(px_reader_alert_rearm(reader, "berta", batch[0].id, 0, &stored), PX_E_NOT_FOUND);
    stop_keeper();
    stop_evaluator();
}
END_TEST

/* The same question gets the same answer, over deaths and whatever becomes of the alert. */
START_TEST(a_token_makes_one_alert)
{
    struct px_alert alert = alert_of(7), first, stored;
    static struct px_alert batch[2];
    static struct px_alert_result results[2];

    start_evaluator();
    start_keeper(NULL);
    alert.token = (struct px_alert_id){5, 5};
    ck_assert_int_eq(px_reader_alert_create(reader, &alert, &first), 0);
    stored = first;
    strcpy(stored.rule.condition[0].level, "300");
    ck_assert_int_eq(px_reader_alert_update(reader, &stored, &stored), 0);
    alert.id.lo = 8;
    ck_assert_int_eq(px_reader_alert_create(reader, &alert, &stored), PX_E_EXISTS);
    ck_assert(stored.id.lo == 7 && stored.version == 1 && strcmp(stored.rule.condition[0].level, "107") == 0);
    kill_keeper();
    start_keeper(NULL);
    ck_assert_int_eq(px_reader_alert_delete(reader, "anna", first.id, 0), 0);
    ck_assert_int_eq(px_reader_alert_create(reader, &alert, &stored), PX_E_EXISTS);
    ck_assert(stored.id.lo == 7 && stored.created_ns == first.created_ns);
    ck_assert_int_eq(px_reader_alert_get(reader, "anna", (struct px_alert_id){1, 8}, &stored), PX_E_NOT_FOUND);
    strcpy(alert.owner, "berta");
    ck_assert_int_eq(px_reader_alert_create(reader, &alert, &stored), 0); /* another's token is another token */

    batch[0] = alert_of(20);
    batch[1] = alert_of(21);
    batch[0].token = batch[1].token = (struct px_alert_id){6, 6}; /* twice in one group */
    ck_assert_int_eq(px_reader_alert_batch(reader, batch, 2, results), 0);
    ck_assert(results[0].result == 0 && results[1].result == PX_E_EXISTS && results[1].alert.id.lo == 20);
    stop_keeper();
    stop_evaluator();
}
END_TEST

/* ---- notify ---- */

static struct px_job jobs[4];

static void ask_jobs(struct px_reader *notify, uint32_t wait_ms, bool fresh)
{
    static struct px_turn turn;

    turn = (struct px_turn){.want = 4, .wait_ms = wait_ms, .fresh = fresh};
    ck_assert_int_eq(px_reader_turn_begin(notify, &turn), 0);
}

static uint32_t jobs_of(struct px_reader *notify)
{
    uint32_t count = 99;

    ck_assert_int_eq(px_reader_turn_end(notify, jobs, &count), 0);
    return count;
}

static void make_told_alert(uint64_t number)
{
    struct px_channel channel = {.id = {2, 1}, .owner = "anna", .type = PX_CHANNEL_WEBHOOK, .state = PX_CHANNEL_ACTIVE, .format = PX_FORMAT_STANDARD,
                                 .ttl_s = 60, .target = "http://x/", .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    struct px_alert alert = alert_of(number), stored;

    if (number == 1)
        ck_assert_int_eq(px_reader_channel_put(reader, &channel, &channel), 0);
    alert.channel_count = 1;
    alert.channels[0] = channel.id;
    ck_assert_int_eq(px_reader_alert_create(reader, &alert, &stored), 0);
}

START_TEST(a_claim_waits_for_a_fire)
{
    struct px_reader *notify, *other;

    start_evaluator();
    start_keeper(NULL);
    ck_assert_int_eq(px_reader_create(data, &notify), 0);
    ck_assert_int_eq(px_reader_create(data, &other), 0);
    px_reader_timeout_set(notify, 20000);
    px_reader_timeout_set(other, 20000);
    for (uint64_t i = 1; i <= 3; i++)
        make_told_alert(i);
    ask_jobs(notify, 1, true);
    ck_assert_uint_eq(jobs_of(notify), 0); /* its time is over */
    ask_jobs(notify, 1000000, false);      /* longer than the keeper lets anybody wait */
    ck_assert_uint_eq(jobs_of(notify), 0);
    do {
        ask_jobs(notify, 1000, false);
        fire(1);
    } while (jobs_of(notify) == 0); /* on a machine that slept for a second */
    ck_assert(jobs[0].event.fire.alert.lo == 1 && jobs[0].delivery.state == PX_DELIVERY_DELIVERING);

    ask_jobs(notify, 1000, false); /* one that is given up: what it would have got goes to who asks after it */
    px_reader_turn_cancel(notify);
    ask_jobs(other, 1000, true);
    ck_assert_uint_eq(jobs_of(other), 1); /* what the first had taken and not told of */
    ck_assert_uint_eq(jobs[0].event.fire.alert.lo, 1);
    ask_jobs(notify, 1000, false);
    ask_jobs(other, 0, false); /* the second ends the wait of the first */
    ck_assert(jobs_of(notify) == 0 && jobs_of(other) == 0);
    stop_keeper();
    stop_evaluator();
    px_reader_destroy(&notify);
    px_reader_destroy(&other);
}
END_TEST

START_TEST(notify_asks_for_nothing_else)
{
    struct px_reader *notify;
    struct px_channel channel;
    struct px_alert_id id = {2, 1};

    start_evaluator();
    start_keeper(NULL);
    make_told_alert(1);
    ck_assert_int_eq(px_reader_channel_get(reader, "", id, &channel), 0);
    px_store_release(&shm.roles[PX_ROLE_SLOT_NOTIFY].pid, getpid());
    ck_assert_int_eq(px_reader_create(data, &notify), 0);
    px_reader_timeout_set(notify, 200);
    ck_assert_int_ne(px_reader_channel_get(notify, "", id, &channel), 0);
    ck_assert_int_ne(px_reader_alert_delete(notify, "", id, 0), 0);
    px_reader_timeout_set(notify, 20000);
    ask_jobs(notify, 0, true);
    ck_assert_uint_eq(jobs_of(notify), 0);
    px_store_release(&shm.roles[PX_ROLE_SLOT_NOTIFY].pid, 0);
    ck_assert_int_eq(px_reader_channel_get(reader, "", id, &channel), 0);
    stop_keeper();
    stop_evaluator();
    px_reader_destroy(&notify);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *tcase = tcase_create("keeper");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_batch_is_made_of_alerts);
    tcase_add_test(tcase, a_token_makes_one_alert);
    tcase_add_test(tcase, a_claim_waits_for_a_fire);
    tcase_add_test(tcase, notify_asks_for_nothing_else);
    tcase_set_timeout(tcase, 100);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
