/* What a reader makes of a keeper that dies between a request and its answer; the keeper here does as it is told. */
#include "store/reader.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "store/wire.h"

static char folder[] = "/tmp/reader_test.XXXXXX";
static char socket_path[64];
static int listener;
static struct px_alert standing; /* as the keeper has it after its death */
static struct px_reader *reader;

static void read_all(int fd, void *bytes, size_t n)
{
    ck_assert_int_eq(recv(fd, bytes, n, MSG_WAITALL), (ssize_t)n);
}

static void answer(int fd, const struct px_wire_head *asked, int result, const struct px_alert *row)
{
    struct px_wire_answer body = {.result = result, .count = row != NULL};
    struct px_wire_head head = *asked;

    head.bytes = (uint32_t)(sizeof body + (row ? sizeof *row : 0));
    ck_assert_int_eq(send(fd, &head, sizeof head, MSG_NOSIGNAL), sizeof head);
    ck_assert_int_eq(send(fd, &body, sizeof body, MSG_NOSIGNAL), sizeof body);
    if (row)
        ck_assert_int_eq(send(fd, row, sizeof *row, MSG_NOSIGNAL), sizeof *row);
}

/* The first request is not answered; the next one is refused for its version; then the alert is looked at. */
static void *dying_keeper(void *unused)
{
    struct px_wire_head head;
    struct px_wire_request request;

    (void)unused;
    int fd = accept(listener, NULL, NULL);
    read_all(fd, &head, sizeof head);
    read_all(fd, &request, sizeof request);
    close(fd);
    fd = accept(listener, NULL, NULL);
    for (;;) {
        if (recv(fd, &head, sizeof head, MSG_WAITALL) != sizeof head)
            break;
        read_all(fd, &request, sizeof request);
        if (head.kind == PX_WIRE_ALERT_GET)
            answer(fd, &head, 0, &standing);
        else
            answer(fd, &head, PX_E_PRECONDITION, NULL);
    }
    close(fd);
    return NULL;
}

static struct px_alert alert_of(const char *level)
{
    struct px_alert alert;

    memset(&alert, 0, sizeof alert);
    alert.id = (struct px_alert_id){1, 2};
    strcpy(alert.owner, "anna");
    strcpy(alert.symbol, "BTC-USD");
    strcpy(alert.name, "one");
    alert.state = PX_ALERT_ARMED;
    alert.version = 5;
    alert.fires = 3;
    alert.rule.conditions = 1;
    alert.rule.frequency = PX_FREQUENCY_EVERY_TIME;
    alert.rule.condition[0].op = PX_OP_CROSSING;
    alert.rule.condition[0].source = PX_SOURCE_LAST;
    strcpy(alert.rule.condition[0].level, level);
    return alert;
}

static pthread_t begin(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;

    strcpy(address.sun_path, socket_path);
    unlink(socket_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, dying_keeper, NULL), 0);
    ck_assert_int_eq(px_reader_create(folder, &reader), 0);
    return thread;
}

static void end(pthread_t thread)
{
    px_reader_destroy(&reader);
    pthread_join(thread, NULL);
    close(listener);
}

static int change(const struct px_alert *found)
{
    struct px_alert wanted = alert_of("200"), stored;
    pthread_t thread = begin();

    standing = *found;
    int result = px_reader_alert_update(reader, &wanted, &stored);
    end(thread);
    return result;
}

/* A fire gives a new version as a change does: only what stands there tells them apart. */
START_TEST(a_change_is_done_when_it_stands_there)
{
    struct px_alert changed = alert_of("200"), fired = alert_of("100");

    changed.version = fired.version = 6;
    fired.fires = 4;
    ck_assert_int_eq(change(&changed), 0);
    ck_assert_int_eq(change(&fired), PX_E_PRECONDITION);
    changed.version = 8; /* and has fired twice since */
    changed.fires = 5;
    ck_assert_int_eq(change(&changed), 0);
    strcpy(changed.message, "another's");
    ck_assert_int_eq(change(&changed), PX_E_PRECONDITION);
}
END_TEST

typedef int act_call(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp);

static int act(act_call *call, unsigned state, uint64_t fires, uint64_t rearmed_fires)
{
    struct px_alert stored;
    pthread_t thread = begin();

    standing = alert_of("100");
    standing.version = 6;
    standing.state = (uint8_t)state;
    standing.fires = fires;
    standing.rearmed_fires = rearmed_fires;
    int result = call(reader, "anna", standing.id, 5, &stored);
    end(thread);
    return result;
}

START_TEST(an_action_is_done_when_it_shows)
{
    ck_assert_int_eq(act(px_reader_alert_pause, PX_ALERT_PAUSED, 3, 0), 0);
    ck_assert_int_eq(act(px_reader_alert_pause, PX_ALERT_ARMED, 4, 0), PX_E_PRECONDITION);
    ck_assert_int_eq(act(px_reader_alert_pause, PX_ALERT_FIRED, 4, 0), PX_E_PRECONDITION);
    ck_assert_int_eq(act(px_reader_alert_resume, PX_ALERT_ARMED, 3, 0), 0);
    ck_assert_int_eq(act(px_reader_alert_resume, PX_ALERT_COOLING, 4, 0), 0);
    ck_assert_int_eq(act(px_reader_alert_resume, PX_ALERT_PAUSED, 3, 0), PX_E_PRECONDITION);
    ck_assert_int_eq(act(px_reader_alert_rearm, PX_ALERT_ARMED, 3, 3), 0);
    ck_assert_int_eq(act(px_reader_alert_rearm, PX_ALERT_ARMED, 4, 0), PX_E_PRECONDITION);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reader");
    TCase *tcase = tcase_create("death");
    SRunner *runner;
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(socket_path, sizeof socket_path, "%s/%s", folder, PX_KEEPER_SOCKET);
    tcase_add_test(tcase, a_change_is_done_when_it_stands_there);
    tcase_add_test(tcase, an_action_is_done_when_it_shows);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    unlink(socket_path);
    rmdir(folder);
    return failed != 0;
}
