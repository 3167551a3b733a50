#include "tools/pxvenue/script_private.h"

#include <stdlib.h>

#include "base/error.h"

#define WORD_SIZE 32 /* a price as long as no decimal needs */

struct line {
    uint32_t delay_ms, asset;
    char symbol[WORD_SIZE], price[WORD_SIZE], size[WORD_SIZE];
};

struct pxi_script {
    struct pxi_source source; /* first: the source is the script */
    struct pxi_market *market;
    struct line *lines;
    uint32_t count, next;
    bool started;
    int64_t due; /* px_mono ns of the next line */
    char *symbols;
    size_t symbols_size;
    uint32_t symbol_count;
};

/* Whether the list "A,B" has the symbol. */
static bool listed(const char *list, const char *symbol)
{
    size_t len = strlen(symbol);

    for (const char *at = list; (at = strstr(at, symbol)); at++)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == 0))
            return true;
    return false;
}

static int add_symbol(struct pxi_script *script, const char *symbol)
{
    size_t len = script->symbols ? strlen(script->symbols) : 0;

    if (script->symbols && listed(script->symbols, symbol))
        return 0;
    if (script->symbol_count == PXI_ASSETS_MAX)
        return PX_E_TOO_LARGE;
    if (len + WORD_SIZE + 2 > script->symbols_size) {
        size_t size = script->symbols_size ? script->symbols_size * 2 : 256;
        char *more = realloc(script->symbols, size);
        if (!more)
            return PX_E_MEMORY;
        script->symbols = more;
        script->symbols_size = size;
    }
    snprintf(script->symbols + len, script->symbols_size - len, "%s%s", len ? "," : "", symbol);
    script->symbol_count++;
    return 0;
}

static int add_line(struct pxi_script *script, const char *text)
{
    struct line line = {0};
    int used = 0;

    if (text[strspn(text, " \t\r\n")] == 0 || text[strspn(text, " \t")] == '#')
        return 0;
    if (sscanf(text, "%u %31s %31s %31s %n", &line.delay_ms, line.symbol, line.price, line.size, &used) != 4 ||
        text[used])
        return PX_E_FORMAT;
    if (script->count == PXI_SCRIPT_LINES_MAX)
        return PX_E_TOO_LARGE;
    if ((script->count & (script->count - 1)) == 0) {
        struct line *more = realloc(script->lines, (script->count ? script->count * 2 : 1) * sizeof(*more));
        if (!more)
            return PX_E_MEMORY;
        script->lines = more;
    }
    script->lines[script->count++] = line;
    return add_symbol(script, line.symbol);
}

int pxi_script_open(const char *path, struct pxi_script **scriptp)
{
    FILE *file = fopen(path, "r");
    struct pxi_script *script = calloc(1, sizeof(*script));
    char text[256];
    int error = file && script ? 0 : PX_E_IO;

    for (uint32_t number = 1; !error && fgets(text, sizeof(text), file); number++) {
        error = add_line(script, text);
        if (error)
            fprintf(stderr, "%s:%u: wants <delay_ms> <symbol> <price> <size>: %s\n", path, number,
                    px_error_text(error));
    }
    if (!file)
        fprintf(stderr, "%s: cannot be opened\n", path);
    else
        fclose(file);
    if (!error && !script->count) {
        fprintf(stderr, "%s: has no line\n", path);
        error = PX_E_FORMAT;
    }
    if (error)
        pxi_script_close(&script);
    *scriptp = script;
    return error;
}

void pxi_script_close(struct pxi_script **scriptp)
{
    if (!*scriptp)
        return;
    free((*scriptp)->lines);
    free((*scriptp)->symbols);
    free(*scriptp);
    *scriptp = NULL;
}

const char *pxi_script_symbols(const struct pxi_script *script, uint32_t *countp)
{
    *countp = script->symbol_count;
    return script->symbols;
}

/* A price with a slash in it is a bid and an ask. */
static void send_line(struct pxi_script *script, const struct line *line)
{
    size_t bid = strcspn(line->price, "/");

    if (line->price[bid])
        pxi_market_quote(script->market, line->asset, (struct px_text){line->price, bid}, px_text_of(line->price + bid + 1),
                         px_text_of(line->size));
    else
        pxi_market_trade(script->market, line->asset, px_text_of(line->price), px_text_of(line->size), false);
}

static int64_t pump(struct pxi_source *source, px_mono now)
{
    struct pxi_script *script = (struct pxi_script *)source;
    unsigned slice = PXI_SLICE;

    if (!script->started) {
        script->started = true;
        script->due = now.ns + script->lines[0].delay_ms * PX_NS_PER_MS;
    }
    for (; slice > 0 && script->next < script->count && script->due <= now.ns; slice--) {
        send_line(script, &script->lines[script->next++]);
        if (script->next < script->count)
            script->due += script->lines[script->next].delay_ms * PX_NS_PER_MS;
    }
    return script->next < script->count ? script->due : PXI_DONE;
}

int pxi_script_source(struct pxi_script *script, struct pxi_market *market, struct pxi_source **sourcep)
{
    script->source.pump = pump;
    script->market = market;
    for (uint32_t i = 0; i < script->count; i++) {
        struct line *line = &script->lines[i];
        if (pxi_market_find(market, px_text_of(line->symbol), &line->asset) != 0) {
            fprintf(stderr, "pxvenue: the script's %s is not among the symbols\n", line->symbol);
            return PX_E_NOT_FOUND;
        }
    }
    *sourcep = &script->source;
    return 0;
}
