/* One connection to the engine, kept from call to call. */
#include <curl/curl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "tools/pxctl/pxctl_private.h"

#define PATIENCE_S 60

static size_t take_body(char *at, size_t one, size_t n, void *context)
{
    struct pxi_reply *reply = context;
    char *larger = realloc(reply->body, reply->len + n + 1);

    if (!larger)
        return 0;
    memcpy(larger + reply->len, at, n);
    reply->body = larger;
    reply->len += n;
    larger[reply->len] = '\0';
    return one * n;
}

/* </path?…>; rel="next" */
static size_t take_header(char *at, size_t one, size_t n, void *context)
{
    struct pxi_reply *reply = context;
    char line[1200];

    snprintf(line, sizeof line, "%.*s", (int)n, at);
    if (strncasecmp(line, "Link:", 5) == 0 && strstr(line, "rel=\"next\"")) {
        const char *from = strchr(line, '<'), *to = from ? strchr(from, '>') : NULL;

        if (to)
            snprintf(reply->next, sizeof reply->next, "%.*s", (int)(to - from - 1), from + 1);
    }
    if (strncasecmp(line, "Retry-After:", 12) == 0)
        reply->retry_after_s = (unsigned)strtoul(line + 12, NULL, 10);
    return one * n;
}

void pxi_reply_free(struct pxi_reply *reply)
{
    free(reply->body);
    memset(reply, 0, sizeof *reply);
}

/* What is sent is JSON, or a table that is imported. */
static struct curl_slist *headers_of(const struct pxi_call *call, const char *accept, const char *body)
{
    char line[300];
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

    snprintf(line, sizeof line, "Accept: %s", accept);
    headers = curl_slist_append(headers, line);
    if (body && *body)
        headers = curl_slist_append(headers, *body == '{' ? "Content-Type: application/json" : "Content-Type: text/csv");
    if (call->key && *call->key) {
        snprintf(line, sizeof line, "X-API-Key: %s", call->key);
        headers = curl_slist_append(headers, line);
    }
    return headers;
}

static CURLcode ask_once(CURL *curl, const struct pxi_call *call, const char *method, const char *path, const char *accept,
                         const char *body, size_t body_len, struct pxi_reply *reply)
{
    char url[2048];
    struct curl_slist *headers = headers_of(call, accept, body);
    size_t len = strlen(call->url);

    snprintf(url, sizeof url, "%.*s%s", (int)(len > 0 && call->url[len - 1] == '/' ? len - 1 : len), call->url, path);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
    } else if (strcmp(method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
    curl_slist_free_all(headers);
    return code;
}

int pxi_ask(const struct pxi_call *call, const char *method, const char *path, const char *accept, const char *body,
            size_t body_len, struct pxi_reply *reply)
{
    static CURL *curl; /* lives as long as the program: the connection is kept */

    if (!curl)
        curl = curl_easy_init();
    PX_CHECK(curl);
    for (unsigned waited = 0;;) {
        memset(reply, 0, sizeof *reply);
        CURLcode code = ask_once(curl, call, method, path, accept, body, body_len, reply);

        if (code != CURLE_OK)
            return pxi_complain("%s cannot be asked: %s. Is the engine running there? Another address: --url URL or $PXCTL_URL",
                                call->url, curl_easy_strerror(code));
        if ((reply->status != 503 && reply->status != 429) || waited >= PATIENCE_S || strcmp(path, "/readyz") == 0)
            return PXI_OK;
        unsigned pause = PX_MAX(reply->retry_after_s, 1u);
        pxi_reply_free(reply);
        sleep(pause);
        waited += pause;
    }
}

static const char *advice(const struct pxi_call *call, long status)
{
    if (status == 401)
        return call->key && *call->key ? "; is the key of this engine?" : "; give a key with --key or $PXCTL_KEY";
    if (status == 403)
        return "; make a key with it: pxengine key add --data DIR --scopes admin";
    if (status == 404 && strcmp(call->command->name, "alert") == 0)
        return "; `pxctl alert list` tells those that there are";
    if (status == 404)
        return "; the symbols that there are: curl URL/api/v1/assets";
    return "";
}

int pxi_refused(const struct pxi_call *call, const struct pxi_reply *reply)
{
    json_t *root = json_loadb(reply->body ? reply->body : "", reply->len, 0, NULL), *error;
    const char *detail = json_string_value(json_object_get(root, "detail"));
    size_t i;

    if (!detail || !*detail)
        detail = json_string_value(json_object_get(root, "title"));
    pxi_complain("%s (HTTP %ld)%s", detail ? detail : "the answer is none of pxengine's", reply->status,
                 advice(call, reply->status));
    json_array_foreach(json_object_get(root, "errors"), i, error) {
        const char *pointer = json_string_value(json_object_get(error, "pointer"));

        pxi_complain("%s %s", pointer && *pointer == '?' ? pointer + 1 : pointer,
                     json_string_value(json_object_get(error, "detail")));
    }
    json_decref(root);
    return PXI_FAILED;
}

static size_t encode(char *to, size_t size, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,:";
    size_t len = 0;

    for (; *text && len + 4 < size; text++)
        len += (size_t)(strchr(plain, *text) ? snprintf(to + len, size - len, "%c", *text)
                                             : snprintf(to + len, size - len, "%%%02X", (unsigned char)*text));
    to[len] = '\0';
    return len;
}

void pxi_path(char *to, size_t size, const char *base, const char *segment, ...)
{
    size_t len = (size_t)snprintf(to, size, "%s", base);
    char separator = '?';
    va_list args;

    len += encode(to + len, size - len, segment);
    va_start(args, segment);
    for (const char *name; (name = va_arg(args, const char *));) {
        const char *value = va_arg(args, const char *);

        if (!value || len + 40 > size)
            continue;
        len += (size_t)snprintf(to + len, size - len, "%c%s=", separator, name);
        len += encode(to + len, size - len, value);
        separator = '&';
    }
    va_end(args);
}
