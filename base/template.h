/* Texts with {{placeholders}}, as TradingView's alerts have them. Pure; any process. */
#pragma once

#include "base/types.h"

#define PX_TEMPLATE_WORD 64

/* Writes what stands for `name`, terminated; false: there is no such placeholder. */
typedef bool px_template_word(void *ctx, struct px_text name, char to[PX_TEMPLATE_WORD]);

/*
 * Copies `text` with every {{name}} that `word` knows replaced; blanks inside the braces do not matter, and what it does not know stays as
 * it stands. Terminated; false when it had to cut, which it does between characters of UTF-8.
 */
bool px_template_render(struct px_text text, px_template_word *word, void *ctx, char *to, size_t size);
