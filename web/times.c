#include "web/times.h"

static const struct {
    struct px_text prefix;
    enum px_time_class class, ranged;
} classes[] = {
    {PX_TEXT("/api/v1/prices"), PX_TIME_PRICE, PX_TIME_PRICE},
    {PX_TEXT("/api/v1/averages/"), PX_TIME_AVERAGE, PX_TIME_HISTORY},
    {PX_TEXT("/api/v1/candles/"), PX_TIME_HISTORY, PX_TIME_HISTORY},
    {PX_TEXT("/api/v1/ticks/"), PX_TIME_HISTORY, PX_TIME_HISTORY},
    {PX_TEXT("/api/v1/alerts"), PX_TIME_ALERTS, PX_TIME_ALERTS},
};

enum px_time_class px_time_class_of(struct px_text path, bool ranged)
{
    for (size_t i = 0; i < PX_COUNT_OF(classes); i++)
        if (path.len >= classes[i].prefix.len && memcmp(path.at, classes[i].prefix.at, classes[i].prefix.len) == 0)
            return ranged ? classes[i].ranged : classes[i].class;
    return PX_TIME_OTHER;
}

bool px_time_class_of_head(const char *bytes, size_t len, enum px_time_class *classp)
{
    const char *path = bytes + 4, *end, *mark;

    if (len < 5 || memcmp(bytes, "GET ", 4) != 0)
        return false;
    end = memchr(path, ' ', len - 4);
    if (!end)
        return false;
    mark = memchr(path, '?', (size_t)(end - path));
    *classp = px_time_class_of((struct px_text){path, (size_t)(end - path)}, mark != NULL);
    return true;
}
