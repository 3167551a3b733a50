/* Web Push: a message encrypted for one browser (RFC 8291, RFC 8188: aes128gcm in one record). Pure; any process. */
#pragma once

#include "base/types.h"

#define PX_PUSH_OVERHEAD 103  /* salt, record size, key, padding mark, tag */
#define PX_PUSH_MAX      3993 /* bytes of text that push services must take */

struct px_push_keys {
    const char *p256dh, *auth; /* the browser's, base64url */
    /* For test vectors; NULL: chance. 16 bytes, and a 32-byte private key. */
    const uint8_t *salt, *secret;
};

/* Encrypts `text` into `to` (text.len + PX_PUSH_OVERHEAD bytes). PX_E_FORMAT for keys that are none, PX_E_TOO_LARGE, PX_E_SYSTEM. */
int px_push_encrypt(const struct px_push_keys *keys, struct px_text text, uint8_t *to, size_t size, size_t *lenp);
