/* ULIDs by chance or by hash. */
#include "web/ulid.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/clock.h"

void px_ulid_make(int64_t wall_ns, struct px_alert_id *idp)
{
    uint64_t chance[2];

    PX_CHECK(RAND_bytes((unsigned char *)chance, sizeof chance) == 1);
    idp->hi = (uint64_t)(wall_ns / PX_NS_PER_MS) << 16 | (chance[0] & 0xffff);
    idp->lo = chance[1];
}

void px_ulid_derive(const char *owner, struct px_text key, struct px_alert_id *idp)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *sha = EVP_MD_CTX_new();

    PX_CHECK(sha && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1);
    EVP_DigestUpdate(sha, "pxengine alert", 15);
    EVP_DigestUpdate(sha, owner, strlen(owner) + 1);
    EVP_DigestUpdate(sha, key.at, key.len);
    PX_CHECK(EVP_DigestFinal_ex(sha, hash, NULL) == 1);
    EVP_MD_CTX_free(sha);
    memcpy(&idp->hi, hash, 8);
    memcpy(&idp->lo, hash + 8, 8);
}
