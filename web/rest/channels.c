/* Channels: where fires are told. The keeper holds them, notify sends; here are their names in HTTP. */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/channel_body.h"
#include "web/rest/request_private.h"

#define CHANNEL_BYTES_MAX 4096 /* of one in an answer, every byte of its texts escaped */
#define SECRET_BYTES      32

static void set_version(struct px_request *request, const struct px_channel *channel)
{
    snprintf(request->answer.etag, sizeof request->answer.etag, "\"%u\"", channel->version);
}

static void answer_with(struct px_request *request, const struct px_channel *channel, int status, bool with_secret)
{
    char id[PX_ALERT_ID_SIZE];

    px_channel_id_format(channel->id, id);
    request->answer.status = status;
    if (status == 201)
        snprintf(request->answer.location, sizeof request->answer.location, "/api/v1/channels/%s", id);
    set_version(request, channel);
    px_channel_write(channel, with_secret, pxi_json(request));
}

static bool make_secret(struct px_request *request, char secret[PX_SECRET_SIZE])
{
    uint8_t bytes[SECRET_BYTES];

    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        px_problem_of_error(&request->problem, PX_E_SYSTEM);
        return false;
    }
    memcpy(secret, "whsec_", 6);
    EVP_EncodeBlock((unsigned char *)secret + 6, bytes, sizeof bytes);
    return true;
}

/* ---- create ---- */

void pxi_post_channel(struct px_request *request)
{
    struct px_channel channel, stored;
    bool keyed;

    if (!px_channel_body_read(request->body, false, &channel, &request->problem))
        return;
    snprintf(channel.owner, sizeof channel.owner, "%s", request->key.id);
    if (!pxi_name_by_key(request, "channel", channel.owner, &channel.id, &keyed))
        return;
    if (channel.type == PX_CHANNEL_WEBHOOK && !channel.secret[0] && !make_secret(request, channel.secret))
        return;
    int rc = px_reader_channel_put(request->thread->reader, &channel, &stored);
    if (rc == PX_E_EXISTS && keyed && !px_channel_body_same(&channel, &stored))
        px_problem_set(&request->problem, PX_PROBLEM_IDEMPOTENCY_CONFLICT,
                       "This Idempotency-Key has made a channel from another body");
    else if (rc == 0 || rc == PX_E_EXISTS)
        answer_with(request, &stored, 201, true);
    else if (rc == PX_E_LIMIT)
        px_problem_set(&request->problem, PX_PROBLEM_VALIDATION, "A key may hold %d channels; delete some first",
                       PX_CHANNELS_PER_OWNER);
    else
        pxi_keeper_failed(request, rc);
}

/* ---- one ---- */

static void failed(struct px_request *request, int rc)
{
    if (rc == PX_E_NOT_FOUND)
        px_problem_set(&request->problem, PX_PROBLEM_UNKNOWN_CHANNEL, "No channel of yours has this id");
    else
        pxi_keeper_failed(request, rc);
}

static bool fetch(struct px_request *request, struct px_text name, struct px_channel *channelp)
{
    struct px_alert_id id;
    int rc = px_channel_id_parse(name, &id) < 0
                 ? PX_E_NOT_FOUND
                 : px_reader_channel_get(request->thread->reader, pxi_owner_of(request), id, channelp);

    if (rc < 0)
        failed(request, rc);
    return rc == 0;
}

/* False, with the problem stated, when If-Match names other versions. */
static bool matches(struct px_request *request, const struct px_channel *channel)
{
    const char *wanted = request->exchange->header(request->exchange->ctx, "If-Match");

    set_version(request, channel);
    bool good = !wanted || pxi_etag_listed(wanted, request->answer.etag);
    if (!good)
        pxi_keeper_failed(request, PX_E_PRECONDITION);
    return good;
}

void pxi_get_channel(struct px_request *request)
{
    struct px_channel channel;

    if (!fetch(request, px_text_of(request->segment), &channel))
        return;
    set_version(request, &channel);
    request->answer.cache = "private, no-cache";
    if (!pxi_not_modified(request, request->answer.etag))
        px_channel_write(&channel, false, pxi_json(request));
}

