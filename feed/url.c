#include "feed/url.h"

#include <ctype.h>
#include <stdio.h>

static bool take(struct px_text *text, const char *prefix)
{
    size_t len = strlen(prefix);

    if (text->len < len || memcmp(text->at, prefix, len) != 0)
        return false;
    text->at += len;
    text->len -= len;
    return true;
}

static bool printable(struct px_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isgraph((unsigned char)text.at[i]) || text.at[i] == '#')
            return false;
    }
    return true;
}

static struct px_text until(struct px_text *text, const char *stops)
{
    struct px_text head = {text->at, 0};

    while (head.len < text->len && !strchr(stops, text->at[head.len]))
        head.len++;
    text->at += head.len;
    text->len -= head.len;
    return head;
}

/* ":8080" or nothing. */
static int read_port(struct px_text text, uint16_t usual, uint16_t *portp)
{
    uint32_t port = 0;

    *portp = usual;
    if (text.len == 0)
        return 0;
    if (text.len < 2 || text.len > 6 || text.at[0] != ':')
        return PX_E_FORMAT;
    for (size_t i = 1; i < text.len; i++) {
        if (!isdigit((unsigned char)text.at[i]))
            return PX_E_FORMAT;
        port = port * 10 + (uint32_t)(text.at[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX)
        return PX_E_FORMAT;
    *portp = (uint16_t)port;
    return 0;
}

static int read_host(struct px_text authority, struct px_url *url)
{
    struct px_text rest = authority, host;
    uint16_t usual = url->tls ? 443 : 80;
    bool bracket = take(&rest, "[");

    host = until(&rest, bracket ? "]" : ":@");
    if (bracket && !take(&rest, "]"))
        return PX_E_FORMAT;
    if (host.len == 0 || !px_text_copy(url->host, sizeof url->host, host) || read_port(rest, usual, &url->port))
        return PX_E_FORMAT;
    if (url->port == usual)
        authority.len -= rest.len;
    return px_text_copy(url->authority, sizeof url->authority, authority) ? 0 : PX_E_FORMAT;
}

int px_url_parse(struct px_text text, struct px_url *urlp)
{
    struct px_url url = {0};
    struct px_text authority;

    url.tls = take(&text, "wss://");
    if ((!url.tls && !take(&text, "ws://")) || !printable(text))
        return PX_E_FORMAT;
    authority = until(&text, "/?");
    if (read_host(authority, &url) || (text.len && text.at[0] != '/'))
        return PX_E_FORMAT;
    url.path = text;
    *urlp = url;
    return 0;
}
