#include "tests/bench/alerts_redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/bench/shm_resp.h"

#define LOAD_GROUP 1000

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

static uint64_t run(struct resp *resp, struct world *world, uint64_t ticks, unsigned group, const char *sha)
{
    uint64_t fires = 0;
    unsigned waiting = 0;

    for (uint64_t i = 0; i < ticks; i++) {
        int64_t price;
        uint32_t asset = world_tick(world, &price);
        char up[32], down[32], text[32];
        struct px_text argument[7] = {PX_TEXT("EVALSHA"), px_text_of(sha), PX_TEXT("3"), print(up, sizeof up, "u:%llu", asset),
                                      print(down, sizeof down, "d:%llu", asset), PX_TEXT("fires"),
                                      print(text, sizeof text, "%llu", (unsigned long long)price)};

        resp_command(resp, 7, argument);
        if (++waiting < group && i + 1 < ticks)
            continue;
        resp_flush(resp);
        read_numbers(resp, waiting, &fires);
        waiting = 0;
    }
    return fires;
}

static uint64_t used_memory(struct resp *resp)
{
    struct px_text argument[2] = {PX_TEXT("INFO"), PX_TEXT("memory")};
    unsigned long long bytes = 0;

    resp_command(resp, 2, argument);
    resp_flush(resp);
    struct px_text text = resp_bulk(resp);
    const char *at = memmem(text.at, text.len, "used_memory_rss:", 16);
    if (at)
        sscanf(at + 16, "%llu", &bytes);
    return bytes;
}

void redis_measure(const char *socket_path, struct world *world, uint64_t seed, uint64_t alerts, uint64_t ticks, unsigned group,
                   struct redis_figures *figuresp)
{
    struct resp *resp = resp_open(socket_path, 0);
    struct px_text argument[3] = {PX_TEXT("SCRIPT"), PX_TEXT("LOAD"), {script, sizeof script - 1}};
    char sha[41] = "";

    resp_command(resp, 3, argument);
    resp_flush(resp);
    struct px_text text = resp_bulk(resp);
    memcpy(sha, text.at, PX_MIN(text.len, 40u));
    world_start(world, seed);
    px_mono began = px_mono_now();
    load(resp, world, alerts);
    figuresp->load_s = (double)px_mono_since(px_mono_now(), began) / 1e9;
    figuresp->memory_bytes = used_memory(resp);
    began = px_mono_now();
    figuresp->fires = run(resp, world, ticks, group, sha);
    figuresp->run_s = (double)px_mono_since(px_mono_now(), began) / 1e9;
    resp_close(resp);
}
