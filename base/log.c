/* Lines on standard error, each written whole, so that lines of several processes do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_SIZE 1024

static const char *log_role = "main";
static enum px_log_level log_level = PX_LOG_INFO;
static _Thread_local uint32_t held_back; /* told with this thread's next line */

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void px_log_init(const char *role, enum px_log_level level)
{
    log_role = role;
    px_log_level_set(level);
}

void px_log_level_set(enum px_log_level level)
{
    __atomic_store_n(&log_level, level, __ATOMIC_RELAXED);
}

/* Text from outside may hold anything; a line stays one line. */
static void plain(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
}

/* "2024-08-08T23:54:13.936061Z info  keeper " */
static size_t put_head(char line[LINE_SIZE], enum px_log_level level)
{
    size_t len = px_rfc3339_format(px_wall_now(), line);
    return len + (size_t)snprintf(line + len, LINE_SIZE - len, " %-5s %.32s ", level_names[level], log_role);
}

void px_log(enum px_log_level level, const char *format, ...)
{
    uint32_t held = held_back;
    held_back = 0;
    if (level < __atomic_load_n(&log_level, __ATOMIC_RELAXED))
        return;
    char line[LINE_SIZE], tail[32] = "";
    size_t len = put_head(line, level);
    size_t tail_len = held > 0 ? (size_t)snprintf(tail, sizeof tail, " suppressed=%u", held) : 0;

    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof line - len - tail_len - 1; /* the last byte is for the end of the line */
    int wanted = vsnprintf(line + len, room + 1, format, arguments);
    va_end(arguments);
    size_t added = PX_MIN((size_t)PX_MAX(wanted, 0), room);
    plain(line + len, added);
    len += added;
    memcpy(line + len, tail, tail_len);
    len += tail_len;
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored; /* there is no other place to complain */
}

/*
 * Threads may share one limit: relaxed atomics, because a line too many at the turn of a second does no harm and torn
 * numbers would.
 */
bool px_log_allowed(struct px_log_limit *limit, uint32_t per_second)
{
    int64_t second = px_mono_now().ns / PX_NS_PER_S;
    if (__atomic_load_n(&limit->second, __ATOMIC_RELAXED) != second) {
        __atomic_store_n(&limit->second, second, __ATOMIC_RELAXED);
        __atomic_store_n(&limit->count, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_fetch_add(&limit->count, 1, __ATOMIC_RELAXED) < per_second) {
        held_back = __atomic_exchange_n(&limit->suppressed, 0, __ATOMIC_RELAXED);
        return true;
    }
    __atomic_fetch_add(&limit->suppressed, 1, __ATOMIC_RELAXED);
    return false;
}
