/* The dashboard's files, compiled into the binary: the engine needs no web root and can never serve a page of another version.
 *
 * Everything here is constant data fixed at build time. Any process, any thread; nothing blocks, nothing allocates,
 * nothing is to be freed.
 */
#pragma once

#include <stddef.h>

struct px_static_file {
    const char *path;          /* as in the request line, from the leading slash: "/app.css" */
    const char *type;          /* the Content-Type, with its charset */
    const char *etag;          /* strong, quotes included: the SHA-256 of `bytes` */
    const unsigned char *bytes;
    size_t len;
    const unsigned char *gzip; /* the same file for `Accept-Encoding: gzip`; never NULL */
    size_t gzip_len;
    const char *gzip_etag;     /* of the gzip form: a strong validator belongs to one encoding, so send `Vary: Accept-Encoding` too */
};

/* Finds the file served at `path` ("/" is the first page), or NULL. The query string must be cut off before; no decoding is done,
 * and since the answer comes out of a table, "..", "//" and the like simply match nothing. */
const struct px_static_file *px_static_find(const char *path);

/* All files, for tests and for a listing; *countp receives their number. */
const struct px_static_file *px_static_all(size_t *countp);
