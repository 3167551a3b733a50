/*
 * RFC 8291 over RFC 8188, and VAPID (RFC 8292).
 *
 *   shared   = ECDH(our key of one use, the browser's key)
 *   ikm      = HKDF(salt = auth,  key = shared, info = "WebPush: info\0" browser's key, our key;  32)
 *   key      = HKDF(salt = salt,  key = ikm,    info = "Content-Encoding: aes128gcm\0";          16)
 *   nonce    = HKDF(salt = salt,  key = ikm,    info = "Content-Encoding: nonce\0";              12)
 *   message  = salt (16) | record size (4) | 65 | our key (65) | AES-128-GCM(text | 2)
 */
#include "engine/notify/push.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/notify/notify_private.h"
#include "engine/notify/sign.h"

#define POINT  65 /* 4, x, y */
#define RECORD 4096
#define HEAD   (16 + 4 + 1 + POINT)

/* ---- keys ---- */

/* From a public point, and a private number if there is one. */
static EVP_PKEY *key_of(const uint8_t *point, const uint8_t *secret)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *number = secret ? BN_bin2bn(secret, 32, NULL) : NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    if (build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, POINT) &&
        (!number || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number)))
        params = OSSL_PARAM_BLD_to_param(build);
    if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1)
        EVP_PKEY_fromdata(ctx, &key, number ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(number);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* The public point that belongs to a private number. */
static bool point_of(const uint8_t secret[32], uint8_t point[POINT])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *made = group ? EC_POINT_new(group) : NULL;
    BIGNUM *number = BN_bin2bn(secret, 32, NULL);
    bool good = made && number && EC_POINT_mul(group, made, number, NULL, NULL, NULL) &&
                EC_POINT_point2oct(group, made, POINT_CONVERSION_UNCOMPRESSED, point, POINT, NULL) == POINT;

    BN_clear_free(number);
    EC_POINT_free(made);
    EC_GROUP_free(group);
    return good;
}

static bool public_point(EVP_PKEY *key, uint8_t point[POINT])
{
    size_t len = 0;

    return EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, POINT, &len) == 1 && len == POINT;
}

/* Our key of one use. */
static EVP_PKEY *ephemeral(const uint8_t *secret, uint8_t point[POINT])
{
    EVP_PKEY *key = NULL;

    if (secret)
        return point_of(secret, point) ? key_of(point, secret) : NULL;
    key = EVP_EC_gen("prime256v1");
    if (key && !public_point(key, point)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static bool shared_secret(EVP_PKEY *ours, EVP_PKEY *theirs, uint8_t shared[32])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ours, NULL);
    size_t len = 32;
    bool good = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
                EVP_PKEY_derive(ctx, shared, &len) == 1 && len == 32;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static bool hkdf(struct px_text salt, struct px_text key, struct px_text info, uint8_t *to, size_t n)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.at, salt.len),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key.at, key.len),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.at, info.len),
                           OSSL_PARAM_construct_end()};
    bool good = ctx && EVP_KDF_derive(ctx, to, n, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good;
}

/* ---- the message ---- */

#define BYTES(array, n) ((struct px_text){(const char *)(array), (n)})

/* The text and the mark of the last record, encrypted, with the tag behind. */
static bool seal(const uint8_t key[16], const uint8_t nonce[12], struct px_text text, uint8_t *to)
{
    static const uint8_t last = 2;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0, m = 0, end = 0;
    bool good = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce) == 1 &&
                EVP_EncryptUpdate(ctx, to, &n, (const uint8_t *)text.at, (int)text.len) == 1 &&
                EVP_EncryptUpdate(ctx, to + n, &m, &last, 1) == 1 && EVP_EncryptFinal_ex(ctx, to + n + m, &end) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, to + text.len + 1) == 1;

    EVP_CIPHER_CTX_free(ctx);
    return good;
}

struct message {
    uint8_t theirs[POINT], ours[POINT], auth[16], salt[16], shared[32];
};

static bool encrypt(const struct message *m, struct px_text text, uint8_t *to)
{
    uint8_t info[14 + 2 * POINT], ikm[32], key[16], nonce[12];

    memcpy(info, "WebPush: info", 14);
    memcpy(info + 14, m->theirs, POINT);
    memcpy(info + 14 + POINT, m->ours, POINT);
    return hkdf(BYTES(m->auth, 16), BYTES(m->shared, 32), BYTES(info, sizeof info), ikm, sizeof ikm) &&
           hkdf(BYTES(m->salt, 16), BYTES(ikm, 32), BYTES("Content-Encoding: aes128gcm", 28), key, sizeof key) &&
           hkdf(BYTES(m->salt, 16), BYTES(ikm, 32), BYTES("Content-Encoding: nonce", 24), nonce, sizeof nonce) &&
           seal(key, nonce, text, to);
}