void pxi_patch_channel(struct px_request *request)
{
    struct px_channel channel, before, stored;

    if (!fetch(request, px_text_of(request->segment), &channel) || !matches(request, &channel))
        return;
    before = channel;
    if (!px_channel_body_read(request->body, true, &channel, &request->problem))
        return;
    if (strcmp(channel.target, before.target) != 0) { /* nobody has shown that this one is read */
        channel.verified_ns = 0;
        channel.code[0] = '\0';
    }
    int rc = px_reader_channel_put(request->thread->reader, &channel, &stored);
    if (rc == 0)
        answer_with(request, &stored, 200, false);
    else
        failed(request, rc);
}

void pxi_delete_channel(struct px_request *request)
{
    bool conditional = request->exchange->header(request->exchange->ctx, "If-Match") != NULL;
    struct px_channel channel;

    if (!fetch(request, px_text_of(request->segment), &channel) || !matches(request, &channel))
        return;
    int rc = px_reader_channel_delete(request->thread->reader, pxi_owner_of(request), channel.id,
                                      conditional ? channel.version : 0);
    if (rc < 0) {
        failed(request, rc);
        return;
    }
    request->answer.etag[0] = '\0';
    request->answer.status = 204;
    request->answer.empty = true;
}

/* ---- verbs ---- */

static void test(struct px_request *request, const struct px_channel *channel)
{
    struct px_json *json = pxi_json(request);
    struct px_delivery made;
    char id[PX_DELIVERY_ID_SIZE];
    int rc = px_reader_channel_test(request->thread->reader, channel->owner, channel->id, &made);

    if (rc < 0) {
        failed(request, rc);
        return;
    }
    px_delivery_id_format(made.number, id);
    request->answer.status = 202;
    snprintf(request->answer.location, sizeof request->answer.location, "/api/v1/deliveries/%s", id);
    px_json_open(json, '{');
    px_json_kv_string(json, "delivery_id", id);
    px_json_close(json, '}');
}

/* The old secret signs beside the new one for a day, so that nothing is refused while the receiver changes. */
static void rotate(struct px_request *request, struct px_channel *channel)
{
    struct px_channel stored;

    if (channel->type != PX_CHANNEL_WEBHOOK) {
        px_problem_set(&request->problem, PX_PROBLEM_CONFLICT, "Only a webhook has a secret");
        return;
    }
    memcpy(channel->before, channel->secret, sizeof channel->before);
    channel->rotated_ns = px_wall_now();
    if (!make_secret(request, channel->secret))
        return;
    int rc = px_reader_channel_put(request->thread->reader, channel, &stored);
    if (rc == 0)
        answer_with(request, &stored, 200, true);
    else
        failed(request, rc);
}

static bool make_code(struct px_request *request, struct px_channel *channel)
{
    uint32_t number;

    do { /* each number as likely as any other */
        if (RAND_bytes((unsigned char *)&number, sizeof number) != 1) {
            px_problem_of_error(&request->problem, PX_E_SYSTEM);
            return false;
        }
    } while (number >= UINT32_MAX / 1000000 * 1000000);
    snprintf(channel->code, sizeof channel->code, "%06u", number % 1000000);
    channel->code_ns = px_wall_now();
    channel->code_tries = PX_CODE_TRIES;
    return true;
}

static void send_code(struct px_request *request, struct px_channel *channel)
{
    struct px_channel stored;

    if (!make_code(request, channel))
        return;
    int rc = px_reader_channel_put(request->thread->reader, channel, &stored);
    if (rc < 0)
        failed(request, rc);
    else
        test(request, &stored);
}

