/* HTTP heads, read as strictly as the strictest reader behind us would. */
#include "net/http.h"
#include "base/error.h"

#include <strings.h>

/* Of what RFC 9110 calls a token: methods and header names. */
static bool is_token(struct px_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 127 || strchr("()<>@,;:\\\"/[]?={}", c) != NULL)
            return false;
    }
    return text.len > 0;
}

/* No control characters but tab; bytes above 127 may pass, as values only. */
static bool is_value(struct px_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    return true;
}

static bool is_target(struct px_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 127)
            return false;
    }
    return text.len > 0;
}

static struct px_text trim(struct px_text text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = (struct px_text){text.at + 1, text.len - 1};
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Cuts `text` at the first `mark`: the part before it goes to *beforep and text moves behind it. */
static bool cut(struct px_text *text, char mark, struct px_text *beforep)
{
    const char *at = text->len > 0 ? memchr(text->at, mark, text->len) : NULL;

    if (at == NULL)
        return false;
    *beforep = (struct px_text){text->at, (size_t)(at - text->at)};
    *text = (struct px_text){at + 1, text->len - beforep->len - 1};
    return true;
}

/*
 * The next line without its CRLF. PX_E_AGAIN when its end is not there yet. A CR without LF or a LF without CR is where
 * two readers would see different lines, so it is refused as soon as it is seen.
 */
static int next_line(struct px_text *rest, struct px_text *linep)
{
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->at[i] == '\n' || rest->at[i] == '\0')
            return PX_E_FORMAT;
        if (rest->at[i] != '\r')
            continue;
        if (i + 1 == rest->len)
            return PX_E_AGAIN;
        if (rest->at[i + 1] != '\n')
            return PX_E_FORMAT;
        *linep = (struct px_text){rest->at, i};
        *rest = (struct px_text){rest->at + i + 2, rest->len - i - 2};
        return 0;
    }
    return PX_E_AGAIN;
}

static int read_version(struct px_text text, int *minorp)
{
    if (text.len != 8 || memcmp(text.at, "HTTP/1.", 7) != 0 || (text.at[7] != '0' && text.at[7] != '1'))
        return PX_E_FORMAT;
    *minorp = text.at[7] - '0';
    return 0;
}

static int read_request_line(struct px_text line, struct px_http_head *head)
{
    struct px_text query;

    if (!cut(&line, ' ', &head->method) || !cut(&line, ' ', &head->target))
        return PX_E_FORMAT;
    if (!is_token(head->method) || !is_target(head->target) || read_version(line, &head->minor) != 0)
        return PX_E_FORMAT;
    query = head->target;
    if (cut(&query, '?', &head->path))
        head->query = query;
    else
        head->path = head->target;
    return 0;
}

static int read_status_line(struct px_text line, struct px_http_head *head)
{
    struct px_text version, code;

    if (!cut(&line, ' ', &version) || read_version(version, &head->minor) != 0)
        return PX_E_FORMAT;
    code = (struct px_text){line.at, PX_MIN(line.len, (size_t)3)};
    if (code.len != 3 || (line.len > 3 && line.at[3] != ' '))
        return PX_E_FORMAT;
    for (size_t i = 0; i < 3; i++) {
        if (code.at[i] < '0' || code.at[i] > '9')
            return PX_E_FORMAT;
        head->status = head->status * 10 + (code.at[i] - '0');
    }
    head->reason = line.len > 4 ? (struct px_text){line.at + 4, line.len - 4} : (struct px_text){line.at, 0};
    return head->status >= 100 && is_value(head->reason) ? 0 : PX_E_FORMAT;
}

static int read_length(struct px_text value, int64_t *lengthp)
{
    int64_t length = 0;

    if (value.len == 0 || value.len > 18)
        return PX_E_FORMAT;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return PX_E_FORMAT;
        length = length * 10 + (value.at[i] - '0');
    }
    *lengthp = length;
    return 0;
}

/* The headers that decide where the message ends. */
static int note_framing(const struct px_http_header *header, struct px_http_head *head)
{
    if (px_http_text_is(header->name, "content-length")) {
        if (head->content_length >= 0)
            return PX_E_FORMAT;
        return read_length(header->value, &head->content_length);
    }
    if (px_http_text_is(header->name, "transfer-encoding")) {
        if (head->chunked || !px_http_text_is(header->value, "chunked"))
            return PX_E_FORMAT;
        head->chunked = true;
    }
    return 0;
}

