/* What handlers share: room, assets, parameters, validators, cursors. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rcu.h"
#include "web/rest/request_private.h"
#include "web/ulid.h"

struct px_json *pxi_json(struct px_request *request)
{
    return &request->answer.json;
}

bool pxi_reserve(struct px_request *request, size_t bytes)
{
    struct px_rest_thread *thread = request->thread;

    if (bytes + PXI_HEAD_ROOM > thread->buffer_size) {
        char *larger = bytes <= PXI_BUFFER_MAX ? malloc(bytes + PXI_HEAD_ROOM) : NULL;
        if (!larger) {
            px_problem_of_error(&request->problem, PX_E_MEMORY);
            return false;
        }
        free(thread->buffer);
        thread->buffer = larger;
        thread->buffer_size = bytes + PXI_HEAD_ROOM;
    }
    px_json_init(pxi_json(request), thread->buffer + PXI_HEAD_ROOM, thread->buffer_size - PXI_HEAD_ROOM);
    return true;
}

/* ---- assets ---- */

px_asset_id pxi_asset_find(const struct px_request *request, struct px_text text, struct px_symbol *symbolp)
{
    const struct px_symbols *directory = &request->rest->heritage->shm->directory;

    urcu_memb_read_lock(); /* the worker quiesces in the region's domain only after our own grace period */
    px_asset_id asset = px_symbols_find(directory, text);
    if (asset != PX_ASSET_NONE)
        *symbolp = *px_symbols_get(directory, asset);
    urcu_memb_read_unlock();
    return asset;
}

px_asset_id pxi_asset_of_path(struct px_request *request, struct px_symbol *symbolp)
{
    px_asset_id asset = pxi_asset_find(request, px_text_of(request->segment), symbolp);

    if (asset == PX_ASSET_NONE)
        px_problem_set(&request->problem, PX_PROBLEM_UNKNOWN_SYMBOL, "No asset has this name or alias");
    return asset;
}

/* ---- parameters ---- */

bool pxi_param_int(struct px_request *request, const char *name, int64_t least, int64_t most, int64_t *valuep)
{
    char pointer[40];

    if (px_query_int(&request->query, name, least, most, valuep) == 0)
        return true;
    snprintf(pointer, sizeof pointer, "?%s", name);
    px_problem_add(&request->problem, pointer, "must be an integer from %lld to %lld", (long long)least,
                   (long long)most);
    return false;
}

bool pxi_param_bool(struct px_request *request, const char *name, bool *valuep)
{
    char pointer[40];

    if (px_query_bool(&request->query, name, valuep) == 0)
        return true;
    snprintf(pointer, sizeof pointer, "?%s", name);
    px_problem_add(&request->problem, pointer, "must be true or false");
    return false;
}

bool pxi_param_time(struct px_request *request, const char *name, int64_t *nsp)
{
    struct px_text text;
    char pointer[40], copy[64];

    if (!px_query_get(&request->query, name, &text))
        return true;
    if (px_text_copy(copy, sizeof copy, text)) {
        char *blank = strrchr(copy, ' '); /* the plus of an offset that nobody escaped */
        if (blank)
            *blank = '+';
        if (px_time_parse(px_text_of(copy), nsp) == 0)
            return true;
    }
    snprintf(pointer, sizeof pointer, "?%s", name);
    px_problem_add(&request->problem, pointer, "must be RFC 3339 or an integer since the epoch in s, ms, us or ns");
    return false;
}

bool pxi_param_order(struct px_request *request, bool *descendingp)
{
    struct px_text text;

    if (!px_query_get(&request->query, "order", &text))
        return true;
    *descendingp = px_text_is(text, "desc");
    if (*descendingp || px_text_is(text, "asc"))
        return true;
    px_problem_add(&request->problem, "?order", "must be asc or desc");
    return false;
}

