#include "engine/notify/sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

static int digit(char c, const char *last_two)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == last_two[0] ? 62 : c == last_two[1] ? 63 : -1;
}

static int read_base64(const char *text, const char *last_two, uint8_t *to, size_t size, size_t *lenp)
{
    size_t chars = strlen(text), n = 0;
    uint32_t bits = 0;
    unsigned have = 0;

    while (chars > 0 && text[chars - 1] == '=')
        chars--;
    if (chars % 4 == 1)
        return PX_E_FORMAT;
    for (size_t i = 0; i < chars; i++) {
        int value = digit(text[i], last_two);

        if (value < 0)
            return PX_E_FORMAT;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (n == size)
            return PX_E_FORMAT;
        to[n++] = (uint8_t)(bits >> have);
    }
    *lenp = n;
    return 0;
}

int px_secret_read(const char *text, uint8_t *to, size_t size, size_t *lenp)
{
    return strncmp(text, "whsec_", 6) != 0 ? PX_E_FORMAT : read_base64(text + 6, "+/", to, size, lenp);
}

int px_base64url_read(const char *text, uint8_t *to, size_t size, size_t *lenp)
{
    return read_base64(text, "-_", to, size, lenp);
}

size_t px_base64url(const uint8_t *bytes, size_t n, char *to)
{
    size_t len = (size_t)EVP_EncodeBlock((unsigned char *)to, bytes, (int)n);

    while (len > 0 && to[len - 1] == '=')
        len--;
    to[len] = '\0';
    for (size_t i = 0; i < len; i++)
        to[i] = to[i] == '+' ? '-' : to[i] == '/' ? '_' : to[i];
    return len;
}

/* HMAC over three texts with points between them, without putting them together first. */
static int digest_of(const uint8_t *key, size_t key_len, const char *head, struct px_text body, uint8_t digest[32])
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", sha256, 0), OSSL_PARAM_construct_end()};
    size_t len = 0;
    bool good = ctx && EVP_MAC_init(ctx, key, key_len, params) &&
                EVP_MAC_update(ctx, (const uint8_t *)head, strlen(head)) &&
                EVP_MAC_update(ctx, (const uint8_t *)body.at, body.len) && EVP_MAC_final(ctx, digest, &len, 32) && len == 32;

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return good ? 0 : PX_E_SYSTEM;
}

int px_webhook_sign(const char *secret, const char *id, int64_t timestamp_s, struct px_text body, char to[PX_SIGNATURE_SIZE])
{
    uint8_t key[64], digest[32];
    char head[128];
    size_t key_len, len = strlen(to);
    int error = px_secret_read(secret, key, sizeof key, &key_len);

    if (error)
        return error;
    if (len + 1 + 3 + 44 + 1 > PX_SIGNATURE_SIZE)
        return PX_E_TOO_LARGE;
    int n = snprintf(head, sizeof head, "%s.%lld.", id, (long long)timestamp_s);
    if (n < 0 || (size_t)n >= sizeof head)
        return PX_E_TOO_LARGE;
    error = digest_of(key, key_len, head, body, digest);
    if (error)
        return error;
    len += (size_t)snprintf(to + len, PX_SIGNATURE_SIZE - len, "%sv1,", len > 0 ? " " : "");
    EVP_EncodeBlock((unsigned char *)to + len, digest, sizeof digest);
    return 0;
}
