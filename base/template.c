#include "base/template.h"

struct out {
    char *at;
    size_t len, size;
    bool cut;
};

static void put(struct out *out, struct px_text text)
{
    size_t n = PX_MIN(text.len, out->size - 1 - out->len);

    if (out->cut)
        return;
    out->cut = n < text.len;
    while (out->cut && n > 0 && ((unsigned char)text.at[n] & 0xc0) == 0x80)
        n--;
    memcpy(out->at + out->len, text.at, n);
    out->len += n;
}

static struct px_text trimmed(struct px_text text)
{
    while (text.len > 0 && text.at[0] == ' ')
        text = (struct px_text){text.at + 1, text.len - 1};
    while (text.len > 0 && text.at[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* How many bytes from `text` on are one placeholder, braces included; 0: none begins here. */
static size_t placeholder(struct px_text text, struct px_text *namep)
{
    if (text.len < 4 || memcmp(text.at, "{{", 2) != 0)
        return 0;
    const char *end = memmem(text.at + 2, text.len - 2, "}}", 2);
    if (!end)
        return 0;
    *namep = trimmed((struct px_text){text.at + 2, (size_t)(end - text.at) - 2});
    return (size_t)(end - text.at) + 2;
}

bool px_template_render(struct px_text text, px_template_word *word, void *ctx, char *to, size_t size)
{
    struct out out = {to, 0, size, false};
    char value[PX_TEMPLATE_WORD];
    struct px_text name;

    for (size_t i = 0; i < text.len;) {
        size_t n = placeholder((struct px_text){text.at + i, text.len - i}, &name);

        if (n > 0 && word(ctx, name, value)) {
            put(&out, px_text_of(value));
            i += n;
            continue;
        }
        for (n = 1; i + n < text.len && text.at[i + n] != '{';)
            n++;
        put(&out, (struct px_text){text.at + i, n});
        i += n;
    }
    to[out.len] = '\0';
    return !out.cut;
}