/* A wrong guess costs one of a few, and that is durable before it is told. */
static void take_code(struct px_request *request, struct px_channel *channel, const char *guess)
{
    struct px_channel stored;
    int64_t now_ns = px_wall_now();

    if (!channel->code[0] || channel->code_tries == 0 || now_ns - channel->code_ns > PX_CODE_NS) {
        px_problem_set(&request->problem, PX_PROBLEM_CONFLICT, "No code is valid; :verify without a body sends one");
        return;
    }
    bool right = strlen(guess) == strlen(channel->code) && CRYPTO_memcmp(guess, channel->code, strlen(guess)) == 0;
    channel->code_tries--;
    if (right) {
        channel->verified_ns = now_ns;
        channel->code[0] = '\0';
    }
    int rc = px_reader_channel_put(request->thread->reader, channel, &stored);
    if (rc < 0)
        failed(request, rc);
    else if (right)
        answer_with(request, &stored, 200, false);
    else
        px_problem_add(&request->problem, "/code", "is not the one that was sent; %u more may be tried", stored.code_tries);
}

static void verify(struct px_request *request, struct px_channel *channel)
{
    char guess[PX_CODE_SIZE] = "";

    if (request->body.len == 0)
        send_code(request, channel);
    else if (px_channel_code_read(request->body, guess, &request->problem))
        take_code(request, channel, guess);
}

void pxi_post_channel_verb(struct px_request *request)
{
    const char *colon = strrchr(request->segment, ':');
    struct px_text name = {request->segment, colon ? (size_t)(colon - request->segment) : strlen(request->segment)};
    struct px_text verb = px_text_of(colon ? colon : "");
    struct px_channel channel;

    if (!px_text_is(verb, ":test") && !px_text_is(verb, ":rotate-secret") && !px_text_is(verb, ":verify")) {
        px_problem_set(&request->problem, PX_PROBLEM_NOT_FOUND, "A channel knows :test, :verify and :rotate-secret");
        return;
    }
    if (!fetch(request, name, &channel))
        return;
    if (px_text_is(verb, ":test"))
        test(request, &channel);
    else if (px_text_is(verb, ":verify"))
        verify(request, &channel);
    else if (matches(request, &channel))
        rotate(request, &channel);
}

/* ---- many ---- */

static void write_channels(struct px_request *request, const struct px_channel *channels, uint32_t count, bool more,
                           const struct px_alert_cursor *next)
{
    struct px_json *json = pxi_json(request);

    if (!pxi_reserve(request, (size_t)count * CHANNEL_BYTES_MAX + 256))
        return;
    px_json_open(json, '{');
    px_json_key(json, "channels");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < count; i++)
        px_channel_write(&channels[i], false, json);
    px_json_close(json, ']');
    pxi_write_owner_next(request, more ? next : NULL);
    px_json_close(json, '}');
}

void pxi_get_channels(struct px_request *request)
{
    struct px_alert_cursor after = {0}, next = {0};
    int64_t limit = PXI_PAGE;
    uint32_t count;
    bool more;

    bool good = pxi_param_int(request, "limit", 1, PX_PAGE_MAX, &limit);
    if (!pxi_param_owner_cursor(request, &after) || !good)
        return;
    uint32_t most = (uint32_t)PX_MIN(limit, PXI_ALERTS_PAGE_MAX);
    struct px_channel *channels = malloc(most * sizeof *channels);
    int rc = channels ? px_reader_channel_list(request->thread->reader, pxi_owner_of(request), &after, most, channels, &count,
                                               &more, &next)
                      : PX_E_MEMORY;
    request->answer.cache = "private, no-cache";
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_channels(request, channels, count, more, &next);
    free(channels);
}

/* ---- what a browser needs to subscribe ---- */

void pxi_get_push_key(struct px_request *request)
{
    char path[320], key[128] = "";

    snprintf(path, sizeof path, "%s/vapid.pub", request->rest->heritage->config->data);
    int fd = request->rest->heritage->config->notify.vapid_subject[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, key, sizeof key - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0) {
        px_problem_set(&request->problem, PX_PROBLEM_NOT_FOUND, "This engine sends no web push");
        return;
    }
    key[strcspn(key, "\n")] = '\0';
    px_json_open(pxi_json(request), '{');
    px_json_kv_string(pxi_json(request), "public_key", key);
    px_json_close(pxi_json(request), '}');
}
