/* HTTP heads: what is accepted, and what a strict reader refuses. */
#include "base/error.h"
#include "net/http.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST "Host: h\r\n"

static int parse(const char *text, struct px_http_head *head)
{
    return px_http_request_parse(px_text_of(text), head);
}

START_TEST(a_request_is_taken_apart)
{
    const char *text = "GET /ws/v1?ticket=a%20b&x HTTP/1.1\r\nHost: h:80\r\nX-Two:  spaced \t\r\nConnection: "
                       "keep-alive, Upgrade\r\n\r\nrest";
    struct px_http_head head;
    char value[16];
    size_t len;

    ck_assert_int_eq(parse(text, &head), (int)(strlen(text) - 4));
    ck_assert(px_text_is(head.method, "GET"));
    ck_assert(px_text_is(head.path, "/ws/v1"));
    ck_assert(px_text_is(px_http_header_find(&head, "x-two"), "spaced"));
    ck_assert(px_http_header_has(&head, "connection", "upgrade"));
    ck_assert(!px_http_header_has(&head, "connection", "grade"));
    ck_assert_ptr_null(px_http_header_find(&head, "absent").at);
    ck_assert_int_eq(px_http_query_find(head.query, "ticket", value, sizeof(value), &len), 0);
    ck_assert_str_eq(value, "a b");
    ck_assert_int_eq(px_http_query_find(head.query, "x", NULL, 0, NULL), 0);
    ck_assert_int_eq(px_http_query_find(head.query, "y", value, sizeof(value), &len), PX_E_NOT_FOUND);
}
END_TEST

START_TEST(a_head_in_pieces_asks_for_more)
{
    const char *text = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n";
    struct px_http_head head;

    for (size_t len = 0; len < strlen(text); len++)
        ck_assert_int_eq(px_http_request_parse((struct px_text){text, len}, &head), PX_E_AGAIN);
    ck_assert_int_eq(parse(text, &head), (int)strlen(text));
    ck_assert_int_eq(head.content_length, 12);
}
END_TEST

static const char *const refused[] = {
    "GET / HTTP/1.1\nHost: h\n\n",
    "GET / HTTP/1.1\r\nHost: h\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\rX: y\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: a\001b\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "Xa\r\n\r\n",
    "GET / HTTP/1.1\r\nX: y\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST HOST "\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
    "GET  / HTTP/1.1\r\n" HOST "\r\n",
    "GET / HTTP/2.0\r\n" HOST "\r\n",
    "GET /\x7f HTTP/1.1\r\n" HOST "\r\n",
    "GET / HTTP/1.1 \r\n" HOST "\r\n",
    "G@T / HTTP/1.1\r\n" HOST "\r\n",
    "\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
};

START_TEST(doubtful_heads_are_refused)
{
    struct px_http_head head;

    ck_assert_msg(parse(refused[_i], &head) == PX_E_FORMAT, "accepted: %s", refused[_i]);
}
END_TEST

START_TEST(a_head_is_bounded)
{
    static char text[3 * PX_HTTP_HEAD_MAX];
    struct px_http_head head;
    size_t len = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST "X: ");

    memset(text + len, 'a', sizeof(text) - len);
    ck_assert_int_eq(px_http_request_parse((struct px_text){text, PX_HTTP_HEAD_MAX - 1}, &head), PX_E_AGAIN);
    ck_assert_int_eq(px_http_request_parse((struct px_text){text, PX_HTTP_HEAD_MAX}, &head), PX_E_TOO_LARGE);
    ck_assert_int_eq(px_http_request_parse((struct px_text){text, sizeof(text)}, &head), PX_E_TOO_LARGE);

    len = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < PX_HTTP_HEADERS_MAX; i++)
        len += (size_t)sprintf(text + len, "X: y\r\n");
    ck_assert_int_eq(parse(text, &head), PX_E_TOO_LARGE);
}
END_TEST

START_TEST(an_answer_is_taken_apart)
{
    struct px_http_head head;
    const char *text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    ck_assert_int_eq(px_http_response_parse(px_text_of(text), &head), (int)strlen(text));
    ck_assert_int_eq(head.status, 101);
    ck_assert(px_text_is(head.reason, "Switching Protocols"));
    text = "HTTP/1.1 204\r\n\r\n";
    ck_assert_int_eq(px_http_response_parse(px_text_of(text), &head), (int)strlen(text));
    ck_assert_int_eq(px_http_response_parse(px_text_of("HTTP/1.1 2040 x\r\n\r\n"), &head), PX_E_FORMAT);
    ck_assert_int_eq(px_http_response_parse(px_text_of("HTTP/1.1 20\r\n\r\n"), &head), PX_E_FORMAT);
}
END_TEST

START_TEST(percent_codes_are_decoded_or_refused)
{
    char value[8];
    size_t len;

    ck_assert_int_eq(px_http_decode(PX_TEXT("a%2fb+c"), true, value, sizeof(value), &len), 0);
    ck_assert_str_eq(value, "a/b c");
    ck_assert_int_eq(px_http_decode(PX_TEXT("a+c"), false, value, sizeof(value), &len), 0);
    ck_assert_str_eq(value, "a+c");
    ck_assert_int_eq(px_http_decode(PX_TEXT("%"), true, value, sizeof(value), &len), PX_E_FORMAT);
    ck_assert_int_eq(px_http_decode(PX_TEXT("%4"), true, value, sizeof(value), &len), PX_E_FORMAT);
    ck_assert_int_eq(px_http_decode(PX_TEXT("%4g"), true, value, sizeof(value), &len), PX_E_FORMAT);
    ck_assert_int_eq(px_http_decode(PX_TEXT("%00"), true, value, sizeof(value), &len), PX_E_FORMAT);
    ck_assert_int_eq(px_http_decode(PX_TEXT("12345678"), true, value, sizeof(value), &len), PX_E_TOO_LARGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tests = tcase_create("heads");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, a_request_is_taken_apart);
    tcase_add_test(tests, a_head_in_pieces_asks_for_more);
    tcase_add_loop_test(tests, doubtful_heads_are_refused, 0, (int)PX_COUNT_OF(refused));
    tcase_add_test(tests, a_head_is_bounded);
    tcase_add_test(tests, an_answer_is_taken_apart);
    tcase_add_test(tests, percent_codes_are_decoded_or_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
