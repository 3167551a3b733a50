/* A notification as a mail: plain text, one recipient. Values that end up in headers are stripped of what could end a header. */
#include <stdio.h>
#include <time.h>

#include "engine/notify/notify_private.h"

/* Copies what is printable ASCII, so that a subject needs no encoding and cannot hold a line's end. */
static void to_ascii(char *to, size_t size, const char *from)
{
    size_t len = 0;

    for (; *from && len + 1 < size; from++)
        if (*from >= ' ' && *from < 0x7f)
            to[len++] = *from;
    to[len] = '\0';
}

static void subject_of(const struct pxi_notify *notify, const struct px_job *job, char *to, size_t size)
{
    const struct px_config *config = notify->heritage->config;
    const struct px_fire *fire = &job->event.fire;
    char price[PX_DECIMAL_SIZE] = "?", name[PX_ALERT_NAME_SIZE];

    if (pxi_is_bare(job) || fire->asset >= config->asset_count) {
        snprintf(to, size, job->channel.code[0] ? "pxengine: verify this address" : "pxengine: test");
        return;
    }
    if (fire->price != PX_PRICE_NONE)
        px_decimal_format(fire->price, job->event.scale, price);
    to_ascii(name, sizeof name, job->event.name);
    snprintf(to, size, "%s%s %s %s: %s%s%s", job->delivery.eseq == 0 ? "Test: " : "", config->assets[fire->asset].symbol, px_op_name(job->event.op), job->event.level,
             price, name[0] ? " - " : "", name);
}

/* Lines end in CR LF; a line that is only a point is libcurl's business. */
static size_t put_text(char *to, size_t size, const char *text)
{
    size_t len = 0;

    for (; *text && len + 3 < size; text++) {
        if (*text == '\r')
            continue;
        if (*text == '\n')
            to[len++] = '\r';
        to[len++] = *text;
    }
    return len;
}

size_t pxi_mail_write(const struct pxi_notify *notify, const struct px_job *job, int64_t now_ns, char *to, size_t size)
{
    const struct px_config_smtp *smtp = &notify->heritage->config->notify.smtp;
    const char *host = strrchr(smtp->from, '@');
    char subject[256], date[64], id[PX_DELIVERY_NAME_SIZE], fired[PX_RFC3339_SIZE] = "", test[PXI_TEST_SIZE];
    time_t now_s = (time_t)(now_ns / PX_NS_PER_S);
    struct tm utc;

    gmtime_r(&now_s, &utc);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &utc);
    px_delivery_name(&job->delivery, id);
    pxi_test_message(&job->channel, test);
    subject_of(notify, job, subject, sizeof subject);
    if (job->delivery.eseq > 0)
        px_rfc3339_format(job->event.fire.matched_ns, fired);
    int n = snprintf(to, size,
                     "Date: %s\r\nFrom: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n"
                     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                     date, smtp->from, job->channel.target, subject, id, host ? host + 1 : "localhost");
    if (n < 0 || (size_t)n + PX_ALERT_MESSAGE_SIZE * 2 + 512 > size)
        return 0;
    size_t len = (size_t)n;
    len += put_text(to + len, size - len, pxi_is_bare(job) ? test : job->event.message);
    n = snprintf(to + len, size - len, "\r\n\r\n%s\r\n%s%s\r\nFires told of: %u\r\n%s\r\n", subject, fired[0] ? "Fired " : "", fired,
                 job->delivery.count, id);
    return n < 0 || (size_t)n >= size - len ? 0 : len + (size_t)n;
}
