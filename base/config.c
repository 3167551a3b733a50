/* Loading: the file as bytes, then its events, then the whole; and the list of mistakes. */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/config_private.h"
#include "base/error.h"

#define FILE_MAX (1024 * 1024)

static const struct pxi_place nowhere = {0, 0};

static bool comes_before(const struct px_config_error *a, const struct px_config_error *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* Kept in the order of the file; when the list is full, what stands furthest down is let go. */
void pxi_complain(struct px_config_errors *errors, struct pxi_place place, const char *format, ...)
{
    struct px_config_error error = {place.line, place.column, ""};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error.message, sizeof error.message, format, arguments);
    va_end(arguments);
    for (char *at = error.message; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';

    uint32_t at = PX_MIN(errors->count, PX_CONFIG_ERRORS_MAX);
    errors->count++;
    for (; at > 0 && comes_before(&error, &errors->list[at - 1]); at--)
        if (at < PX_CONFIG_ERRORS_MAX)
            errors->list[at] = errors->list[at - 1];
    if (at < PX_CONFIG_ERRORS_MAX)
        errors->list[at] = error;
}

/* Reads at most `size` bytes; a file that is still longer fills them all. */
static int read_whole(int fd, char *buffer, size_t size, size_t *lenp)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, buffer + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return PX_E_IO;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    *lenp = len;
    return 0;
}

/* The file in a buffer of its own, or NULL and a complaint. */
static char *read_file(const char *path, size_t *lenp, struct px_config_errors *errors)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *buffer = fd >= 0 ? malloc(FILE_MAX + 1) : NULL;
    if (!buffer || read_whole(fd, buffer, FILE_MAX + 1, lenp) != 0) {
        pxi_complain(errors, nowhere, "cannot read the file: %s", strerror(errno));
        free(buffer);
        buffer = NULL;
    } else if (*lenp > FILE_MAX) {
        pxi_complain(errors, nowhere, "larger than %d bytes; a configuration of 10000 assets takes 700000", FILE_MAX);
        free(buffer);
        buffer = NULL;
    }
    if (fd >= 0)
        close(fd);
    return buffer;
}

static void override_one(struct px_config *config, const char *override, struct px_config_errors *errors)
{
    struct px_text name = {override, strcspn(override, "=")};
    const struct pxi_key *key = pxi_key_find(&pxi_keys_top, name);
    if (override[name.len] != '=' || !key || key->type >= PXI_PRICE) {
        pxi_complain(errors, nowhere,
                     "'%.80s' cannot be given here; write listen=, data=, log_level=, web_workers= or evaluators=", override);
        return;
    }
    char why[PXI_WHY_SIZE];
    if (!pxi_value_read(key, px_text_of(override + name.len + 1), config, why))
        pxi_complain(errors, nowhere, "'%s' as given: %s", key->name, why);
}

static void load_text(struct pxi_load *load, struct px_text yaml, const char *const *overrides)
{
    pxi_presets(&pxi_keys_top, load->config); /* sections may be absent */
    if (pxi_yaml_read(load, yaml))
        pxi_check(load);
    for (; overrides && *overrides; overrides++)
        override_one(load->config, *overrides, load->errors);
}

int px_config_load(const char *path, const char *const *overrides, struct px_config **configp,
                   struct px_config_errors *errorsp)
{
    *configp = NULL;
    errorsp->count = 0;
    struct pxi_load load = {.errors = errorsp, .config = calloc(1, sizeof(struct px_config))};
    size_t len = 0;
    char *text = load.config ? read_file(path, &len, errorsp) : NULL;
    if (text)
        load_text(&load, (struct px_text){text, len}, overrides);
    else if (!load.config)
        pxi_complain(errorsp, nowhere, "out of memory");
    free(text);
    free(load.notes);
    if (errorsp->count > 0) {
        px_config_destroy(&load.config);
        return PX_E_CONFIG;
    }
    *configp = load.config;
    return 0;
}

void px_config_destroy(struct px_config **configp)
{
    if (!*configp)
        return;
    free((*configp)->assets);
    free(*configp);
    *configp = NULL;
}

px_venue_id px_config_venue_find(const struct px_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->venue_count; i++)
        if (strcmp(config->venues[i].name, name) == 0)
            return (px_venue_id)i;
    return PX_VENUE_NONE;
}

void px_config_error_format(const char *path, const struct px_config_error *error, char *text, size_t size)
{
    if (error->line > 0)
        snprintf(text, size, "%s:%u:%u: %s", path, error->line, error->column, error->message);
    else
        snprintf(text, size, "%s: %s", path, error->message);
}
