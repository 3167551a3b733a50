/* Text slices and last words. */
#include "base/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *last_words;
static size_t last_words_size;

bool px_text_copy(char *to, size_t size, struct px_text from)
{
    size_t len = PX_MIN(from.len, size - 1);
    if (len > 0)
        memcpy(to, from.at, len);
    to[len] = '\0';
    return len == from.len;
}

void px_last_words_set(char *buffer, size_t size)
{
    last_words = size > 0 ? buffer : NULL;
    last_words_size = size;
}

void px_die(const char *file, int line, const char *what)
{
    char text[256];
    int written = snprintf(text, sizeof text - 1, "%s:%d: impossible, yet it happened: !(%s)", file, line, what);
    size_t len = PX_MIN((size_t)PX_MAX(written, 0), sizeof text - 2);
    if (last_words)
        px_text_copy(last_words, last_words_size, (struct px_text){text, len});
    text[len] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, len + 1);
    (void)ignored; /* nobody is left to tell */
    abort();
}
