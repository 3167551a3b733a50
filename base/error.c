/* The error table as two look-ups. */
#include "base/error.h"

#include "base/types.h"

struct error_row {
    const char *code, *text;
};

static const struct error_row error_rows[] = {
#define ERROR_ROW(name, number, code, text) [number] = {code, text},
    PX_ERROR_TABLE(ERROR_ROW)
#undef ERROR_ROW
};

/* NULL for what the table does not know. Compared before negating: -INT_MIN does not exist. */
static const struct error_row *error_find(int error)
{
    if (error >= 0 || error <= -(int)PX_COUNT_OF(error_rows))
        return NULL;
    const struct error_row *row = &error_rows[-error];
    return row->code ? row : NULL;
}

const char *px_error_text(int error)
{
    const struct error_row *row = error_find(error);
    return row ? row->text : "unknown error";
}

const char *px_error_code(int error)
{
    const struct error_row *row = error_find(error);
    return row ? row->code : "internal";
}
