/* One line per event on standard error: time level role event key=value … Nothing per tick; that is a counter. */
#pragma once

#include "base/types.h"

enum px_log_level { PX_LOG_DEBUG, PX_LOG_INFO, PX_LOG_WARN, PX_LOG_ERROR };

/* Set once after the fork; `role` must live as long as the process. */
void px_log_init(const char *role, enum px_log_level level);
void px_log_level_set(enum px_log_level level);

/* `format` is "event key=%s other=%d". Lines over 1 KiB are cut. One write(2); may block on a full pipe. */
void px_log(enum px_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* At most `per_second` lines a second from one place; what was held back is told with the next line as suppressed=N. */
struct px_log_limit {
    int64_t second;
    uint32_t count, suppressed;
};
bool px_log_allowed(struct px_log_limit *limit, uint32_t per_second);

#define px_log_limited(level, per_second, ...)                                                                         \
    do {                                                                                                               \
        static struct px_log_limit px_limit_here;                                                                      \
        if (px_log_allowed(&px_limit_here, per_second))                                                                \
            px_log(level, __VA_ARGS__);                                                                                \
    } while (0)