static bool param_cursor(struct px_request *request, struct px_cursor *cursorp)
{
    struct px_text text;
    uint64_t words[2];

    if (!px_query_get(&request->query, "cursor", &text))
        return true;
    if (pxi_cursor_read(text, words, 2) < 0) {
        px_problem_add(&request->problem, "?cursor", "is not one that an answer gave");
        return false;
    }
    *cursorp = (struct px_cursor){.set = true, .time_ns = (int64_t)words[0], .sequence = words[1]};
    return true;
}

bool pxi_param_range(struct px_request *request, struct px_range *rangep)
{
    int64_t limit = PXI_PAGE;

    *rangep = (struct px_range){.start_ns = PX_TIME_NONE, .end_ns = PX_TIME_NONE};
    bool good = pxi_param_time(request, "start", &rangep->start_ns);
    good &= pxi_param_time(request, "end", &rangep->end_ns);
    good &= pxi_param_int(request, "limit", 1, PXI_STREAM_ROWS_MAX, &limit);
    good &= pxi_param_order(request, &rangep->descending);
    good &= param_cursor(request, &rangep->cursor);
    rangep->limit = (uint32_t)limit;
    if (limit <= PX_PAGE_MAX || rangep->start_ns != PX_TIME_NONE || rangep->descending)
        return good;
    px_problem_add(&request->problem, "?start", "is needed where limit is above %d, or order=desc", PX_PAGE_MAX);
    return false;
}

/* ---- validators ---- */

bool pxi_etag_listed(const char *header, const char *etag)
{
    struct px_text rest = px_text_of(header), piece;

    while (px_list_next(&rest, &piece)) {
        while (piece.len > 0 && (piece.at[0] == ' ' || piece.at[0] == '\t'))
            piece.at++, piece.len--;
        while (piece.len > 0 && (piece.at[piece.len - 1] == ' ' || piece.at[piece.len - 1] == '\t'))
            piece.len--;
        if (piece.len > 2 && memcmp(piece.at, "W/", 2) == 0)
            piece.at += 2, piece.len -= 2;
        if (px_text_is(piece, "*") || px_text_is(piece, etag))
            return true;
    }
    return false;
}

bool pxi_not_modified(struct px_request *request, const char *etag)
{
    const char *known = request->exchange->header(request->exchange->ctx, "If-None-Match");

    if (etag != request->answer.etag)
        snprintf(request->answer.etag, sizeof request->answer.etag, "%s", etag);
    if (!known || !pxi_etag_listed(known, etag))
        return false;
    request->answer.status = 304;
    request->answer.empty = true;
    return true;
}

/* ---- cursors ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void pxi_cursor_write(const uint64_t *words, unsigned count, char text[PXI_CURSOR_SIZE])
{
    const unsigned char *bytes = (const unsigned char *)words;
    size_t n = count * sizeof *words, bits = n * 8, len = 0;

    for (size_t bit = 0; bit < bits; bit += 6, len++) {
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | (bit / 8 + 1 < n ? bytes[bit / 8 + 1] : 0);
        text[len] = letters[pair >> (10 - bit % 8) & 63];
    }
    text[len] = '\0';
}

int pxi_cursor_read(struct px_text text, uint64_t *words, unsigned count)
{
    unsigned char *bytes = (unsigned char *)words;
    size_t n = count * sizeof *words, done = 0;
    unsigned held = 0, held_bits = 0;

    if (text.len != (n * 8 + 5) / 6)
        return PX_E_FORMAT;
    for (size_t i = 0; i < text.len; i++) {
        const char *found = text.at[i] ? strchr(letters, text.at[i]) : NULL;
        if (!found)
            return PX_E_FORMAT;
        held = held << 6 | (unsigned)(found - letters);
        held_bits += 6;
        if (held_bits < 8)
            continue;
        held_bits -= 8;
        bytes[done++] = (unsigned char)(held >> held_bits);
        held &= (1u << held_bits) - 1;
    }
    return done == n && held == 0 ? 0 : PX_E_FORMAT;
}

/* "</path?a=b&cursor=…>; rel=next", or nothing when it would not fit: next_cursor says the same. */
void pxi_link_next(struct px_request *request, const char *cursor)
{
    struct px_text path = request->exchange->path;
    const struct px_query *query = &request->query;
    char *link = request->answer.link, name[64], value[256];
    size_t size = sizeof request->answer.link;
    int len = snprintf(link, size, "<%.*s?", (int)PX_MIN(path.len, size), path.at);

    for (unsigned i = 0; i < query->count && len > 0 && (size_t)len < size; i++) {
        if (px_text_is(query->list[i].name, "cursor"))
            continue;
        if (px_percent_encode(query->list[i].name, name, sizeof name) < 0 ||
            px_percent_encode(query->list[i].value, value, sizeof value) < 0)
            len = (int)size;
        else
            len += snprintf(link + len, size - (size_t)len, "%s=%s&", name, value);
    }
    if (len > 0 && (size_t)len < size)
        len += snprintf(link + len, size - (size_t)len, "cursor=%s>; rel=\"next\"", cursor);
    if (len < 0 || (size_t)len >= size)
        link[0] = '\0';
}