static int make_keys(const struct px_push_keys *keys, struct message *m)
{
    size_t theirs, auth;

    if (px_base64url_read(keys->p256dh, m->theirs, POINT, &theirs) || theirs != POINT ||
        px_base64url_read(keys->auth, m->auth, 16, &auth) || auth != 16)
        return PX_E_FORMAT;
    if (keys->salt)
        memcpy(m->salt, keys->salt, 16);
    else if (RAND_bytes(m->salt, 16) != 1)
        return PX_E_SYSTEM;
    EVP_PKEY *peer = key_of(m->theirs, NULL);
    EVP_PKEY *own = peer ? ephemeral(keys->secret, m->ours) : NULL;
    int result = !peer ? PX_E_FORMAT : own && shared_secret(own, peer, m->shared) ? 0 : PX_E_SYSTEM;
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return result;
}

int px_push_encrypt(const struct px_push_keys *keys, struct px_text text, uint8_t *to, size_t size, size_t *lenp)
{
    static const uint8_t record[4] = {0, 0, RECORD >> 8, RECORD & 0xff};
    struct message m;

    if (text.len > PX_PUSH_MAX || size < text.len + PX_PUSH_OVERHEAD)
        return PX_E_TOO_LARGE;
    int error = make_keys(keys, &m);
    if (error)
        return error;
    memcpy(to, m.salt, 16);
    memcpy(to + 16, record, 4);
    to[20] = POINT;
    memcpy(to + 21, m.ours, POINT);
    *lenp = HEAD + text.len + 1 + 16;
    return encrypt(&m, text, to + HEAD) ? 0 : PX_E_SYSTEM;
}

/* ---- VAPID: who we are ---- */

static EVP_PKEY *read_or_make_key(const char *path)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : EVP_EC_gen("prime256v1");

    if (file) {
        fclose(file);
        return key;
    }
    int fd = key ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool good = file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fflush(file) == 0 && fsync(fd) == 0;
    if (file)
        fclose(file);
    if (good)
        return key;
    unlink(path);
    EVP_PKEY_free(key);
    return NULL;
}

static bool tell_public_key(const char *data, const char *text)
{
    char path[320], beside[330];

    snprintf(path, sizeof path, "%s/vapid.pub", data);
    snprintf(beside, sizeof beside, "%s.new", path);
    FILE *file = fopen(beside, "we");
    bool good = file && fprintf(file, "%s\n", text) > 0;

    if (file)
        good &= fclose(file) == 0;
    return good && rename(beside, path) == 0;
}

void pxi_vapid_close(struct pxi_vapid *vapid)
{
    EVP_PKEY_free(vapid->key);
    vapid->key = NULL;
}

int pxi_vapid_open(const char *data, struct pxi_vapid *vapid)
{
    char path[320];
    uint8_t point[POINT];

    snprintf(path, sizeof path, "%s/vapid.pem", data);
    EVP_PKEY *key = read_or_make_key(path);
    if (!key || !public_point(key, point)) {
        px_log(PX_LOG_ERROR, "vapid_key_unusable path=%s", path);
        EVP_PKEY_free(key);
        return PX_E_IO;
    }
    px_base64url(point, sizeof point, vapid->public_key);
    vapid->key = key;
    if (tell_public_key(data, vapid->public_key))
        return 0;
    pxi_vapid_close(vapid);
    return PX_E_IO;
}

/* ES256 wants r and s side by side, 32 bytes each; OpenSSL gives them in DER. */
static bool sign(EVP_PKEY *key, const char *text, uint8_t signature[64])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[80];
    const uint8_t *at = der;
    size_t len = sizeof der;
    bool good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(ctx, der, &len, (const uint8_t *)text, strlen(text)) == 1;
    ECDSA_SIG *pair = good ? d2i_ECDSA_SIG(NULL, &at, (long)len) : NULL;

    good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32) == 32 &&
           BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32) == 32;
    ECDSA_SIG_free(pair);
    EVP_MD_CTX_free(ctx);
    return good;
}

int pxi_vapid_header(const struct pxi_vapid *vapid, const char *subject, const char *endpoint, int64_t now_s, char *to,
                     size_t size)
{
    const char *host = strstr(endpoint, "://");
    int origin = host ? (int)(host + 3 - endpoint + (ptrdiff_t)strcspn(host + 3, "/?#")) : 0;
    char claims[400], token[620], text[96];
    uint8_t signature[64];

    int n = snprintf(claims, sizeof claims, "{\"aud\":\"%.*s\",\"exp\":%lld,\"sub\":\"%s\"}", origin, endpoint,
                     (long long)now_s + 12 * 3600, subject);
    if (origin == 0 || n < 0 || (size_t)n >= sizeof claims)
        return PX_E_TOO_LARGE;
    size_t len = px_base64url((const uint8_t *)"{\"typ\":\"JWT\",\"alg\":\"ES256\"}", 27, token);
    token[len++] = '.';
    px_base64url((const uint8_t *)claims, (size_t)n, token + len);
    if (!sign(vapid->key, token, signature))
        return PX_E_SYSTEM;
    px_base64url(signature, sizeof signature, text);
    n = snprintf(to, size, "Authorization: vapid t=%s.%s, k=%s", token, text, vapid->public_key);
    return n < 0 || (size_t)n >= size ? PX_E_TOO_LARGE : 0;
}
