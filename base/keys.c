/* API keys: a small text file that is replaced whole. */
#include "base/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define SECRET_BYTES 32
#define FILE_NAME    "keys"
#define TEMP_NAME    "keys.new" /* under the directory's lock there is one at most */

static const struct {
    uint32_t bit;
    const char *name;
} scope_rows[] = {
#define SCOPE_ROW(name, bit, text) {bit, text},
    PX_SCOPE_TABLE(SCOPE_ROW)
#undef SCOPE_ROW
};

static uint32_t scope_of(struct px_text name)
{
    for (size_t i = 0; i < PX_COUNT_OF(scope_rows); i++)
        if (px_text_is(name, scope_rows[i].name))
            return scope_rows[i].bit;
    return 0;
}

int px_scopes_parse(struct px_text text, uint32_t *scopesp)
{
    uint32_t scopes = 0;
    for (size_t start = 0, at = 0; at <= text.len; at++) {
        if (at < text.len && text.at[at] != ',')
            continue;
        uint32_t scope = scope_of((struct px_text){text.at + start, at - start});
        if (scope == 0)
            return PX_E_FORMAT;
        scopes |= scope;
        start = at + 1;
    }
    *scopesp = scopes;
    return 0;
}

static void scopes_write(FILE *to, uint32_t scopes)
{
    const char *comma = "";
    for (size_t i = 0; i < PX_COUNT_OF(scope_rows); i++)
        if (scopes & scope_rows[i].bit) {
            fprintf(to, "%s%s", comma, scope_rows[i].name);
            comma = ",";
        }
}