void pxi_write_next(struct px_request *request, const char *cursor)
{
    px_json_key(pxi_json(request), "next_cursor");
    if (!cursor) {
        px_json_null(pxi_json(request));
        return;
    }
    px_json_string(pxi_json(request), px_text_of(cursor));
    pxi_link_next(request, cursor);
}

void pxi_keeper_failed(struct px_request *request, int error)
{
    px_problem_of_error(&request->problem, error);
    if (request->problem.kind == PX_PROBLEM_NOT_READY)
        request->problem.retry_after_s = 1;
}

bool pxi_param_owner_cursor(struct px_request *request, struct px_alert_cursor *cursorp)
{
    struct px_text text;
    uint64_t words[PXI_CURSOR_WORDS];

    if (!px_query_get(&request->query, "cursor", &text))
        return true;
    if (pxi_cursor_read(text, words, PXI_CURSOR_WORDS) < 0 || memchr(words, '\0', PX_OWNER_SIZE) == NULL) {
        px_problem_add(&request->problem, "?cursor", "is not one that an answer gave");
        return false;
    }
    memcpy(cursorp->owner, words, sizeof cursorp->owner);
    cursorp->id = (struct px_alert_id){words[3], words[4]};
    return true;
}

void pxi_write_owner_next(struct px_request *request, const struct px_alert_cursor *next)
{
    uint64_t words[PXI_CURSOR_WORDS] = {0};
    char cursor[PXI_CURSOR_SIZE];

    if (next) {
        memcpy(words, next->owner, sizeof next->owner);
        words[3] = next->id.hi;
        words[4] = next->id.lo;
        pxi_cursor_write(words, PXI_CURSOR_WORDS, cursor);
    }
    pxi_write_next(request, next ? cursor : NULL);
}

bool pxi_idempotency_key(struct px_request *request, struct px_text *keyp)
{
    const char *key = request->exchange->header(request->exchange->ctx, "Idempotency-Key");

    *keyp = (struct px_text){key, key ? strlen(key) : 0};
    bool good = !key || (keyp->len > 0 && keyp->len <= PXI_KEY_LEN_MAX);
    for (size_t i = 0; i < keyp->len; i++)
        good &= key[i] > 0x20 && key[i] < 0x7f;
    if (!good)
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "An Idempotency-Key has 1 to %d visible characters",
                       PXI_KEY_LEN_MAX);
    return good;
}

bool pxi_name_by_key(struct px_request *request, const char *kind, const char *owner, struct px_alert_id *idp, bool *keyedp)
{
    char own[PXI_KEY_LEN_MAX + 24];
    struct px_text key;

    if (!pxi_idempotency_key(request, &key))
        return false;
    *keyedp = key.at != NULL;
    px_ulid_make(px_wall_now(), idp);
    if (key.at) {
        int len = snprintf(own, sizeof own, "%s %.*s", kind, (int)key.len, key.at);
        px_ulid_derive(owner, (struct px_text){own, (size_t)len}, idp);
    }
    return true;
}
