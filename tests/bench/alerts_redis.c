#include "tests/bench/alerts_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/shm_resp.h"

#define LOAD_GROUP 1000
#define REWRITE_S  300 /* that long an append-only file may be written anew */

struct redis {
    struct resp *resp;
    struct world world;
    char sha[41];
};

/* What is reached leaves its set and goes into the stream, in one step that nothing can interrupt. */
static const char script[] = "local n = 0\n"
                             "local up = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])\n"
                             "if #up > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])\n"
                             "  for _, id in ipairs(up) do redis.call('XADD', KEYS[3], '*', 'id', id, 'price', ARGV[1]) end n = n + #up end\n"
                             "local down = redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[1], '+inf')\n"
                             "if #down > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[2], ARGV[1], '+inf')\n"
                             "  for _, id in ipairs(down) do redis.call('XADD', KEYS[3], '*', 'id', id, 'price', ARGV[1]) end n = n + #down end\n"
                             "return n";

static struct px_text print(char *to, size_t size, const char *format, unsigned long long value)
{
    return (struct px_text){to, (size_t)snprintf(to, size, format, value)};
}

static void read_numbers(struct resp *resp, unsigned count, uint64_t *sump)
{
    for (unsigned i = 0; i < count; i++) {
        long number = resp_number(resp);

        if (sump)
            *sump += (uint64_t)number;
    }
}

static void load(struct resp *resp, struct world *world, uint64_t alerts)
{
    unsigned waiting = 0;

    for (uint64_t i = 0; i < alerts; i++) {
        struct world_alert alert = world_alert(world);
        char key[32], score[32], id[32];
        struct px_text argument[4] = {PX_TEXT("ZADD"), print(key, sizeof key, alert.down ? "d:%llu" : "u:%llu", alert.asset),
                                      print(score, sizeof score, "%llu", (unsigned long long)alert.level),
                                      print(id, sizeof id, "%019llu", i)};

        resp_command(resp, 4, argument);
        if (++waiting < LOAD_GROUP && i + 1 < alerts)
            continue;
        resp_flush(resp);
        read_numbers(resp, waiting, NULL);
        waiting = 0;
    }
}

double redis_run(struct redis *redis, uint64_t ticks, unsigned group, struct redis_figures *figures)
{
    px_mono began = px_mono_now();
    unsigned waiting = 0;

    for (uint64_t i = 0; i < ticks; i++) {
        int64_t price;
        uint32_t asset = world_tick(&redis->world, &price);
        char up[32], down[32], text[32];
        struct px_text argument[7] = {PX_TEXT("EVALSHA"), px_text_of(redis->sha), PX_TEXT("3"), print(up, sizeof up, "u:%llu", asset),
                                      print(down, sizeof down, "d:%llu", asset), PX_TEXT("fires"),
                                      print(text, sizeof text, "%llu", (unsigned long long)price)};

        resp_command(redis->resp, 7, argument);
        if (++waiting < group && i + 1 < ticks)
            continue;
        resp_flush(redis->resp);
        read_numbers(redis->resp, waiting, &figures->fires);
        waiting = 0;
    }
    return (double)px_mono_since(px_mono_now(), began) / 1e9;
}

/* The number behind a name in what INFO tells; 0: it is not there. */
static uint64_t info(struct resp *resp, const char *section, const char *name)
{
    struct px_text argument[2] = {PX_TEXT("INFO"), px_text_of(section)};
    unsigned long long number = 0;

    resp_command(resp, 2, argument);
    resp_flush(resp);
    struct px_text text = resp_bulk(resp);
    const char *at = memmem(text.at, text.len, name, strlen(name));
    if (at)
        sscanf(at + strlen(name), ":%llu", &number);
    return number;
}

struct redis *redis_begin(const char *socket_path, uint32_t assets, uint64_t seed, uint64_t alerts, struct redis_figures *figuresp)
{
    struct px_text argument[3] = {PX_TEXT("SCRIPT"), PX_TEXT("LOAD"), {script, sizeof script - 1}};
    struct redis *redis = socket_path ? calloc(1, sizeof *redis) : NULL;

    if (!redis)
        return NULL;
    redis->resp = resp_open(socket_path, 0);
    resp_command(redis->resp, 3, argument);
    resp_flush(redis->resp);
    struct px_text text = resp_bulk(redis->resp);
    memcpy(redis->sha, text.at, PX_MIN(text.len, sizeof redis->sha - 1));
    redis->world = (struct world){.assets = assets, .price = calloc(assets, sizeof *redis->world.price)};
    PX_CHECK(redis->world.price);
    world_start(&redis->world, seed);
    px_mono began = px_mono_now();
    load(redis->resp, &redis->world, alerts);
    figuresp->load_s = (double)px_mono_since(px_mono_now(), began) / 1e9;
    figuresp->memory_bytes = info(redis->resp, "memory", "used_memory_rss");
    for (unsigned i = 0; i < REWRITE_S && info(redis->resp, "persistence", "aof_rewrite_in_progress") != 0; i++)
        sleep(1);
    return redis;
}

void redis_end(struct redis *redis)
{
    if (!redis)
        return;
    resp_close(redis->resp);
    free(redis->world.price);
    free(redis);
}
