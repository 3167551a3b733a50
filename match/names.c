/* Names of operators, sources and frequencies, out of their tables. */
#include "match/condition.h"

struct name {
    unsigned number;
    const char *name, *other;
};

static const struct name ops[] = {
#define ROW(NAME, name, other, number) {number, name, other},
    PX_OP_TABLE(ROW)
#undef ROW
};
static const struct name sources[] = {
#define ROW(NAME, number, name) {number, name, NULL},
    PX_SOURCE_TABLE(ROW)
#undef ROW
};
static const struct name frequencies[] = {
#define ROW(NAME, number, name) {number, name, NULL},
    PX_FREQUENCY_TABLE(ROW)
#undef ROW
};
static const char *name_of(const struct name *table, size_t count, unsigned number)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].number == number)
            return table[i].name;
    return "unknown";
}

static unsigned find(const struct name *table, size_t count, struct px_text name)
{
    for (size_t i = 0; i < count; i++)
        if (px_text_is(name, table[i].name) || (table[i].other && px_text_is(name, table[i].other)))
            return table[i].number;
    return 0;
}

const char *px_op_name(unsigned op)
{
    return name_of(ops, PX_COUNT_OF(ops), op);
}

unsigned px_op_find(struct px_text name)
{
    return find(ops, PX_COUNT_OF(ops), name);
}

const char *px_source_name(unsigned source)
{
    return name_of(sources, PX_COUNT_OF(sources), source);
}

unsigned px_source_find(struct px_text name)
{
    return find(sources, PX_COUNT_OF(sources), name);
}

const char *px_frequency_name(unsigned frequency)
{
    return name_of(frequencies, PX_COUNT_OF(frequencies), frequency);
}

unsigned px_frequency_find(struct px_text name)
{
    return find(frequencies, PX_COUNT_OF(frequencies), name);
}