static int read_header(struct px_text line, struct px_http_head *head)
{
    struct px_http_header *header = &head->headers[head->header_count];

    if (head->header_count == PX_HTTP_HEADERS_MAX)
        return PX_E_TOO_LARGE;
    /* A folded line begins with a blank, which is_token refuses together with "Name : value". */
    if (!cut(&line, ':', &header->name) || !is_token(header->name) || !is_value(line))
        return PX_E_FORMAT;
    header->value = trim(line);
    head->header_count++;
    return note_framing(header, head);
}

static int read_headers(struct px_text *rest, struct px_http_head *head)
{
    struct px_text line;
    int error;

    for (;;) {
        error = next_line(rest, &line);
        if (error != 0)
            return error;
        if (line.len == 0)
            return head->chunked && head->content_length >= 0 ? PX_E_FORMAT : 0;
        error = read_header(line, head);
        if (error != 0)
            return error;
    }
}

static size_t count_headers(const struct px_http_head *head, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < head->header_count; i++)
        count += px_http_text_is(head->headers[i].name, name);
    return count;
}

static int parse(struct px_text bytes, int (*read_first)(struct px_text, struct px_http_head *),
                 struct px_http_head *head)
{
    struct px_text rest = {bytes.at, PX_MIN(bytes.len, (size_t)PX_HTTP_HEAD_MAX)};
    struct px_text line;
    int error;

    /* The headers are left as they are: the count says how many are valid, and clearing 2 KB a request is for nothing.
     */
    memset(head, 0, offsetof(struct px_http_head, headers));
    head->content_length = -1;
    error = next_line(&rest, &line);
    if (error == 0)
        error = read_first(line, head);
    if (error == 0)
        error = read_headers(&rest, head);
    if (error == PX_E_AGAIN && bytes.len >= PX_HTTP_HEAD_MAX)
        return PX_E_TOO_LARGE;
    return error != 0 ? error : (int)(rest.at - bytes.at);
}

/* public API */

int px_http_request_parse(struct px_text bytes, struct px_http_head *headp)
{
    int len = parse(bytes, read_request_line, headp);
    size_t hosts;

    if (len < 0)
        return len;
    hosts = count_headers(headp, "host");
    if (hosts > 1 || (hosts == 0 && headp->minor == 1) || (headp->chunked && headp->minor == 0))
        return PX_E_FORMAT;
    return len;
}

int px_http_response_parse(struct px_text bytes, struct px_http_head *headp)
{
    return parse(bytes, read_status_line, headp);
}

bool px_http_text_is(struct px_text text, const char *terminated)
{
    return strlen(terminated) == text.len && strncasecmp(text.at, terminated, text.len) == 0;
}

struct px_text px_http_header_find(const struct px_http_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (px_http_text_is(head->headers[i].name, name))
            return head->headers[i].value;
    return (struct px_text){NULL, 0};
}

bool px_http_header_has(const struct px_http_head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->header_count; i++) {
        struct px_text list = head->headers[i].value;
        struct px_text item;

        if (!px_http_text_is(head->headers[i].name, name))
            continue;
        while (cut(&list, ',', &item))
            if (px_http_text_is(trim(item), token))
                return true;
        if (px_http_text_is(trim(list), token))
            return true;
    }
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int px_http_decode(struct px_text text, bool form, char *value, size_t size, size_t *lenp)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.at[i];

        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return PX_E_FORMAT;
            c = high * 16 + low;
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if (c == 0)
            return PX_E_FORMAT;
        if (len + 1 >= size)
            return PX_E_TOO_LARGE;
        value[len++] = (char)c;
    }
    if (size == 0)
        return PX_E_TOO_LARGE;
    value[len] = '\0';
    if (lenp != NULL)
        *lenp = len;
    return 0;
}

int px_http_query_find(struct px_text query, const char *key, char *value, size_t size, size_t *lenp)
{
    struct px_text pair, name;

    while (query.len > 0) {
        if (!cut(&query, '&', &pair)) {
            pair = query;
            query.len = 0;
        }
        if (!cut(&pair, '=', &name)) {
            name = pair;
            pair = (struct px_text){pair.at + pair.len, 0};
        }
        if (!px_text_is(name, key))
            continue;
        if (value == NULL && size == 0)
            return 0;
        return px_http_decode(pair, true, value, size, lenp);
    }
    return PX_E_NOT_FOUND;
}
