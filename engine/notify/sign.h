/* Signatures of Standard Webhooks 1.0, and base64. Pure; any process. */
#pragma once

#include "base/types.h"

/* Room for two signatures and the blank between them. */
#define PX_SIGNATURE_SIZE 104

/* Bytes of the secret "whsec_<base64>", at most `size`. PX_E_FORMAT. */
int px_secret_read(const char *text, uint8_t *to, size_t size, size_t *lenp);

/* Appends "v1,<base64 of HMAC-SHA256 over id.timestamp.body>" to `to`, after a blank if there is something. PX_E_FORMAT, PX_E_TOO_LARGE. */
int px_webhook_sign(const char *secret, const char *id, int64_t timestamp_s, struct px_text body, char to[PX_SIGNATURE_SIZE]);

/* URL-safe base64 without padding, terminated; returns its length. `to` has room for 4 characters for each 3 bytes, and 1. */
size_t px_base64url(const uint8_t *bytes, size_t n, char *to);
int px_base64url_read(const char *text, uint8_t *to, size_t size, size_t *lenp); /* PX_E_FORMAT */