/* Hex SHA-256, terminated. */
static void digest_of(struct px_text secret, char digest[PX_KEY_DIGEST_LEN + 1])
{
    unsigned char hash[PX_KEY_DIGEST_LEN / 2];
    PX_CHECK(EVP_Digest(secret.at, secret.len, hash, NULL, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i < sizeof hash; i++) {
        digest[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        digest[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    digest[PX_KEY_DIGEST_LEN] = '\0';
}

static bool is_id(struct px_text text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!(text.at[i] >= 'a' && text.at[i] <= 'z') && !(text.at[i] >= '0' && text.at[i] <= '9'))
            return false;
    return text.len == PX_KEY_ID_LEN;
}

static const struct px_key *find(const struct px_keys *keys, struct px_text id)
{
    for (uint32_t i = 0; i < keys->count; i++)
        if (px_text_is(id, keys->list[i].id))
            return &keys->list[i];
    return NULL;
}

int px_keys_verify(const struct px_keys *keys, struct px_text text, const struct px_key **keyp)
{
    if (text.len != PX_KEY_TEXT_SIZE - 1 || memcmp(text.at, "px_", 3) != 0 || text.at[3 + PX_KEY_ID_LEN] != '_')
        return PX_E_FORBIDDEN;
    struct px_text id = {text.at + 3, PX_KEY_ID_LEN};
    struct px_text secret = {text.at + 3 + PX_KEY_ID_LEN + 1, PX_KEY_SECRET_LEN};
    char digest[PX_KEY_DIGEST_LEN + 1];
    digest_of(secret, digest);

    static const struct px_key nobody = {.digest = "----------------------------------------------------------------"};
    const struct px_key *key = find(keys, id);
    const struct px_key *against = key ? key : &nobody;
    if (CRYPTO_memcmp(digest, against->digest, PX_KEY_DIGEST_LEN) != 0)
        return PX_E_FORBIDDEN;
    *keyp = against;
    return 0;
}

/* Takes the next word of a line. */
static struct px_text take_word(struct px_text *line)
{
    struct px_text word = {line->at, 0};
    while (word.len < line->len && word.at[word.len] != ' ')
        word.len++;
    size_t used = PX_MIN(word.len + 1, line->len);
    line->at += used;
    line->len -= used;
    return word;
}

static bool is_digest(struct px_text text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!(text.at[i] >= '0' && text.at[i] <= '9') && !(text.at[i] >= 'a' && text.at[i] <= 'f'))
            return false;
    return text.len == PX_KEY_DIGEST_LEN;
}

static int add_line(struct px_keys *keys, struct px_text line)
{
    if (line.len == 0 || line.at[0] == '#')
        return 0;
    struct px_text id = take_word(&line), digest = take_word(&line), scopes = take_word(&line);
    struct px_key key;
    if (!is_id(id) || !is_digest(digest) || line.len > 0 || px_scopes_parse(scopes, &key.scopes) || find(keys, id))
        return PX_E_FORMAT;
    if (keys->count == PX_KEYS_MAX)
        return PX_E_FULL;
    px_text_copy(key.id, sizeof key.id, id);
    px_text_copy(key.digest, sizeof key.digest, digest);
    keys->list[keys->count++] = key;
    return 0;
}

/* Lines longer than any key's make the file no key file. */
static int read_lines(FILE *from, struct px_keys *keys)
{
    char line[256];
    while (fgets(line, sizeof line, from)) {
        size_t len = strlen(line);
        if (len == 0 || line[len - 1] != '\n')
            return PX_E_FORMAT;
        int error = add_line(keys, (struct px_text){line, len - 1});
        if (error)
            return error;
    }
    return ferror(from) ? PX_E_IO : 0;
}

static int load_at(int directory, struct px_keys *keys)
{
    keys->count = 0;
    int fd = openat(directory, FILE_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : PX_E_IO;
    FILE *from = fdopen(fd, "r");
    if (!from) {
        close(fd);
        return PX_E_MEMORY;
    }
    int error = read_lines(from, keys);
    fclose(from);
    if (error)
        keys->count = 0;
    return error;
}

int px_keys_load(const char *data, struct px_keys *keys)
{
    keys->count = 0;
    int directory = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return errno == ENOENT ? 0 : PX_E_IO;
    int error = load_at(directory, keys);
    close(directory);
    return error;
}

static int random_id(char id[PX_KEY_ID_LEN])
{
    for (int i = 0; i < PX_KEY_ID_LEN;) {
        unsigned char byte;
        if (RAND_bytes(&byte, 1) != 1)
            return PX_E_SYSTEM;
        if (byte < 252) /* 7 * 36: every letter as likely as another */
            id[i++] = "abcdefghijklmnopqrstuvwxyz0123456789"[byte % 36];
    }
    return 0;
}

/* base64url without padding: 32 bytes are 43 letters, the last of which carries four bits. */
static int random_secret(char secret[PX_KEY_SECRET_LEN])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[SECRET_BYTES + 1] = {0};
    if (RAND_bytes(bytes, SECRET_BYTES) != 1)
        return PX_E_SYSTEM;
    for (unsigned i = 0; i < PX_KEY_SECRET_LEN; i++) {
        unsigned bit = i * 6, pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
        secret[i] = letters[pair >> (10 - bit % 8) & 63];
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return 0;
}

static int write_all(FILE *to, const struct px_keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        fprintf(to, "%s %s ", keys->list[i].id, keys->list[i].digest);
        scopes_write(to, keys->list[i].scopes);
        fputc('\n', to);
    }
    return fflush(to) == 0 && fsync(fileno(to)) == 0 ? 0 : PX_E_IO;
}

/* Either the old file or the new one, whenever the power goes. */
static int replace_at(int directory, const struct px_keys *keys)
{
    int fd = openat(directory, TEMP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!to) {
        if (fd >= 0)
            close(fd);
        return PX_E_SYSTEM;
    }
    int error = fchmod(fd, 0600) == 0 ? write_all(to, keys) : PX_E_SYSTEM;
    if (fclose(to) != 0 && !error)
        error = PX_E_IO;
    if (!error && (renameat(directory, TEMP_NAME, directory, FILE_NAME) != 0 || fsync(directory) != 0))
        error = PX_E_IO;
    if (error)
        unlinkat(directory, TEMP_NAME, 0);
    return error;
}

/* The row of `id`, or a new one. */
static int row_of(struct px_keys *keys, const char *id, struct px_key **keyp)
{
    struct px_key *key = (struct px_key *)find(keys, px_text_of(id));
    if (!key && keys->count == PX_KEYS_MAX)
        return PX_E_FULL;
    if (!key) {
        key = &keys->list[keys->count++];
        px_text_copy(key->id, sizeof key->id, px_text_of(id));
    }
    *keyp = key;
    return 0;
}

/* An id that no line has yet. */
static int free_id(const struct px_keys *keys, char id[PX_KEY_ID_LEN + 1])
{
    id[PX_KEY_ID_LEN] = '\0';
    do {
        if (random_id(id) != 0)
            return PX_E_SYSTEM;
    } while (find(keys, px_text_of(id)));
    return 0;
}

/* A secret for `id`, which takes the place of the one that it had. */
static int make(struct px_keys *keys, const char *id, uint32_t scopes, char text[PX_KEY_TEXT_SIZE])
{
    char *secret = text + 3 + PX_KEY_ID_LEN + 1;
    struct px_key *key;
    int error = row_of(keys, id, &key);
    if (error)
        return error;
    memcpy(text, "px_", 3);
    memcpy(text + 3, id, PX_KEY_ID_LEN);
    text[3 + PX_KEY_ID_LEN] = '_';
    if (random_secret(secret) != 0)
        return PX_E_SYSTEM;
    secret[PX_KEY_SECRET_LEN] = '\0';
    key->scopes = scopes;
    digest_of((struct px_text){secret, PX_KEY_SECRET_LEN}, key->digest);
    return 0;
}

static int create_at(int directory, const char *id, uint32_t scopes, char text[PX_KEY_TEXT_SIZE])
{
    char fresh[PX_KEY_ID_LEN + 1];
    struct px_keys *keys = malloc(sizeof *keys);
    if (!keys)
        return PX_E_MEMORY;
    int error = flock(directory, LOCK_EX) == 0 ? load_at(directory, keys) : PX_E_SYSTEM;
    if (!error && !id)
        error = free_id(keys, fresh);
    if (!error)
        error = make(keys, id ? id : fresh, scopes, text);
    if (!error)
        error = replace_at(directory, keys);
    free(keys);
    return error;
}

int px_key_create(const char *data, const char *id, const char *scopes, char text[PX_KEY_TEXT_SIZE])
{
    uint32_t bits;
    if (px_scopes_parse(px_text_of(scopes), &bits) != 0 || (id && !is_id(px_text_of(id))))
        return PX_E_INVALID;
    if (mkdir(data, 0750) != 0 && errno != EEXIST)
        return PX_E_SYSTEM;
    int directory = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return PX_E_SYSTEM;
    int error = create_at(directory, id, bits, text);
    int saved = errno;
    close(directory);
    errno = saved;
    if (error)
        OPENSSL_cleanse(text, PX_KEY_TEXT_SIZE);
    return error;
}
