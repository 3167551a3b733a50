/*
 * API keys. A key is the text px_<id>_<secret>: the id (8 of a-z 0-9) names its owner and is no secret, the secret is
 * 32 random bytes in base64url (43 characters). <data>/keys holds one line a key, "<id> <hex SHA-256 of the secret>
 * <scope,scope>", so that a stolen file opens nothing; the secret has 256 bits, so a plain hash is enough.
 */
#pragma once

#include "base/types.h"

#define PX_KEY_ID_LEN     8
#define PX_KEY_SECRET_LEN 43
#define PX_KEY_TEXT_SIZE  (3 + PX_KEY_ID_LEN + 1 + PX_KEY_SECRET_LEN + 1) /* with its terminator */
#define PX_KEY_DIGEST_LEN 64
#define PX_KEYS_MAX       1024

/* bit, name */
#define PX_SCOPE_TABLE(X)                                                                                              \
    X(PRICES_READ, 1, "prices:read")                                                                                   \
    X(ALERTS_WRITE, 2, "alerts:write")                                                                                 \
    X(ADMIN, 4, "admin")

enum px_scope {
#define PX_SCOPE_ENUM(name, bit, text) PX_SCOPE_##name = (bit),
    PX_SCOPE_TABLE(PX_SCOPE_ENUM)
#undef PX_SCOPE_ENUM
};

struct px_key {
    char id[PX_KEY_ID_LEN + 1];
    char digest[PX_KEY_DIGEST_LEN + 1];
    uint32_t scopes; /* of enum px_scope */
};

struct px_keys {
    uint32_t count;
    struct px_key list[PX_KEYS_MAX];
};

/* "prices:read,admin" into bits. PX_E_FORMAT on an unknown or empty name. */
int px_scopes_parse(struct px_text text, uint32_t *scopesp);

/*
 * Makes a key that may do `scopes` ("prices:read,alerts:write"), writes its line to <data>/keys (mode 0600, by a file
 * beside it, fsync and rename, under a lock on the directory), and gives its text, which is not kept anywhere. `id` NULL: a
 * new owner; else that owner's key gets a new secret and the old one is void at once. Creates the directory when missing.
 * PX_E_INVALID for an unknown scope or an id that is none, PX_E_FULL at PX_KEYS_MAX keys, PX_E_IO, PX_E_SYSTEM
 * (errno tells), PX_E_FORMAT when the file there is not a key file. Blocks on the disk; for tools.
 */
int px_key_create(const char *data, const char *id, const char *scopes, char text[PX_KEY_TEXT_SIZE]);

/*
 * Reads <data>/keys into `keys`; no such file is an empty table. PX_E_FORMAT with nothing loaded when one line is not a
 * key: half a table would lock owners out without a word. PX_E_FULL, PX_E_IO. Blocks on the disk. Any process, at its
 * start.
 */
int px_keys_load(const char *data, struct px_keys *keys);

/*
 * Whose key is it? Compares in constant time, for ids that are unknown as well. PX_E_FORBIDDEN when it is nobody's. The
 * key stays the table's. Neither blocks nor allocates on its own; any thread, while nobody loads.
 */
int px_keys_verify(const struct px_keys *keys, struct px_text text, const struct px_key **keyp);
